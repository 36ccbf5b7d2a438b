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


@pytest.mark.parametrize("size", [0, 24, 64, 200])
def test_masks_that_lose_nothing_are_those_of_the_nearest_pixel(size):
    mask = disc()
    small, lost = fitted_mask(mask, size)
    same = letterbox(mask, size, interpolation=cv2.INTER_NEAREST) if size else mask
    assert not lost and np.array_equal(small, same)


def test_each_class_keeps_a_pixel():
    mask = np.zeros((1000, 1000), np.uint8)
    mask[100:600, 100:600] = 1
    mask[300, 300], mask[300, 301] = 2, 3
    small, lost = fitted_mask(mask, 10)
    assert lost and set(np.unique(small)) == {0, 1, 2, 3}
