import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from ultrasound_jax.media import picture_header
from ultrasound_jax.media.mask_values import foreground
from ultrasound_jax.media.picture_header import is_deep
from ultrasound_jax.media.pictures import (
    grey,
    hounsfield,
    largest_value,
    list_images,
    natural_order,
    read_picture,
)
from ultrasound_jax.types import InputError

RAMP = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20


@pytest.fixture
def read(tmp_path):
    def stored(picture, suffix=".png", **options):
        path = tmp_path / f"Mary Smith{suffix}"
        picture.save(path, **options)
        return read_picture(path, name="image 1")

    return stored


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P"])
def test_every_colour_mode_of_a_grey_picture_has_its_grey(read, mode):
    found = read(Image.fromarray(RAMP).convert(mode))
    assert np.array_equal(grey(found, name="x"), RAMP)


def test_two_colours_are_black_and_white(read):
    found = read(Image.fromarray(RAMP > 100))
    assert found.dtype == np.uint8 and set(np.unique(found)) == {0, 255}


def test_palettes_show_their_colours(read):
    picture = Image.fromarray(np.array([[0, 1]], np.uint8), mode="P")
    picture.putpalette([255, 0, 0, 0, 0, 255])
    assert read(picture).tolist() == [[[255, 0, 0], [0, 0, 255]]]


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float32])
def test_deep_tiff_values_are_kept(tmp_path, dtype):
    values = (np.arange(6).reshape(2, 3) * 900).astype(dtype)
    values -= 0 if dtype == np.uint16 else 2000
    assert cv2.imwrite(str(tmp_path / "deep.tif"), values)
    found = read_picture(tmp_path / "deep.tif", name="image 1")
    assert found.dtype == dtype and np.array_equal(found, values)


def test_deep_colour_is_not_cut_to_eight_bits(tmp_path):
    values = np.arange(18, dtype=np.uint16).reshape(2, 3, 3) * 3000
    assert cv2.imwrite(str(tmp_path / "deep.tif"), values[..., ::-1])
    assert np.array_equal(read_picture(tmp_path / "deep.tif", name="x"), values)


def test_luminance_weighs_the_channels():
    colour = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    assert grey(colour, name="x").tolist() == [[76, 150, 29]]
    assert grey(np.array([[65535, 256]], np.uint16), name="x").tolist() == [[255, 1]]


def test_values_that_are_not_grey_are_refused():
    with pytest.raises(InputError, match="image 1: pixels are int16, allowed"):
        grey(np.zeros((2, 2), np.int16), name="image 1")


def test_a_name_is_never_that_of_the_file(tmp_path, read):
    path = tmp_path / "Mary Smith.png"
    read(Image.fromarray(RAMP))
    whole = path.read_bytes()
    for damaged in (b"", b"text", whole[:40], whole[: len(whole) - 30], whole[:60] * 2):
        path.write_bytes(damaged)
        with pytest.raises(InputError) as refused:
            read_picture(path, name="image 1")
        assert str(refused.value).startswith("image 1: ")
        assert "Mary" not in str(refused.value) and "\n" not in str(refused.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="image 1: no such file"):
        read_picture(tmp_path / "Mary Smith.png", name="image 1")


def test_large_pictures_are_refused_before_they_are_decoded(read, monkeypatch):
    monkeypatch.setattr(picture_header, "MAX_PIXELS", 11)
    with pytest.raises(InputError, match="4 x 3 px, allowed are 11 pixels"):
        read(Image.fromarray(RAMP))


def test_a_header_that_claims_much_is_refused(tmp_path):
    path = tmp_path / "bomb.png"
    Image.fromarray(RAMP).save(path)
    stored = bytearray(path.read_bytes())
    stored[16:24] = (200_000).to_bytes(4, "big") * 2
    path.write_bytes(stored)
    with pytest.raises(InputError, match="image 1: "):
        read_picture(path, name="image 1")


