"""Each primitive beside Pillow, OpenCV or a formula, by its amount in its own unit."""

import dataclasses
import functools

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from ultrasound_jax import augment
from ultrasound_jax.augment import _mixture, primitives

ROLES = {"image": "pixels", "mask": "mask"}


def levels(*shape, seed=0):
    """Smooth pictures of bytes, so that sampling between pixels is well defined."""
    noise = np.random.default_rng(seed).normal(size=(*shape, 1)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise[..., 0], (0, 0), 3)
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    return np.round(20 + 215 * smooth).astype(np.uint8)


def colours():
    return np.stack([levels(48, 56, seed=s) for s in range(3)], axis=-1)


def pixels(picture):
    array = picture if picture.ndim == 3 else picture[..., None]
    return jnp.asarray(array[None] / 255, jnp.float32)


@functools.cache
def compiled(name):
    """A primitive by its amount, compiled once for each shape of pictures."""
    known = primitives.find(name)
    key = jax.random.split(jax.random.key(0), 1)
    chosen = _mixture.Chosen(jnp.zeros((1, 1), jnp.int32), jnp.zeros((1, 1)))

    def run(image, amount):
        of_amount = dataclasses.replace(known, range=lambda m, draw: tuple(amount))
        changed = _mixture.apply({"image": image}, ROLES, key, (of_amount,), chosen)
        return changed["image"]

    return jax.jit(run)


def changed(name, picture, *amount):
    """The levels of a picture after a primitive of this amount."""
    pair = jnp.asarray([*amount, 0.0, 0.0][:2], jnp.float32)
    out = compiled(name)(pixels(picture), pair)
    return 255 * np.asarray(out, np.float64)[0].reshape(picture.shape)


def apart(ours, theirs):
    return np.abs(ours - np.asarray(theirs, np.float64))


def pillow(enhancer):
    return lambda picture, factor: enhancer(picture).enhance(factor)


@pytest.mark.parametrize("picture", [levels(48, 56), colours()], ids=["grey", "rgb"])
@pytest.mark.parametrize(
    ("name", "theirs", "amounts"),
    [
        ("invert", lambda p, _: ImageOps.invert(p), [0]),
        ("solarize", ImageOps.solarize, [0, 100, 255]),
        ("posterize", lambda p, bits: ImageOps.posterize(p, int(bits)), [1, 4, 8]),
        ("equalize", lambda p, _: ImageOps.equalize(p), [0]),
        ("autocontrast", ImageOps.autocontrast, [0, 5, 48]),
        ("brighten", pillow(ImageEnhance.Brightness), [0, 0.5, 1, 3.3, 10]),
    ],
)
def test_tones_are_pillows_to_the_level(name, theirs, amounts, picture):
    for amount in amounts:
        ours = np.round(changed(name, picture, amount))
        difference = apart(ours, theirs(Image.fromarray(picture), amount))
        # Pillow stretches by a product of doubles that may end just below a level.
        limit = 1 if name == "autocontrast" else 0
        assert difference.max() <= limit, (name, amount)


@pytest.mark.parametrize("factor", [0, 0.4, 1, 2.5, 10])
def test_contrast_turns_about_pillows_mean_grey(factor):
    grey, rgb = levels(48, 56), colours()
    theirs = ImageEnhance.Contrast(Image.fromarray(grey)).enhance(factor)
    assert apart(np.round(changed("contrast", grey, factor)), theirs).max() == 0
    # Pillow rounds the grey of each pixel before it takes the mean: a level of it.
    theirs = ImageEnhance.Contrast(Image.fromarray(rgb)).enhance(factor)
    assert apart(changed("contrast", rgb, factor), theirs).max() <= 1 + abs(1 - factor)


@pytest.mark.parametrize("factor", [0, 0.4, 1, 2.5, 10])
@pytest.mark.parametrize(
    ("name", "enhancer"),
    [("sharpness", ImageEnhance.Sharpness), ("color", ImageEnhance.Color)],
)
def test_neighbours_and_channels_are_mixed_as_by_pillow(name, enhancer, factor):
    rgb = colours()
    theirs = enhancer(Image.fromarray(rgb)).enhance(factor)
    # Pillow rounds what it mixes with to whole levels, and cuts the result.
    limit = 1 + 0.51 * abs(1 - factor)
    assert apart(changed(name, rgb, factor), theirs).max() <= limit


