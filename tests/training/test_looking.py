"""How pictures are shown to a network: mirrored, upside down, in squares."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from tests.tasks.made import image_spec
from ultrasound_jax import tasks
from ultrasound_jax.training import squares, steps

HEIGHT, WIDTH = 20, 28
TASK = tasks.build("segmentation", image_spec(("lesion",), side=24), options={})


class Ramp(nnx.Module):
    """Logits of what stands left of and above a pixel: it knows left from right."""

    def __init__(self):
        self.gain = nnx.Param(jnp.ones(()))

    def __call__(self, image, *, rngs=None):
        del rngs
        left = jnp.pad(image, ((0, 0), (1, 0), (2, 0), (0, 0)))
        return {"logits": self.gain[...] * (image + 3 * left[:, :-1, :-2])}


class Constant(Ramp):
    """The same logit everywhere, whatever it is shown."""

    def __call__(self, image, *, rngs=None):
        del rngs
        return {"logits": jnp.full_like(image, 0.3) * self.gain[...]}


class Position(Ramp):
    """How far a pixel is from the middle of what it is shown."""

    def __call__(self, image, *, rngs=None):
        del rngs
        along = jnp.abs(jnp.linspace(-1, 1, image.shape[2]))
        return {"logits": jnp.zeros_like(image) + along[:, None] * self.gain[...]}


def asked(kind, image, **looking):
    net, params, stats = steps.split(kind())
    fields = {"image": jnp.asarray(image)}
    found = steps.answers(net, TASK, params, stats, fields, **looking)
    return np.asarray(found["logits"])


@pytest.fixture(scope="module")
def image():
    shape = (2, HEIGHT, WIDTH, 1)
    return np.random.default_rng(0).random(shape).astype(np.float32)


def test_a_mirrored_mask_is_mirrored_back_before_it_is_averaged(image):
    plain = asked(Ramp, image)
    by_hand = (plain + asked(Ramp, image[:, :, ::-1])[:, :, ::-1]) / 2
    np.testing.assert_allclose(asked(Ramp, image, mirrored=True), by_hand, atol=1e-6)
    assert np.abs(by_hand - plain).max() > 0.1
    other = asked(Ramp, image[:, :, ::-1], mirrored=True)
    np.testing.assert_allclose(other[:, :, ::-1], by_hand, atol=1e-6)


def test_mirrored_and_upside_down_are_four_views(image):
    views = [
        asked(Ramp, image[:, ::y, ::x])[:, ::y, ::x] for y in (1, -1) for x in (1, -1)
    ]
    found = asked(Ramp, image, mirrored=True, upside_down=True)
    np.testing.assert_allclose(found, np.mean(views, axis=0), atol=1e-6)
    found = asked(Ramp, image, upside_down=True)
    np.testing.assert_allclose(found, (views[0] + views[2]) / 2, atol=1e-6)


@pytest.mark.parametrize("window", [WIDTH, WIDTH + 1, 0])
def test_a_window_as_large_as_the_picture_is_none(image, window):
    found, plain = asked(Ramp, image, window=window), asked(Ramp, image)
    np.testing.assert_array_equal(found, plain)


@pytest.mark.parametrize("window", [5, 8, 20, 24])
@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.8])
def test_a_network_that_says_one_thing_gives_a_map_without_seams(
    image, window, overlap
):
    found = asked(Constant, image, window=window, overlap=overlap)
    np.testing.assert_allclose(found, 0.3, rtol=1e-5)


def test_what_a_network_finds_far_from_edges_is_the_same_in_squares(image):
    """It looks two pixels to the left; squares whose edge is there count little."""
    plain = asked(Ramp, image)
    found = asked(Ramp, image, window=16, overlap=0.75)
    np.testing.assert_allclose(found[:, :, 2:], plain[:, :, 2:], atol=0.06)


def test_a_pixel_counts_most_of_the_square_whose_middle_it_is_near(image):
    whole = np.zeros((1, 16, 48, 1), np.float32)
    found = asked(Position, whole, window=16, overlap=0.5)[0, 0, :, 0]
    # Squares start at 0, 8, 16, 24 and 32; their middles are at 7.5, 15.5, ...
    assert squares.starts(48, 16, 0.5) == (0, 8, 16, 24, 32)
    assert found[8] < 0.1 and found[16] < 0.1
    weight = np.exp(-0.5 * ((np.arange(16) - 7.5) / 2) ** 2)
    says = np.abs(np.linspace(-1, 1, 16))
    by_hand = weight[12] * says[12] + weight[4] * says[4]
    assert found[12] == pytest.approx(by_hand / (weight[12] + weight[4]), rel=1e-5)


@pytest.mark.parametrize("side", [16, 17, 31, 33, 100])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.9])
def test_squares_reach_from_edge_to_edge_and_overlap_as_asked(side, overlap):
    found = np.array(squares.starts(side, 16, overlap))
    assert found[0] == 0 and found[-1] == side - 16
    assert (np.diff(found) <= max(1, round(16 * (1 - overlap)))).all()


def test_squares_and_mirror_images_go_together(image):
    options: dict[str, Any] = {"window": 12, "overlap": 0.5}
    turned = asked(Ramp, image[:, :, ::-1], **options)[:, :, ::-1]
    by_hand = (asked(Ramp, image, **options) + turned) / 2
    found = asked(Ramp, image, mirrored=True, **options)
    np.testing.assert_allclose(found, by_hand, atol=1e-6)


def test_a_window_is_refused_where_answers_are_of_whole_pictures():
    task = tasks.build("multiclass", image_spec(("a", "b"), side=8), options={})
    net, params, stats = steps.split(Ramp())
    with pytest.raises(steps.StepError, match=r"evaluation\.window=4 is not allowed"):
        steps.answers(net, task, params, stats, {}, window=4)
    with pytest.raises(steps.StepError, match=r"train\.crop=4 is not allowed"):
        steps.make_train_step(
            net, task, optax.sgd(0.1), augment=lambda f, r, key: f, seed=0, crop=4
        )


def test_squares_to_train_on_are_cut_alike_of_pixels_and_mask_and_not_of_the_rest():
    rows = np.arange(6)[:, None, None, None] * 10_000
    numbers = np.arange(20)[:, None, None] * 100 + np.arange(28)[:, None]
    fields = {
        "image": jnp.asarray(rows + numbers, jnp.float32),
        "mask": jnp.asarray(rows + numbers, jnp.int32),
        "labels": jnp.ones((6, 2)),
        "index": jnp.arange(6),
    }
    roles = {"image": "pixels", "mask": "mask", "labels": "labels"}
    found = squares.cropped(fields, roles, 8, key=jax.random.key(3))
    assert found["image"].shape == found["mask"].shape == (6, 8, 8, 1)
    np.testing.assert_array_equal(found["image"], found["mask"])
    corner = np.asarray(found["mask"][:, 0, 0, 0]) - rows.ravel()
    assert len(set(corner.tolist())) > 3  # each example has a square of its own
    steps_down = found["mask"][:, 1:, :, 0] - found["mask"][:, :-1, :, 0]
    assert (steps_down == 100).all()
    assert found["labels"] is fields["labels"] and found["index"] is fields["index"]
    wide = squares.cropped(fields, roles, 24, key=jax.random.key(3))
    assert wide["image"].shape == (6, 20, 24, 1)


def test_a_step_trains_on_squares_and_evaluates_the_whole_picture():
    net, params, stats = steps.split(Ramp())
    optimizer = optax.sgd(0.1)
    state = steps.init_state(params, stats, optimizer, averaged=False)
    batch = {
        "image": jnp.full((4, 24, 24, 1), 200, jnp.uint8),
        "mask": jnp.ones((4, 24, 24, 1), jnp.uint8),
        "index": jnp.arange(4),
    }
    seen = []
    train = steps.make_train_step(
        net,
        TASK,
        optimizer,
        augment=lambda fields, roles, key: seen.append(fields) or fields,
        seed=0,
        crop=16,
    )
    _, terms = jax.eval_shape(train, state, batch, jnp.float32(1))
    assert terms["loss"].shape == () and seen[0]["image"].shape == (4, 24, 24, 1)
    kept, _ = jax.eval_shape(
        steps.make_eval_step(net, TASK, window=16), params, stats, batch
    )
    assert kept["found"].shape == (4, 24, 24, 1)