def test_several_pictures_in_a_file_are_refused(read):
    with pytest.raises(InputError, match="several pictures in one file"):
        read(
            Image.fromarray(RAMP),
            ".tif",
            save_all=True,
            append_images=[Image.fromarray(RAMP)],
        )


def test_other_formats_are_not_opened(read):
    with pytest.raises(InputError, match="allowed: PNG, JPEG, TIFF, BMP"):
        read(Image.fromarray(RAMP), ".gif")


def test_numbers_in_names_are_ordered_by_value():
    names = ["a (10).png", "a (2).png", "a.png", "B 1", "a (2)b.png", "7", "07"]
    assert sorted(names, key=natural_order)[:3] == ["07", "7", "B 1"]
    assert sorted(names[:3], key=natural_order) == ["a (2).png", "a (10).png", "a.png"]


def test_hidden_files_and_others_are_not_listed(tmp_path):
    for name in ("b.TIF", "a.png", ".a.png", "notes.txt", "10.jpg", "9.jpeg"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    names = [path.name for path in list_images(tmp_path)]
    assert names == ["9.jpeg", "10.jpg", "a.png", "b.TIF"]


@pytest.mark.parametrize(
    ("values", "marked"),
    [
        ([0, 1, 1, 0], [0, 1, 1, 0]),
        ([0, 255, 255, 0], [0, 1, 1, 0]),
        ([0, 37, 37, 0], [0, 1, 1, 0]),
        ([255, 255, 255, 255], [1, 1, 1, 1]),
        ([0, 0, 0, 0], [0, 0, 0, 0]),
        ([0, 100, 200, 255], [0, 0, 1, 1]),
    ],
)
def test_what_a_mask_marks(values, marked):
    mask = np.array([values], np.uint8)
    assert foreground(mask, name="x")[0, :, 0].tolist() == marked


def test_a_mask_of_several_dim_values_is_refused():
    with pytest.raises(InputError, match="more than two values up to 90"):
        foreground(np.array([[0, 50, 90]], np.uint8), name="x")
    with pytest.raises(InputError, match="more than two values up to 9 "):
        foreground(np.array([[0, 3, 1, 9]], np.uint8), name="x")


def put(path, pixels, **options):
    Image.fromarray(pixels).save(path, **options)
    return path


def exif(orientation):
    found = Image.Exif()
    found[274] = orientation
    return found


TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".lzw.tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["L", "RGB", "P", "I;16", "F"])
def test_pictures_are_upright(tmp_path, suffix, orientation, mode):
    values = np.arange(16 * 24).reshape(16, 24) // 2
    picture = Image.fromarray(values.astype(np.uint8))
    if mode in ("I;16", "F"):
        picture = Image.fromarray(values.astype(np.uint16 if mode[0] == "I" else "f4"))
        if suffix == ".jpg" or (suffix == ".png" and mode == "F"):
            return
    elif not (mode == "P" and suffix == ".jpg"):
        picture = picture.convert(mode)
    path = tmp_path / f"a{suffix}"
    options = {"compression": "tiff_lzw"} if suffix == ".lzw.tif" else {}
    picture.save(path, exif=exif(orientation), **options)
    turn = TURNS.get(orientation)
    upright = picture.transpose(turn) if turn is not None else picture
    wanted = np.asarray(upright.convert("L") if mode == "P" else upright).astype(float)
    found = read_picture(path, name="x").astype(float)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= (12 if suffix == ".jpg" else 0)


@pytest.mark.parametrize(
    ("largest", "bits"), [(255, 8), (900, 10), (1023, 10), (4095, 12), (9000, 14)]
)
@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("colour", [False, True])
def test_deep_pictures_use_the_bits_that_they_need(
    tmp_path, largest, bits, suffix, colour
):
    values = np.linspace(0, largest, 60).reshape(6, 10).astype(np.uint16)
    pixels = np.repeat(values[..., None], 3, axis=2) if colour else values
    path = tmp_path / f"a{suffix}"
    cv2.imwrite(str(path), pixels)
    found = grey(read_picture(path, name="x"), name="x")
    assert np.array_equal(found, values >> (bits - 8))
    assert is_deep(path)
    assert largest_value(read_picture(path, name="x")) == largest
    as_a_set = grey(read_picture(path, name="x"), name="x", bits=16)
    assert np.array_equal(as_a_set, values >> 8)


def test_only_whole_numbers_of_more_than_8_bits_have_a_depth(tmp_path):
    for suffix in (".png", ".jpg", ".tif", ".bmp"):
        path = put(tmp_path / f"a{suffix}", RAMP)
        assert not is_deep(path) and largest_value(read_picture(path, name="x")) == 0
    for dtype in (np.int16, np.float32, np.float64):
        cv2.imwrite(str(tmp_path / "a.tif"), RAMP.astype(dtype))
        assert is_deep(tmp_path / "a.tif")
        assert largest_value(read_picture(tmp_path / "a.tif", name="x")) == 0


def test_white_is_zero_is_inverted(tmp_path):
    path = put(tmp_path / "a.tif", RAMP, tiffinfo={262: 0})
    assert np.array_equal(read_picture(path, name="x"), RAMP)
    path = put(tmp_path / "b.tif", RAMP > 100, tiffinfo={262: 0})
    assert np.array_equal(read_picture(path, name="x") > 0, RAMP > 100)


@pytest.mark.parametrize("brightest", [1023, 4095, 65535])
@pytest.mark.parametrize("endian", "<>")
def test_deep_white_is_zero_is_inverted_in_the_bits_that_it_uses(
    tmp_path, brightest, endian
):
    values = np.linspace(0, brightest, 20).reshape(4, 5).astype(np.uint16)
    tags = [(256, 5), (257, 4), (258, 16), (259, 1), (262, 0)]
    tags += [(273, 8 + 2 + 12 * 9 + 4), (277, 1), (278, 4), (279, 40)]
    rows = b"".join(
        struct.pack(f"{endian}HHI", tag, 3, 1) + struct.pack(f"{endian}HH", number, 0)
        for tag, number in tags
    )
    head = {"<": b"II", ">": b"MM"}[endian] + struct.pack(f"{endian}HIH", 42, 8, 9)
    pixels = (brightest - values).astype(f"{endian}u2").tobytes()
    (tmp_path / "a.tif").write_bytes(head + rows + bytes(4) + pixels)
    assert np.array_equal(read_picture(tmp_path / "a.tif", name="x"), values)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fractions_are_shades(tmp_path, dtype):
    values = np.linspace(0, 1, 20).reshape(4, 5).astype(dtype)
    cv2.imwrite(str(tmp_path / "a.tif"), values)
    found = grey(read_picture(tmp_path / "a.tif", name="x"), name="x")
    assert np.array_equal(found, np.rint(values * 255))
    with pytest.raises(InputError, match="fractions of 0 to 2, allowed are 0 to 1"):
        grey(values * 2, name="x")


def test_whole_numbers_of_32_bits_are_shades_if_they_have_no_sign(tmp_path):
    path = put(tmp_path / "a.tif", RAMP.astype(np.int32))
    assert np.array_equal(grey(read_picture(path, name="x"), name="x"), RAMP)
    with pytest.raises(InputError, match="pixels are int32"):
        grey(RAMP.astype(np.int32) - 9, name="x")


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_scaled_slices_are_no_hounsfield_units(dtype):
    values = np.array([[0, 1], [1, 0]], dtype)
    with pytest.raises(InputError, match="values 0 to 1 are no Hounsfield units"):
        hounsfield(values, name="x")
    assert hounsfield(np.zeros((2, 2), np.int16), name="x").dtype == np.int16


@pytest.mark.parametrize("bits", [(10, 2), (64, 1), (64, 2), (24, 3), (128, 6)])
def test_samples_that_cannot_be_read_are_named(tmp_path, bits):
    path = put(tmp_path / "Mary.tif", RAMP, tiffinfo={339: bits[1]})
    whole = bytearray(path.read_bytes())
    place = whole.index(struct.pack("<HHI", 258, 3, 1)) + 8
    whole[place : place + 2] = struct.pack("<H", bits[0])
    path.write_bytes(whole)
    kinds = {1: "uint", 2: "int", 3: "float", 6: "complex float"}
    with pytest.raises(InputError) as refused:
        read_picture(path, name="image 1")
    text = str(refused.value)
    assert f"a TIFF of {kinds[bits[1]]}{bits[0]} samples" in text, text
    assert "allowed are uint8, uint16" in text and "Mary" not in text


def test_bytes_with_a_sign_are_numbers_with_a_sign(tmp_path):
    values = np.where(RAMP > RAMP.mean(), 7, -100).astype(np.int8)
    path = put(tmp_path / "x.tif", values.view(np.uint8), tiffinfo={339: 2})
    found = read_picture(path, name="x")
    assert found.dtype == np.int16 and np.array_equal(found, values)
    with pytest.raises(InputError, match="pixels are int16"):
        grey(found, name="x")
    shades = np.abs(values).view(np.uint8)
    path = put(tmp_path / "y.tif", shades, tiffinfo={339: 2})
    assert np.array_equal(grey(read_picture(path, name="y"), name="y"), shades)


def test_pages_of_doubles_are_named_as_what_they_are(tmp_path):
    pages = [RAMP.astype(np.float64), RAMP.astype(np.float64)]
    cv2.imwritemulti(str(tmp_path / "a.tif"), pages)
    with pytest.raises(InputError, match="x: several pages of float64, allowed is one"):
        read_picture(tmp_path / "a.tif", name="x")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.bool_])
