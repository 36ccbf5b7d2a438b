import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from tests.augment import former
from ultrasound_jax import augment
from ultrasound_jax.augment import _sampling

ALWAYS = {"flip": 0.0, "rotate": 1.0, "degrees": 10.0}


def operation(**options):
    """The configured `(fields, roles, key=…) -> fields`."""
    return augment.build([{"name": "flip_and_rotate"} | options])


def warp(clip, *, key, **options):
    roles = {"clip": "pixels"}
    moved = jax.jit(lambda c, k: operation(**options)({"clip": c}, roles, key=k))
    return moved(clip, key)["clip"]


@pytest.fixture
def clip():
    frames = np.random.default_rng(0).uniform(size=(2, 3, 17, 24, 1))
    return jnp.asarray(frames, jnp.float32)


def test_without_any_probability_nothing_changes(clip):
    unmoved = operation(flip=0.0, rotate=0.0, degrees=10.0)
    fields = {"clip": clip}
    assert unmoved(fields, {"clip": "pixels"}, key=jax.random.key(0)) is fields


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("jitted", [True, False])
def test_clips_are_moved_bit_for_bit_as_before_there_were_roles(clip, seed, jitted):
    options = {"flip": 0.5, "rotate": 0.7, "degrees": 12.0}
    key = jax.random.key(seed)

    def before(clip, key):
        return former.flip_and_rotate(clip, key=key, **options)

    def now(clip, key):
        fields, roles = {"clip": clip, "other": clip}, {"clip": "pixels"}
        return operation(**options)(fields, roles, key=key)["clip"]

    if jitted:
        before, now = jax.jit(before), jax.jit(now)
    np.testing.assert_array_equal(now(clip, key), before(clip, key))


def test_an_unturned_clip_is_copied_or_mirrored_exactly(clip):
    out = warp(clip, key=jax.random.key(0), flip=1.0, rotate=0.0, degrees=10.0)
    np.testing.assert_array_equal(out, clip[:, :, :, ::-1])


def test_a_turn_equals_scipy(clip):
    angle = 7.0
    y, x = np.mgrid[:17, :24].astype(float)
    radians = np.deg2rad(angle)
    dy, dx = y - 8.0, x - 11.5
    places = (
        np.cos(radians) * dy - np.sin(radians) * dx + 8.0,
        np.sin(radians) * dy + np.cos(radians) * dx + 11.5,
    )
    ours = _sampling.bilinear(clip[0], *(jnp.asarray(p, jnp.float32) for p in places))
    for frame, turned in zip(clip[0], ours, strict=True):
        padded = np.pad(frame[..., 0], 1)
        theirs = ndimage.map_coordinates(padded, [p + 1 for p in places], order=1)
        # float32 coordinates up to 24 carry errors of 2e-6, times a slope below 1.
        np.testing.assert_allclose(turned[..., 0], theirs, atol=2e-5)


def test_all_frames_of_a_clip_get_the_same_draw_and_clips_get_their_own(clip):
    still = jnp.broadcast_to(clip[:1, :1], (4, 3, 17, 24, 1))
    out = warp(still, key=jax.random.key(1), **ALWAYS)
    np.testing.assert_array_equal(out[:, 0], out[:, 1])
    np.testing.assert_array_equal(out[:, 0], out[:, 2])
    assert len({np.asarray(c).tobytes() for c in out}) == 4


def test_a_turned_clip_keeps_its_contrast():
    """The original's turned clips had a contrast of one part in 255."""
    smooth = ndimage.gaussian_filter(np.random.default_rng(1).uniform(size=(64, 64)), 3)
    clip = jnp.asarray(smooth, jnp.float32)[None, None, :, :, None]
    out = warp(clip, key=jax.random.key(0), **ALWAYS)
    middle = (slice(None), slice(None), slice(16, 48), slice(16, 48))
    assert float(out[middle].std()) > 0.8 * float(clip[middle].std())


def test_outside_the_frame_is_black():
    white = jnp.ones((1, 1, 32, 32, 1))
    out = _sampling.bilinear(white[0], *jnp.full((2, 32, 32), -5.0))
    assert float(jnp.abs(out).max()) == 0.0


def test_draws_follow_their_probabilities():
    ramp = jnp.arange(8.0)[None, :, None] + 10 * jnp.arange(8.0)[:, None, None]
    still = jnp.broadcast_to(ramp, (400, 1, 8, 8, 1))
    out = warp(still, key=jax.random.key(2), flip=0.5, rotate=0.5, degrees=10.0)
    middle = np.asarray(out[:, 0, 4, :, 0])
    mirrored = middle[:, 2] > middle[:, 5]
    copies = (np.asarray(still[:, 0, :, :, 0]), np.asarray(still[:, 0, :, ::-1, 0]))
    unturned = np.logical_or(
        *((np.asarray(out[:, 0, :, :, 0]) == c).all(axis=(1, 2)) for c in copies)
    )
    # 400 draws with p=1/2: a standard deviation of 0.025.
    assert abs(mirrored.mean() - 0.5) < 0.1
    assert abs(unturned.mean() - 0.5) < 0.1
