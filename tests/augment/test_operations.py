"""What every operation in the folder must do; a new file is tested by being there."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from ultrasound_jax import augment

ROLES = {"image": "pixels", "image_mask": "mask", "clip": "pixels"} | {
    "clip_mask": "mask",
    "labels": "labels",
    "age": "number",
}
ROWS = 12


def example(name):
    options = importlib.import_module(f"ultrasound_jax.augment.{name}").EXAMPLE
    return augment.build([{"name": name} | options])


@pytest.fixture(params=augment.names())
def operation(request):
    return example(request.param)


@pytest.fixture(scope="module")
def fields():
    """A bright blob beside the middle, in pictures and clips, and where it is."""
    y, x = np.mgrid[:40, :48]
    blob = (y - 14) ** 2 / 36 + (x - 31) ** 2 / 81 < 1
    picture = np.where(blob, 0.8, 0.1).astype(np.float32)
    image = np.broadcast_to(picture[None, :, :, None], (ROWS, 40, 48, 1))
    mask = np.broadcast_to(blob[None, :, :, None], image.shape).astype(np.uint8) * 200
    return {
        "image": jnp.asarray(image),
        "image_mask": jnp.asarray(mask),
        "clip": jnp.asarray(np.repeat(image[:, None], 3, axis=1)),
        "clip_mask": jnp.asarray(np.repeat(mask[:, None], 3, axis=1)),
        "labels": jnp.zeros((ROWS, 4), jnp.int8),
        "age": jnp.arange(ROWS, dtype=jnp.float32),
        "index": jnp.arange(ROWS),
    }


@pytest.fixture
def moved(operation, fields):
    return jax.jit(lambda f, k: operation(f, ROLES, key=k))(fields, jax.random.key(3))


def test_a_mask_stays_on_its_pixels(moved):
    for kind in ("image", "clip"):
        bright = np.asarray(moved[kind][..., 0] > 0.45)
        mask = np.asarray(moved[f"{kind}_mask"][..., 0] > 0)
        bright = bright.reshape(-1, *bright.shape[-2:])
        for one, where in zip(bright, mask.reshape(bright.shape), strict=True):
            assert where.sum() > 100
            assert (ndimage.binary_erosion(where) <= one).all()
            assert (one <= ndimage.binary_dilation(where)).all()


def test_frames_and_fields_of_an_example_share_the_draw(moved):
    for name in ("", "_mask"):
        clip, image = moved[f"clip{name}"], moved[f"image{name}"]
        for frame in range(3):
            np.testing.assert_array_equal(clip[:, frame], image)


def test_examples_have_draws_of_their_own(moved):
    assert len({np.asarray(one).tobytes() for one in moved["image"]}) > 1


def test_a_draw_follows_the_key_alone(operation, fields, moved):
    again = jax.jit(lambda f, k: operation(f, ROLES, key=k))
    for seed, same in ((3, True), (4, False)):
        other = again(fields, jax.random.key(seed))
        assert np.array_equal(other["image"], moved["image"]) == same


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32, np.bool_])
def test_masks_keep_their_dtype_and_their_values(operation, fields, dtype):
    values = np.array([0, 1, 7, 120]).astype(dtype)
    regions = np.random.default_rng(0).integers(0, 4, (ROWS, 10, 12, 2))
    mask = jnp.asarray(values[regions])
    given = {"image": fields["image"], "mask": mask}
    roles = {"image": "pixels", "mask": "mask"}
    out = operation(given, roles, key=jax.random.key(0))["mask"]
    assert (out.shape, out.dtype) == (mask.shape, mask.dtype)
    assert set(np.unique(out)) <= set(np.unique(values))


def test_pixels_keep_their_shape_dtype_and_range(fields, moved):
    for name in ("image", "clip"):
        assert moved[name].shape == fields[name].shape
        assert moved[name].dtype == jnp.float32
        assert 0 <= float(moved[name].min()) <= float(moved[name].max()) <= 1


def test_what_has_no_place_is_passed_on(operation, fields):
    out = operation(fields, ROLES, key=jax.random.key(0))
    assert out.keys() == fields.keys()
    for name in ("labels", "age", "index"):
        assert out[name] is fields[name]


def test_the_fields_that_are_given_are_not_changed(operation, fields):
    before = dict(fields)
    operation(fields, ROLES, key=jax.random.key(0))
    assert all(fields[name] is array for name, array in before.items())