def test_colour_does_nothing_to_grey():
    grey = levels(16, 16)
    assert apart(changed("color", grey, 0.0), grey).max() < 1e-4


def test_a_mirror_and_shifts_copy_pixels():
    picture = levels(40, 56)
    np.testing.assert_array_equal(
        np.round(changed("mirror", picture)), picture[:, ::-1]
    )
    for name, amount in (
        ("translate_xy", (0.125, -0.25)),
        ("translate_y", (0.125,)),
        ("translate_x", (-0.25,)),
    ):
        down = 5 if "y" in name else 0
        right = -14 if "x" in name else 0
        theirs = np.zeros_like(picture)
        rows = slice(down, None), slice(None, 40 - down)
        columns = slice(None, 56 + right), slice(-right, None)
        theirs[rows[1], columns[1]] = picture[rows[0], columns[0]]
        np.testing.assert_array_equal(np.round(changed(name, picture, *amount)), theirs)


def inner(ours, theirs):
    """The largest difference away from the border, where black is mixed in otherwise.

    OpenCV and Pillow sample whole levels with weights of 1/32 or finer.
    """
    theirs = np.asarray(theirs, np.float64)
    inside = cv2.erode((theirs > 0).astype(np.uint8), np.ones((5, 5))) > 0
    inside[[0, -1]] = inside[:, [0, -1]] = False
    assert inside.mean() > 0.3
    return np.abs(ours - theirs)[inside].max()


@pytest.mark.parametrize("degrees", [-120.0, 0.0, 17.0, 90.0])
def test_a_turn_is_pillows(degrees):
    picture = levels(56, 56)
    theirs = Image.fromarray(picture).rotate(degrees, Image.Resampling.BILINEAR)
    assert inner(changed("rotate", picture, degrees), theirs) < 1.01


@pytest.mark.parametrize("tangent", [-0.6, 0.0, 0.3])
@pytest.mark.parametrize("name", ["shear_x", "shear_y"])
def test_a_shear_is_opencvs(name, tangent):
    picture = levels(48, 64)
    height, width = picture.shape
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    if name == "shear_x":
        matrix = [[1.0, tangent, -tangent * middle_y], [0.0, 1.0, 0.0]]
    else:
        matrix = [[1.0, 0.0, 0.0], [tangent, 1.0, -tangent * middle_x]]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    theirs = cv2.warpAffine(picture, np.array(matrix), (width, height), flags=flags)
    assert inner(changed(name, picture, tangent), theirs) < 1.5


def scene(picture, seed=0):
    frames = pixels(picture)
    counting = jnp.ones(1, bool)
    return frames, primitives.Scene(jax.random.key(seed), frames, counting)


def test_noise_has_the_published_mean_and_deviation():
    grey = np.full((200, 200), 128, np.uint8)
    noise = changed("gaussian_noise", grey, 0.1) / 255 - 128 / 255
    # 40000 pixels: the mean is known to 0.0005, the deviation to 0.00035.
    assert abs(noise.mean() - 0.1) < 0.003 and abs(noise.std() - 0.1) < 0.002
    share = changed("speckle_noise", grey, 0.2, 0) / 128 - 1
    assert abs(share.mean()) < 0.005 and abs(share.std() - 0.2) < 0.004


def test_speckle_wraps_round_as_published_and_is_clipped_by_default():
    picture = np.linspace(0, 255, 64 * 64).astype(np.uint8).reshape(64, 64)
    frames, where = scene(picture)
    noise = np.asarray(where.white())
    effect = primitives.find("speckle_noise").effect
    wrapped = np.asarray(effect(frames, where, jnp.asarray([0.5, 1.0])))
    theirs = np.trunc(255 * np.asarray(frames) * (1 + np.float32(0.5) * noise))
    both = np.round(255 * wrapped) == np.mod(theirs, 256)
    assert both.mean() > 0.999  # all but products that end within a rounding of a level
    bright = theirs > 255
    assert bright.mean() > 0.05 and wrapped[bright].min() < 0.2
    clipped = np.asarray(effect(frames, where, jnp.asarray([0.5, 0.0])))
    assert (clipped[bright] == 1).all()


def amounts(name, ranges, magnitude, count=64):
    one = primitives.find(name, [ranges])
    keys = jax.random.split(jax.random.key(0), count)
    draws = jax.random.uniform(jax.random.key(1), (3, count), minval=-1.0)

    def amount(sign, first, second, key):
        draw = primitives.Draw(jnp.sign(sign), first, second, key)
        return one.amount(jnp.float32(magnitude), draw)

    return np.asarray(jax.vmap(amount)(*draws, keys))


