"""Boxes of masks against hand values."""

import numpy as np
import pytest

from ultrasound_jax.media import regions
from ultrasound_jax.media.regions import Box, Cut
from ultrasound_jax.types import InputError


def marked(shape, *boxes):
    mask = np.zeros(shape, bool)
    for top, left, bottom, right in boxes:
        mask[top:bottom, left:right] = True
    return mask


def test_a_box_holds_the_mask_and_nothing_more():
    mask = marked((40, 60), (10, 20, 14, 30))
    assert regions.box_of(mask) == Box(10, 20, 14, 30)
    assert regions.box_of(mask).sides == (4, 10)
    assert regions.box_of(marked((4, 4))) is None


def test_the_largest_piece_or_all_of_them():
    mask = marked((40, 60), (2, 2, 6, 6), (20, 30, 30, 40))
    mask[30, 40] = True  # a corner belongs to it
    largest = regions.part_of(mask, "largest")
    assert regions.box_of(largest) == Box(20, 30, 31, 41)
    assert regions.box_of(regions.part_of(mask, "union")) == Box(2, 2, 31, 41)
    assert largest.sum() == 101


@pytest.mark.parametrize(
    ("margin", "box"),
    [
        (0, Box(40, 40, 60, 80)),
        (10, Box(38, 36, 62, 84)),  # 10 % of 20 and of 40 at each edge
        (25, Box(35, 30, 65, 90)),
        (50, Box(30, 20, 70, 100)),
        (100, Box(20, 0, 80, 120)),
    ],
)
def test_a_margin_moves_each_edge_by_its_share_of_the_side(margin, box):
    cut = Cut("roi", margin, shape="stretched")
    assert regions.widened(Box(40, 40, 60, 80), cut, 100, 200) == box


def test_a_box_ends_with_the_picture():
    cut = Cut("roi", 50, shape="stretched")
    assert regions.widened(Box(2, 90, 22, 100), cut, 100, 100) == Box(0, 85, 32, 100)


def test_a_square_is_around_the_same_middle_and_moves_into_the_picture():
    cut = Cut("roi", 0, shape="square")
    assert regions.widened(Box(40, 40, 60, 80), cut, 100, 200) == Box(30, 40, 70, 80)
    # The side of 40 would begin 8 rows above the picture.
    assert regions.widened(Box(2, 40, 22, 80), cut, 100, 200) == Box(0, 40, 40, 80)
    assert regions.widened(Box(10, 0, 20, 90), cut, 50, 100) == Box(0, 0, 50, 90)


def test_a_region_shows_its_box_and_a_masked_one_is_black_outside():
    picture = np.arange(1, 101, dtype=np.uint8).reshape(10, 10)
    mask = marked((10, 10), (2, 3, 6, 7))
    mask[2, 3] = False
    region, box, found = regions.cut_out(picture, mask, Cut("roi", size=4))
    assert (box, found) == (Box(2, 3, 6, 7), True)
    assert np.array_equal(region, picture[2:6, 3:7])
    masked, _, _ = regions.cut_out(picture, mask, Cut("masked_roi", size=4))
    assert masked[0, 0] == 0
    masked[0, 0] = picture[2, 3]
    assert np.array_equal(masked, region)


@pytest.mark.parametrize("kind", ["roi", "masked_roi", "whole"])
def test_without_a_mask_it_is_the_whole_picture_and_that_is_said(kind):
    picture = np.arange(100, dtype=np.uint8).reshape(10, 10)
    cut = Cut(kind, 25, size=10)
    region, box, found = regions.cut_out(picture, marked((10, 10)), cut)
    assert np.array_equal(region, picture)
    assert (box, found) == (Box(0, 0, 10, 10), False)


def test_the_whole_picture_is_whole_whatever_the_mask():
    picture = np.arange(100, dtype=np.uint8).reshape(10, 10)
    mask = marked((10, 10), (2, 3, 6, 7))
    region, box, found = regions.cut_out(picture, mask, Cut("whole", size=10))
    assert np.array_equal(region, picture) and found
    assert box == Box(0, 0, 10, 10)


def test_a_mask_lies_on_the_same_place_of_a_larger_picture():
    mask = marked((8, 8), (2, 3, 4, 6)).astype(np.uint8)
    larger = regions.scaled_mask(mask, 24, 24)
    assert regions.box_of(larger > 0) == Box(6, 9, 12, 18)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kind": "square"}, "kind='square'.*whole, roi, masked_roi, true_roi"),
        ({"kind": "roi", "part": "all"}, "part='all'.*largest, union"),
        ({"kind": "roi", "shape": "round"}, "shape='round'.*square, stretched"),
        ({"kind": "roi", "margin": -1}, "margin=-1"),
    ],
)
def test_other_words_are_refused_with_the_list(options, said):
    with pytest.raises(InputError, match=said):
        Cut(**options)
