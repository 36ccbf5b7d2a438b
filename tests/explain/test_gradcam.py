import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.explain import small
from ultrasound_jax import models
from ultrasound_jax.explain.errors import ExplainError
from ultrasound_jax.explain.see import gradcam
from ultrasound_jax.explain.see.inside_value import pushed
from ultrasound_jax.models._parts.encoders import encode_frames
from ultrasound_jax.models._parts.padding import (
    blank_padding,
    frame_mean,
    real_frames,
)

grad_cam = jax.jit(gradcam.grad_cam)


def clip_of(frames=small.FRAMES, rows=2, seed=0):
    shape = (rows, frames, small.SIZE, small.SIZE, 1)
    return jnp.asarray(np.random.default_rng(seed).random(shape), "float32")


@pytest.mark.parametrize("encoder", ["tiny_basic", "tiny_dense"])
def test_maps_are_the_channels_weighted_by_the_gradient_of_the_pooled_features(encoder):
    # With a mean over the picture behind the map, the gradient with respect to each of
    # its pixels is that of the pooled feature over their number.
    model = small.framewise("luvnet_no_temporal", encoder, heads=4)
    clip, lengths = clip_of(), jnp.asarray([4, 3])
    outputs, maps = grad_cam(*nnx.split(model), clip, lengths)

    mask = real_frames(lengths, clip.shape[1])
    split = nnx.split(model.encoder)

    @jax.jit
    def encode(graphdef, state):
        encoder = nnx.merge(graphdef, state)
        flat = clip.reshape(-1, *clip.shape[2:])
        return encode_frames(encoder, clip, mask), encoder.feature_map(flat)

    features, seen = encode(*split)

    def logits_of(features):
        views, _ = model.attention(features, mask)
        hidden = nnx.relu(model.attention_hidden(views.reshape(2, -1)))
        return model.attention_out(hidden)

    slopes = jax.jit(jax.jacrev(logits_of))(features)  # b p b t d
    seen = seen.reshape(2, 4, *maps.shape[3:], -1)
    pixels = maps.shape[3] * maps.shape[4]
    for row in range(2):
        weights = np.asarray(slopes[row, :, row]) / pixels
        wanted = np.einsum("ptd,tijd->ptij", weights, np.asarray(seen[row]))
        np.testing.assert_allclose(
            maps[row], np.maximum(wanted, 0), atol=1e-5 * np.abs(wanted).max()
        )
    np.testing.assert_allclose(outputs["logits"], logits_of(features), rtol=1e-4)
    assert float(np.max(maps)) > 0


def test_padding_frames_have_no_map_and_change_no_other():
    model = small.framewise("frame_vote")
    split = nnx.split(model)
    clip, lengths = clip_of(), jnp.asarray([4, 2])
    _, maps = grad_cam(*split, clip, lengths)
    _, others = grad_cam(*split, clip.at[1, 2:].set(7.0), lengths)
    assert np.all(np.asarray(maps)[1, :, 2:] == 0)
    np.testing.assert_array_equal(maps, others)


class Volume(nnx.Module):
    """A network over whole clips whose logits are linear in its feature map."""

    def __init__(self):
        rng = np.random.default_rng(4)
        self.mix = nnx.Param(jnp.asarray(rng.standard_normal((1, 5)), "float32"))
        self.out = nnx.Param(jnp.asarray(rng.standard_normal((5, 3)), "float32"))

    def __call__(self, clip, lengths=None):
        pooled = clip.reshape(*clip.shape[:1], 2, -1, *clip.shape[2:]).mean(2)
        feature_map = nnx.relu(pooled @ self.mix[...])
        features = feature_map.mean((1, 2, 3))
        return {"logits": features @ self.out[...], "feature_map": feature_map}


def test_a_clip_networks_maps_are_its_volume_weighted_by_its_last_layer():
    model, clip = Volume(), clip_of(rows=1)
    outputs, maps = jax.jit(gradcam.volume_cam)(
        *nnx.split(model), clip, jnp.asarray([4])
    )
    volume = np.asarray(outputs["feature_map"][0])
    wanted = volume @ np.asarray(model.out[...]) / volume[..., 0].size
    wanted = np.maximum(np.moveaxis(wanted, -1, 0), 0)
    # Two steps stand for two frames each: at a quarter and three quarters between.
    between = 0.75 * wanted[:, 0] + 0.25 * wanted[:, 1]
    assert maps.shape == (1, 3, 4, small.SIZE, small.SIZE)
    assert wanted.max() > 0
    np.testing.assert_allclose(maps[0, :, 0], wanted[:, 0], atol=1e-7)
    np.testing.assert_allclose(maps[0, :, 1], between, atol=1e-7)
    np.testing.assert_allclose(outputs["logits"], model(clip)["logits"], rtol=1e-6)