def test_a_page_is_named(tmp_path, dtype):
    pages = [Image.fromarray((RAMP // k).astype(dtype)) for k in (1, 2, 90)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(InputError, match=r"\(3 pages\), allowed is one, or the option"):
        read_picture(tmp_path / "a.tif", name="x")
    for number, page in enumerate(pages, start=1):
        found = read_picture(tmp_path / "a.tif", name="x", page=number)
        assert np.array_equal(found > 0, np.asarray(page) > 0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_large_tiff_files_are_read(tmp_path, dtype):
    path = put(tmp_path / "a.tif", RAMP.astype(dtype), big_tiff=True)
    assert path.read_bytes()[2] == 43
    assert np.array_equal(read_picture(path, name="x"), RAMP)


def test_a_small_copy_is_no_page(tmp_path):
    copy = Image.fromarray(RAMP[::2, ::2])
    copy.encoderinfo = {"tiffinfo": {254: 1}}
    Image.fromarray(RAMP).save(tmp_path / "a.tif", save_all=True, append_images=[copy])
    assert np.array_equal(read_picture(tmp_path / "a.tif", name="x"), RAMP)


def test_a_stack_that_looks_like_one_page_is_refused(tmp_path):
    path = put(tmp_path / "a.tif", RAMP, tiffinfo={270: "ImageJ=1.53t\nimages=20\n"})
    with pytest.raises(InputError, match="an ImageJ stack, images=20"):
        read_picture(path, name="x")
    path = put(tmp_path / "b.tif", RAMP, tiffinfo={270: "ImageJ=1.53t\nimages=1\n"})
    assert np.array_equal(read_picture(path, name="x"), RAMP)


def test_the_picture_of_a_phone_is_the_first_of_its_file(tmp_path):
    path = tmp_path / "a.jpg"
    depth = Image.fromarray(RAMP[::2, ::2])
    Image.fromarray(RAMP).save(path, "MPO", save_all=True, append_images=[depth])
    assert read_picture(path, name="x").shape == RAMP.shape
