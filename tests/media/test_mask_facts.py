import cv2
import numpy as np
import pytest

from ultrasound_jax.media.geometry import letterbox
from ultrasound_jax.media.mask_facts import FACTS, fitted_mask, mask_facts


def disc(centre=(50, 40), radius=15, shape=(90, 120)):
    mask = np.zeros(shape, np.uint8)
    cv2.circle(mask, centre, radius, 1, -1)
    return mask


def line(thickness, closed=True):
    mask = np.zeros((90, 120), np.uint8)
    cv2.ellipse(mask, (60, 45), (40, 25), 10, 0, 360 if closed else 250, 1, thickness)
    return mask


def crescent():
    mask = disc((60, 45), 14)
    return mask - mask * disc((56, 45), 14)


def frame():
    mask = np.ones((90, 120), np.uint8)
    mask[3:-3, 3:-3] = 0
    return mask


def speckle(share):
    return (np.random.default_rng(0).random((90, 120)) < share).astype(np.uint8)


def vessels():
    mask = np.zeros((90, 120), np.uint8)
    mask[10:80:14, 10:100:20] = 1
    return cv2.dilate(mask, np.ones((5, 5), np.uint8))


@pytest.mark.parametrize(
    ("mask", "facts"),
    [
        (speckle(0.2) * disc((60, 45), 40), ["scattered"]),
        (speckle(0.8) * disc((60, 45), 40), ["scattered"]),
        (vessels(), []),
        (disc(), []),
        (disc(radius=1), []),
        (disc((0, 0)), []),
        (disc((60, 45), 44), []),
        (disc() * 0, ["empty"]),
        (disc() * 0 + 1, ["full", "touches_all_borders", "inverted_suspected"]),
        (1 - disc(), ["touches_all_borders", "inverted_suspected"]),
        (1 - disc((0, 0)), ["touches_all_borders", "inverted_suspected"]),
        (disc((60, 45), 62), ["touches_all_borders"]),
        (line(1), ["outline_only"]),
        (line(3), ["outline_only"]),
        (line(2, closed=False), ["outline_only"]),
        (line(-1), []),
        (crescent(), []),
        (frame(), ["touches_all_borders", "outline_only"]),
        (disc() + disc((90, 70), 4), []),
        (disc() * 2, []),
    ],
)
def test_what_is_implausible_of_a_mask_is_told(mask, facts):
    assert mask_facts(mask) == facts and set(facts) <= set(FACTS)


def test_a_small_lesion_keeps_a_pixel_and_is_told():
    mask = np.zeros((900, 1200), np.uint8)
    mask[331:333, 700:702] = 1
    small, lost = fitted_mask(mask, 64)
    assert lost and small.sum() == 1
    (row, column) = np.argwhere(small)[0]
    # 64 px for 1200, 48 for 900, margins of 8 above and below
    assert (row, column) == (8 + 331 * 48 // 900, 700 * 64 // 1200)


def test_a_small_lesion_beside_a_large_one_keeps_a_pixel_and_is_told():
    mask = np.zeros((512, 512), np.uint8)
    mask[304:424, 304:424] = 1
    mask[101, 41:43] = 1  # two pixels, of which the nearest of 8 x 8 sees none
    small, lost = fitted_mask(mask, 64)
    assert lost and small.sum() == 15 * 15 + 1
    assert small[101 * 64 // 512, 41 * 64 // 512] == 1


def test_a_shrunk_mask_is_of_what_covers_most_of_each_pixel():
    rng = np.random.default_rng(0)
    blurred = cv2.GaussianBlur(rng.standard_normal((96, 192)), (0, 0), 9)
    mask = (blurred > 0.01).astype(np.uint8)
    small, lost = fitted_mask(mask, 48)
    by_hand = mask.reshape(24, 4, 48, 4).mean(axis=(1, 3)) > 0.5
    assert not lost and not small[:12].any() and not small[36:].any()
    np.testing.assert_array_equal(small[12:36], by_hand)


@pytest.mark.parametrize("size", [64, 100, 128])
def test_a_shrunk_mask_keeps_its_area_and_its_place(size):
    """The nearest pixel of OpenCV moves it by up to half a pixel to the upper left."""
    y, x = np.mgrid[:500, :500] + 0.5
    mask = (np.hypot(x - 231, y - 317) < 90).astype(np.uint8)
    small, _ = fitted_mask(mask, size)
    area = np.pi * 90**2 * (size / 500) ** 2
    assert small.sum() == pytest.approx(area, rel=0.03)
    middle = (np.argwhere(small) + 0.5).mean(axis=0) * 500 / size
    np.testing.assert_allclose(middle, (317, 231), atol=0.15 * 500 / size)


@pytest.mark.parametrize("stretch", [False, True])
def test_a_mask_lies_where_its_image_does(stretch):
    """Both are put into the square in one way, whether the aspect is kept or not."""
    mask = np.zeros((300, 420), np.uint8)
    mask[60:180, 240:380] = 1
    small, _ = fitted_mask(mask, 96, stretch=stretch)
    image = letterbox(mask * 255, 96, stretch=stretch)
    np.testing.assert_array_equal(small > 0, image > 127)
    rows = np.flatnonzero(small.any(axis=1))
    wanted = (
        (60 / 300, 180 / 300) if stretch else (60 / 420 + 14 / 96, 180 / 420 + 14 / 96)
    )
    assert (rows[0], rows[-1] + 1) == pytest.approx(np.array(wanted) * 96, abs=1)


@pytest.mark.parametrize("size", [0, 120, 173, 240])
def test_an_enlarged_mask_loses_nothing_and_stays_where_it_is(size):
    mask = disc()
    small, lost = fitted_mask(mask, size)
    assert not lost
    scale = (size or 120) / 120
    assert small.sum() == pytest.approx(mask.sum() * scale**2, rel=0.02)
    above = (len(small) - 90 * scale) / 2
    middle = (np.argwhere(small) + 0.5).mean(axis=0) - (above, 0)
    np.testing.assert_allclose(middle / scale, (40.5, 50.5), atol=0.5)


def test_each_class_keeps_a_pixel():
    mask = np.zeros((1000, 1000), np.uint8)
    mask[100:600, 100:600] = 1
    mask[300, 300], mask[300, 301] = 2, 3
    small, lost = fitted_mask(mask, 10)
    assert lost and set(np.unique(small)) == {0, 1, 2, 3}