class Pooled(Volume):
    """As X3D and R(2+1)D: steps of four frames, the mean over the real ones."""

    def __call__(self, clip, lengths):
        grouped = clip.reshape(len(clip), -1, 4, *clip.shape[2:])
        real = real_frames(-(-lengths // 4), grouped.shape[1])
        x = blank_padding(nnx.relu(grouped[:, :, 0] @ self.mix[...]), real)
        features = frame_mean(x.mean((2, 3)), real)
        return {"logits": features @ self.out[...], "feature_map": x}


def test_equal_frames_of_a_clip_network_have_equal_maps_however_long_their_clip_is():
    clip = jnp.repeat(clip_of(frames=1, rows=1), 16, 1)
    mapped = jax.jit(gradcam.volume_cam)
    whole = None
    for length in (16, 1, 5, 4, 8):
        # Whatever is in padding is blanked by the network.
        _, maps = mapped(*nnx.split(Pooled()), clip, jnp.asarray([length]))
        whole = maps[:, :, :1] if whole is None else whole
        real = maps[:, :, :length]
        wanted = np.broadcast_to(whole, real.shape)
        np.testing.assert_allclose(real, wanted, rtol=1e-5, atol=1e-9)
    assert whole.max() > 0


def test_a_real_step_without_anything_is_not_filled_from_the_one_before():
    clip = clip_of(frames=16, rows=1).at[:, 8:12].set(0.0)
    _, maps = jax.jit(gradcam.volume_cam)(*nnx.split(Pooled()), clip, jnp.asarray([12]))
    assert float(maps[:, :, 5].max()) > 0
    assert not maps[:, :, 10:12].any()


def test_a_push_moves_the_value_and_what_is_computed_from_it():
    def doubled(x):
        middle = jnp.sin(x)
        return {"middle": middle, "end": jax.jit(jax.nn.relu)(middle) * 2}

    follow = pushed(doubled, "middle", jnp.float32(0.3))
    moved = follow(jnp.float32(1.0))
    assert float(moved["middle"]) == pytest.approx(np.sin(0.3) + 1, rel=1e-6)
    assert float(moved["end"]) == pytest.approx(2 * (np.sin(0.3) + 1), rel=1e-6)


class Bright(nnx.Module):
    """An encoder whose map is the picture itself, four pixels a side to one."""

    features = 1

    def feature_map(self, image, mask=None):
        return nnx.avg_pool(image[..., :1], (4, 4), strides=(4, 4))

    def __call__(self, image, mask=None):
        return self.feature_map(image, mask).mean((1, 2))


def test_the_map_points_to_what_the_network_looks_for():
    model = small.framewise("frame_vote")
    model.encoder = Bright()
    model.classifier = lambda x: jnp.concatenate([x, -x], -1)
    clip = jnp.zeros((1, 2, 16, 16, 1)).at[0, 1, 8:12, 4:8].set(1.0)
    _, maps = gradcam.grad_cam(*nnx.split(model), clip, jnp.asarray([2]))
    for_it, against_it = np.asarray(maps[0])
    assert np.unravel_index(for_it.argmax(), for_it.shape) == (1, 2, 1)
    assert (for_it > 0).sum() == 1
    assert not against_it.any()


def test_a_value_that_is_returned_but_not_used_is_refused():
    def copied(x):
        return {"middle": jnp.sin(x) + 0, "end": jnp.sin(x) * 2}

    with pytest.raises(ExplainError, match="'middle' and uses something else"):
        pushed(copied, "middle", jnp.float32(0.3))


@pytest.mark.parametrize(
    "name",
    [
        "c3d",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("r2plus1d_18", "x3d_s")),
    ],
)
def test_every_network_over_clips_has_maps(name):
    # Heads are linear in the pooled map but for ReLUs: somewhere something speaks for
    # some pattern, and padding for none.
    options = {"clip_shape": (8, 32, 32)} if name == "c3d" else {}
    model = small.evaluated(models.build(name, width=4, **options, rngs=nnx.Rngs(0)))
    clip = jnp.asarray(np.random.default_rng(0).random((1, 8, 32, 32, 1)), "float32")
    outputs, maps = jax.jit(gradcam.volume_cam)(
        *nnx.split(model), clip, jnp.asarray([6])
    )
    assert maps.shape == (1, 4, 8, *outputs["feature_map"].shape[2:4])
    assert np.isfinite(maps).all()
    assert float(maps.max()) > 0