@pytest.mark.parametrize(
    ("name", "magnitude", "accident"),
    [
        ("shear_x", 1.0, lambda a: np.abs(a[:, 0]).max() > 10),
        ("posterize", 0.95, lambda a: (a[:, 0] == 0).all()),
        ("speckle_noise", 0.5, lambda a: (a[:, 1] == 1).all()),
    ],
)
def test_the_originals_accidents_are_to_be_had_and_are_not_the_default(
    name, magnitude, accident
):
    assert accident(amounts(name, "published", magnitude))
    assert not accident(amounts(name, "fast", magnitude))
    assert primitives.find(name).range is primitives.find(name, ["fast"]).range


@pytest.mark.parametrize(("bits", "black"), [(0, True), (1, False)])
def test_posterise_to_no_bits_is_black(bits, black):
    assert (changed("posterize", levels(32, 32), bits).max() == 0) == black


def test_a_cut_square_has_its_side_and_may_hang_over_the_border():
    white = np.full((64, 64), 255, np.uint8)
    effect = primitives.find("cutout").effect
    places, sides = [], []
    for seed in range(40):
        frames, where = scene(white, seed)
        black = np.asarray(effect(frames, where, jnp.asarray([0.25, 0.0])))[0, ..., 0]
        rows, columns = (np.flatnonzero((black == 0).any(axis)) for axis in (1, 0))
        assert (black == 0).sum() == len(rows) * len(columns)
        sides.append(max(len(rows), len(columns)))
        places.append((rows.mean(), columns.mean()))
    assert max(sides) in (15, 16, 17)
    assert len(set(places)) > 35 and min(len(set(p)) for p in zip(*places, strict=True))
    assert changed("cutout", white, 0.0).min() == 255


def test_sets_are_the_published_ones():
    fast = [one.name for one in primitives.of_sets(["fast"])]
    assert len(fast) == 14
    assert fast == [one.name for one in primitives.of_sets(["published"])]
    trivial = {one.name for one in primitives.of_sets(["trivial_wide"])}
    assert len(trivial) == 14 and {"identity", "color", "rotate"} <= trivial
    assert {"invert", "cutout"}.isdisjoint(trivial)
    found = {name for one in primitives.SETS for name in by_name(one)}
    assert found == set(primitives.names())


def by_name(one):
    return {primitive.name for primitive in primitives.of_sets([one])}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "invert", "magnitude": 2}, r"magnitude=2 is not .* from 0 to 1"),
        ({"name": "invert", "magnitude": 0.5, "ranges": "trivial"}, "not in trivial"),
        ({"name": "invert"}, "lacks 'magnitude'"),
        ({"name": "haze", "magnitude": 1, "ranges": "wide"}, "not in wide; it is in"),
    ],
)
def test_what_a_primitive_cannot_be_given_is_one_line(given, said):
    with pytest.raises(augment.AugmentError, match=said) as refused:
        augment.build([given])
    assert "\n" not in str(refused.value)


def test_a_primitive_is_an_operation_of_its_own_with_its_probability():
    image = jnp.broadcast_to(pixels(levels(8, 8)), (400, 8, 8, 1))
    inverted = augment.build([{"name": "invert", "magnitude": 0, "probability": 0.5}])
    fields = {"image": image, "mask": image.astype(jnp.int32)}
    out = inverted(fields, ROLES, key=jax.random.key(0))
    untouched = np.asarray((out["image"] == image).all(axis=(1, 2, 3)))
    # 400 draws with p=1/2: a standard deviation of 0.025.
    assert abs(untouched.mean() - 0.5) < 0.1
    np.testing.assert_allclose(
        out["image"][~untouched], 1 - image[~untouched], atol=1e-6
    )
    np.testing.assert_array_equal(out["mask"], fields["mask"])


def test_all_of_a_users_own_module_can_be_a_primitive():
    one = primitives.find("tests.augment.test_primitives")
    assert (one.kind, one.name) == ("paint", "tests.augment.test_primitives")
    strange = "tests.augment.former"
    with pytest.raises(Exception, match="has no RANGES"):
        primitives.find(strange)


RANGES = {"fast": lambda m, draw: m}


def paint(frames, scene, amount):
    return frames * amount[0]
