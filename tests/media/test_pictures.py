import cv2
import numpy as np
import pytest
from PIL import Image

from ultrasound_jax.media import picture_header
from ultrasound_jax.media.mask_values import foreground
from ultrasound_jax.media.pictures import (
    grey,
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
