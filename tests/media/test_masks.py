"""One rule for masks, whatever wrote them."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from ultrasound_jax.media.mask_values import mask_classes
from ultrasound_jax.media.masks import read_mask
from ultrasound_jax.types import InputError

SIDE = 72


def drawn(*places, radius=11):
    """Discs of 1, 2, … on 0."""
    mask = np.zeros((SIDE, SIDE + 8), np.uint8)
    for number, place in enumerate(places, 1):
        cv2.circle(mask, place, radius, number, -1)
    return mask


LESION = drawn((30, 40))
LUNGS = drawn((20, 36), (58, 36))
FOREGROUND = LESION > 0


def painted(mask, *colours):
    """RGB of the colours that stand for 0, 1, …"""
    return np.array(colours, np.uint8)[mask]


def saved(path, pixels, **options):
    Image.fromarray(pixels).save(path, **options)
    return path


def tiff(bits, photometric, width, height, strip, software=b""):
    """An uncompressed TIFF, written by hand as tifffile writes a bool array."""
    tags = [
        (256, 3, 1, width),
        (257, 3, 1, height),
        (258, 3, 1, bits),
        (259, 3, 1, 1),
        (262, 3, 1, photometric),
        (273, 4, 1, 0),
        (277, 3, 1, 1),
        (278, 3, 1, height),
        (279, 4, 1, len(strip)),
    ]
    if software:
        tags.append((305, 2, len(software) + 1, 0))
    start = 8 + 2 + 12 * len(tags) + 4
    text = software + b"\0" if software else b""
    rows = []
    for tag, kind, count, value in tags:
        value = start + len(text) if tag == 273 else start if tag == 305 else value
        rows.append(struct.pack("<HHII", tag, kind, count, value))
    head = b"II*\0" + struct.pack("<IH", 8, len(tags))
    return head + b"".join(rows) + struct.pack("<I", 0) + text + strip


def as_png(mask, path):
    return saved(path.with_suffix(".png"), mask * 255)


def as_ones(mask, path):
    return saved(path.with_suffix(".png"), mask)


def as_hundreds(mask, path):
    return saved(path.with_suffix(".bmp"), mask * 100)


def as_bits(mask, path):
    return saved(path.with_suffix(".png"), mask > 0)


def as_rgb(mask, path):
    return saved(path.with_suffix(".png"), painted(mask, (0, 0, 0), (255,) * 3))


def as_red(mask, path):
    return saved(path.with_suffix(".png"), painted(mask, (0, 0, 0), (200, 10, 20)))


def as_palette(mask, path):
    picture = Image.fromarray(mask).convert("P")
    picture.putpalette([0, 0, 0, 128, 0, 0])
    picture.save(path.with_suffix(".png"))
    return path.with_suffix(".png")


def as_jpeg(mask, path):
    return saved(path.with_suffix(".jpg"), mask * 255, quality=80)


def as_faint_jpeg(mask, path):
    return saved(path.with_suffix(".jpg"), mask * 100, quality=90)


def as_colour_jpeg(mask, path):
    colours = painted(mask, (0, 0, 0), (0, 255, 0))
    return saved(path.with_suffix(".jpg"), colours, quality=90)


def as_alpha(mask, path):
    colours = painted(mask, (255, 255, 255, 0), (255, 255, 255, 255))
    return saved(path.with_suffix(".png"), colours)


def as_black_alpha(mask, path):
    return saved(path.with_suffix(".png"), painted(mask, (0,) * 4, (0, 0, 0, 255)))


def as_grey_alpha(mask, path):
    pixels = np.stack([np.zeros_like(mask), mask * 255], axis=-1)
    Image.fromarray(pixels, "LA").save(path.with_suffix(".png"))
    return path.with_suffix(".png")


def as_paint_on_glass(mask, path):
    colours = painted(mask, (0, 0, 0, 0), (255, 0, 0, 128))
    return saved(path.with_suffix(".png"), colours)


def as_black_on_clear_white(mask, path):
    colours = painted(mask, (255, 255, 255, 0), (0, 0, 0, 255))
    return saved(path.with_suffix(".png"), colours)


def as_opaque(mask, path):
    return saved(path.with_suffix(".png"), painted(mask, (0, 0, 0, 255), (255,) * 4))


def as_void_alpha(mask, path):
    return saved(path.with_suffix(".png"), painted(mask, (0,) * 4, (255,) * 3 + (0,)))


def as_transparent_index(mask, path):
    picture = Image.fromarray(mask).convert("P")
    picture.putpalette([255, 255, 255, 255, 255, 255])
    picture.save(path.with_suffix(".png"), transparency=0)
    return path.with_suffix(".png")


def as_deep(mask, path):
    return saved(path.with_suffix(".png"), mask.astype(np.uint16) * 65535)


def as_deep_ones(mask, path):
    return saved(path.with_suffix(".tif"), mask.astype(np.uint16))


def as_deep_colour(mask, path):
    cv2.imwrite(
        str(path) + ".png", np.repeat(mask[..., None], 3, 2).astype("u2") * 4095
    )
    return path.with_name(path.name + ".png")


def as_int32(mask, path):
    return saved(path.with_suffix(".tif"), mask.astype(np.int32) * 7)


def as_int16(mask, path):
    cv2.imwrite(str(path) + ".tif", mask.astype(np.int16) * 255)
    return path.with_name(path.name + ".tif")


def as_float(mask, path):
    return saved(path.with_suffix(".tif"), mask.astype(np.float32))


def as_bright_float(mask, path):
    return saved(path.with_suffix(".tif"), mask.astype(np.float32) * 255)


def as_double(mask, path):
    cv2.imwrite(str(path) + ".tif", mask.astype(np.float64))
    return path.with_name(path.name + ".tif")


def as_fax(mask, path):
    return saved(path.with_suffix(".tif"), mask > 0, compression="group4")


def as_tifffile_bool(mask, path):
    strip = np.packbits(mask, axis=1).tobytes()
    whole = tiff(1, 0, mask.shape[1], mask.shape[0], strip, b"tifffile.py")
    path.with_suffix(".tif").write_bytes(whole)
    return path.with_suffix(".tif")


def as_unsigned_bool(mask, path):
    strip = np.packbits(mask, axis=1).tobytes()
    path.with_suffix(".tif").write_bytes(
        tiff(1, 0, mask.shape[1], mask.shape[0], strip)
    )
    return path.with_suffix(".tif")


def as_imagej(mask, path):
    strip = (mask * 255).tobytes()
    path.with_suffix(".tif").write_bytes(
        tiff(8, 0, mask.shape[1], mask.shape[0], strip)
    )
    return path.with_suffix(".tif")


def as_white_is_zero(mask, path):
    return saved(path.with_suffix(".tif"), mask * 255, tiffinfo={262: 0})


def as_soft_edges(mask, path):
    large = cv2.resize(mask * 255, None, fx=4, fy=4, interpolation=cv2.INTER_NEAREST)
    small = cv2.resize(
        cv2.blur(large, (3, 3)), mask.shape[::-1], interpolation=cv2.INTER_AREA
    )
    return saved(path.with_suffix(".png"), small)


def as_turned(mask, path):
    exif = Image.Exif()
    exif[274] = 6  # to be turned by a quarter, clockwise
    stored = np.ascontiguousarray(np.rot90(mask * 255))
    return saved(path.with_suffix(".png"), stored, exif=exif)


WRITERS = [one for name, one in list(globals().items()) if name.startswith("as_")]


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
@pytest.mark.parametrize("place", [(30, 40), (9, 60), (62, 12)])
def test_a_mask_is_the_same_in_any_encoding(tmp_path, write, place):
    mask = drawn(place)
    found = read_mask(write(mask, tmp_path / "mask"), name="x")
    assert found.shape == (*mask.shape, 1) and found.dtype == np.uint8
    assert found.max() == 1
    wrong = (found[..., 0] != mask).sum()
    assert wrong <= (12 if "jpeg" in write.__name__ else 0)


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_an_empty_mask_is_empty_in_any_encoding(tmp_path, write):
    mask = np.zeros((SIDE, SIDE), np.uint8)
    assert not read_mask(write(mask, tmp_path / "mask"), name="x").any()


@pytest.mark.parametrize(
    "values",
    [
        (0, 1, 2),
        (0, 3, 4),
        (0, 127, 255),
        (0, 100, 200),
        (0, 1, 255),
        (1, 2, 3),
        (0, 254, 255),
    ]
    + [(0, 1000, 2000), (0, 30000, 60000)],
)
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_map_of_labels_is_refused_without_its_labels(tmp_path, values, suffix):
    dtype = np.uint8 if max(values) < 256 else np.uint16
    path = saved(tmp_path / f"m{suffix}", np.array(values, dtype)[LUNGS])
    with pytest.raises(InputError) as refused:
        read_mask(path, name="slice 1: mask")
    text = str(refused.value)
    assert text.startswith("slice 1: mask") and "option labels" in text
    assert all(str(value) in text for value in values)


def test_two_values_of_which_none_is_0_are_asked_for(tmp_path):
    path = saved(tmp_path / "m.png", LESION + 1)
    with pytest.raises(InputError, match=r"values up to 2 \(1, 2\).*option labels"):
        read_mask(path, name="x")
    labels = {1: "background", 2: "lesion"}
    assert np.array_equal(read_mask(path, name="x", labels=labels)[..., 0], LESION)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
def test_labels_say_what_values_mean(tmp_path, dtype):
    path = saved(tmp_path / "m.tif", np.array([0, 3, 4], dtype)[LUNGS])
    both = {3: "lung", 4: "lung"}
    assert mask_classes(both) == ("lung",)
    found = read_mask(path, name="x", labels=both)
    assert np.array_equal(found[..., 0], LUNGS > 0)
    sides = {"3": "left", "4": "right"}  # as JSON has them
    assert mask_classes(sides) == ("left", "right")
    assert np.array_equal(read_mask(path, name="x", labels=sides)[..., 0], LUNGS)
    with pytest.raises(InputError, match="values 4, which the labels do not name"):
        read_mask(path, name="x", labels={3: "lung"})
    one = read_mask(path, name="x", labels={3: "background", 4: "lung"})
    assert np.array_equal(one[..., 0], LUNGS == 2)


def test_labels_are_numbers_of_a_palette_or_its_greys(tmp_path):
    picture = Image.fromarray(LUNGS).convert("P")
    picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    picture.save(tmp_path / "voc.png")
    labels = {1: "left", 2: "right"}
    found = read_mask(tmp_path / "voc.png", name="x", labels=labels)
    assert np.array_equal(found[..., 0], LUNGS)
    picture.putpalette([0, 0, 0, 50, 50, 50, 90, 90, 90])
    picture.save(tmp_path / "grey.png")
    for one, other in ((1, 2), (50, 90)):
        labels = {one: "left", other: "right"}
        found = read_mask(tmp_path / "grey.png", name="x", labels=labels)
        assert np.array_equal(found[..., 0], LUNGS)


def test_one_bit_is_1_or_255_to_its_labels(tmp_path):
    for white in (1, 255):
        path = saved(tmp_path / "m.png", FOREGROUND)
        found = read_mask(path, name="x", labels={white: "lesion"})
        assert np.array_equal(found[..., 0], LESION)


def packed(path, bits, numbers):
    """A grey PNG of 2 or 4 bits, which Pillow does not write."""
    height, width = numbers.shape
    shifts = range(8 - bits, -1, -bits)
    parts = numbers.reshape(height, -1, 8 // bits)
    rows = sum(parts[..., k].astype(int) << shift for k, shift in enumerate(shifts))
    lines = b"".join(b"\0" + bytes(row.tolist()) for row in rows)
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n"
    for name, body in (
        (b"IHDR", header),
        (b"IDAT", zlib.compress(lines)),
        (b"IEND", b""),
    ):
        content += struct.pack(">I", len(body)) + name + body
        content += struct.pack(">I", zlib.crc32(name + body))
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("bits", [2, 4])
def test_labels_of_few_bits_are_the_numbers_that_the_file_holds(tmp_path, bits):
    path = packed(tmp_path / "m.png", bits, LUNGS)
    with pytest.raises(InputError, match="more than two values"):
        read_mask(path, name="x")
    step = 255 // (2**bits - 1)
    for one, other in ((1, 2), (step, 2 * step)):
        labels = {one: "left", other: "right"}
        found = read_mask(path, name="x", labels=labels)
        assert np.array_equal(found[..., 0], LUNGS)
    path = packed(tmp_path / "one.png", bits, LESION)
    assert np.array_equal(read_mask(path, name="x")[..., 0], LESION)


def test_labels_may_be_ranges(tmp_path):
    soft = np.linspace(0, 255, SIDE * 80).reshape(SIDE, 80).astype(np.uint8)
    path = saved(tmp_path / "m.png", soft)
    with pytest.raises(InputError, match="a picture, or several structures"):
        read_mask(path, name="x")
    labels = {"0-99": "background", "100-255": "lesion"}
    found = read_mask(path, name="x", labels=labels)
    assert np.array_equal(found[..., 0], soft >= 100)


@pytest.mark.parametrize("labels", [{"a": "x"}, {1.5: "x"}, {1: ""}, {"5-3": "x"}])
def test_labels_that_cannot_be_are_refused(tmp_path, labels):
    path = saved(tmp_path / "m.png", LUNGS)
    with pytest.raises(InputError, match="labels"):
        read_mask(path, name="x", labels=labels)


GREEN_RED = {"#00ff00": "benign", "#ff0000": "malignant"}


@pytest.mark.parametrize(
    "colours", [((0, 255, 0), (255, 0, 0)), ((9, 9, 250), (250,) * 3)]
)
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif"])
def test_several_colours_are_refused_unless_they_are_said(tmp_path, colours, suffix):
    path = saved(tmp_path / f"m{suffix}", painted(LUNGS, (0, 0, 0), *colours))
    with pytest.raises(InputError, match="mask with the colours #.*option colours"):
        read_mask(path, name="x")
    said = {"#" + bytes(c).hex(): w for c, w in zip(colours, "ab", strict=True)}
    found = read_mask(path, name="x", colours=said)[..., 0]
    assert (found != LUNGS).sum() <= (24 if suffix == ".jpg" else 0)


def test_colours_with_soft_edges_are_the_nearest(tmp_path):
    colours = painted(LUNGS, (0, 0, 0), (0, 255, 0), (255, 0, 0))
    path = saved(tmp_path / "m.png", cv2.blur(colours, (3, 3)))
    found = read_mask(path, name="x", colours=GREEN_RED)[..., 0]
    assert mask_classes(colours=GREEN_RED) == ("benign", "malignant")
    assert (found != LUNGS).mean() < 0.02 and set(np.unique(found)) == {0, 1, 2}


def test_a_colour_that_is_not_said_is_refused(tmp_path):
    colours = painted(LUNGS, (0, 0, 0), (0, 255, 0), (255, 255, 0))
    path = saved(tmp_path / "m.png", colours)
    with pytest.raises(InputError, match=r"does not name \(#ffff00"):
        read_mask(path, name="x", colours=GREEN_RED)


def speckle():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 25, LESION.shape) + 90
    return np.repeat(np.clip(noise, 20, 200).astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize("colour", [(255, 0, 0), (255, 255, 255)])
@pytest.mark.parametrize("outline", [True, False])
def test_a_mask_painted_over_its_picture_is_refused(tmp_path, colour, outline):
    picture, marks = speckle(), FOREGROUND.astype(np.uint8)
    if outline:
        marks -= cv2.erode(marks, np.ones((3, 3), np.uint8))
    picture[marks > 0] = colour
    path = saved(tmp_path / "m.png", picture)
    with pytest.raises(InputError, match="option (colours|labels)"):
        read_mask(path, name="x")
    if colour == (255, 0, 0):
        with pytest.raises(InputError, match="grey=background"):
            read_mask(path, name="x", colours={"red": "lesion"})
        said = {"red": "lesion", "grey": "background"}
        found = read_mask(path, name="x", colours=said)[..., 0]
        assert np.array_equal(found, marks)


def test_a_red_lesion_on_white_is_asked_for(tmp_path):
    path = saved(tmp_path / "m.png", painted(LESION, (255,) * 3, (255, 0, 0)))
    with pytest.raises(InputError, match="#ffffff, #ff0000"):
        read_mask(path, name="x")
    said = {"#ffffff": "background", "#ff0000": "lesion"}
    assert np.array_equal(read_mask(path, name="x", colours=said)[..., 0], LESION)


def test_layers_of_colours_in_alpha_are_colours(tmp_path):
    colours = painted(LUNGS, (0, 0, 0, 0), (0, 255, 0, 255), (255, 0, 0, 255))
    path = saved(tmp_path / "m.png", colours)
    with pytest.raises(InputError, match="#00ff00, #ff0000"):
        read_mask(path, name="x")
    found = read_mask(path, name="x", colours=GREEN_RED)
    assert np.array_equal(found[..., 0], LUNGS)


@pytest.mark.parametrize("shade", [0.2, 0.6, 1.0])
def test_a_picture_cut_out_by_alpha_is_marked_where_it_is_seen(tmp_path, shade):
    picture = np.rint(speckle() * shade).astype(np.uint8)
    for hidden in (0, 1):
        shown = picture * np.maximum(LESION, hidden).astype(np.uint8)[..., None]
        pixels = np.dstack([shown, LESION * 255])
        path = saved(tmp_path / "m.png", pixels)
        assert np.array_equal(read_mask(path, name="x")[..., 0], LESION)


def test_a_drawing_in_a_clear_frame_is_read_as_drawn(tmp_path):
    soft = cv2.GaussianBlur(LESION * 255, (5, 5), 0)
    alpha = np.full_like(soft, 255)
    alpha[:3], alpha[:, -3:] = 0, 0
    path = saved(tmp_path / "m.png", np.dstack([soft, soft, soft, alpha]))
    assert (read_mask(path, name="x")[..., 0] != LESION).sum() <= 4


def test_deep_colours_are_colours(tmp_path):
    colours = painted(LUNGS, (0, 0, 0), (0, 255, 0), (255, 0, 0)).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "m.png"), colours[..., ::-1] * 257)
    with pytest.raises(InputError, match="#00ff00, #ff0000"):
        read_mask(tmp_path / "m.png", name="x")
    found = read_mask(tmp_path / "m.png", name="x", colours=GREEN_RED)
    assert np.array_equal(found[..., 0], LUNGS)


def test_a_full_mask_is_full(tmp_path):
    for value in (1, 100, 255):
        path = saved(tmp_path / "m.png", np.full((9, 9), value, np.uint8))
        assert read_mask(path, name="x").all()


def test_values_that_mean_nothing_are_refused(tmp_path):
    for values in ([0, np.nan], [-1, 1], [0, 0.5, 7.25]):
        path = saved(tmp_path / "m.tif", np.array([values], np.float32))
        with pytest.raises(InputError, match="x: mask with"):
            read_mask(path, name="x")


@pytest.mark.parametrize("quality", [60, 75, 95])
@pytest.mark.parametrize("values", [(0, 127, 255), (0, 100, 200)])
def test_lossy_maps_of_labels_are_refused_too(tmp_path, quality, values):
    path = saved(tmp_path / "m.jpg", np.array(values, np.uint8)[LUNGS], quality=quality)
    with pytest.raises(InputError, match="option labels"):
        read_mask(path, name="x")


@pytest.mark.parametrize("quality", [30, 50, 75, 95])
@pytest.mark.parametrize("white", [100, 128, 200, 255])
@pytest.mark.parametrize("radius", [3, 6, 20])
@pytest.mark.parametrize("colour", [False, True])
def test_lossy_masks_of_any_brightness_are_read(
    tmp_path, quality, white, radius, colour
):
    mask = np.zeros((200, 240), np.uint8)
    cv2.circle(mask, (100, 90), radius, 1, -1)
    pixels = painted(mask, (0, 0, 0), (white,) * 3) if colour else mask * white
    path = saved(tmp_path / "m.jpg", pixels, quality=quality)
    wrong = read_mask(path, name="x")[..., 0] != mask
    assert wrong.sum() <= 0.1 * 6.3 * radius + (4 if quality < 75 else 1)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("smooth", [0, 1, 3])
def test_a_picture_is_no_mask(tmp_path, suffix, smooth):
    rng = np.random.default_rng(smooth)
    picture = np.clip(rng.normal(70, 30, (300, 400)), 0, 255).astype(np.uint8)
    if smooth:
        blurred = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), smooth)
        picture = cv2.normalize(blurred, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    path = saved(tmp_path / f"m{suffix}", picture)
    with pytest.raises(InputError, match="a picture, or several structures"):
        read_mask(path, name="x")


def test_lossy_masks_saved_again_without_loss_are_read(tmp_path):
    held = io.BytesIO()
    Image.fromarray(LESION * 255).save(held, "JPEG", quality=70)
    path = tmp_path / "m.png"
    Image.open(held).save(path)
    wrong = read_mask(path, name="x")[..., 0] != LESION
    assert wrong.sum() <= 12


def test_a_page_of_a_mask_is_named(tmp_path):
    pages = [Image.fromarray(part) for part in (LESION * 0, LESION * 255)]
    pages[0].save(tmp_path / "m.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(InputError, match="2 pages.*option page"):
        read_mask(tmp_path / "m.tif", name="x")
    found = read_mask(tmp_path / "m.tif", name="x", page=2)
    assert np.array_equal(found[..., 0], LESION)
    with pytest.raises(InputError, match="page 3 of 2"):
        read_mask(tmp_path / "m.tif", name="x", page=3)
    single = saved(tmp_path / "single.tif", LESION)
    assert np.array_equal(read_mask(single, name="x", page=2)[..., 0], LESION)
