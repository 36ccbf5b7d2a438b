import dataclasses

import pytest
from pydicom.dataset import Dataset

from tests.dicom.made import header
from ultrasound_jax.dicom.read.region_kinds import (
    beside_the_plane,
    kind_of,
    kind_without_plane,
)
from ultrasound_jax.dicom.read.regions import (
    choose_region,
    read_regions,
    side_by_side,
)
from ultrasound_jax.types import InputError

ROWS, COLUMNS = 100, 200


def item(box=(10, 20, 109, 79), form=1, kind=1, units=(3, 3), deltas=(0.05, 0.05)):
    found = Dataset()
    sides = ("MinX0", "MinY0", "MaxX1", "MaxY1")
    for side, value in zip(sides, box or (), strict=False):
        setattr(found, f"RegionLocation{side}", value)
    found.RegionSpatialFormat, found.RegionDataType, found.RegionFlags = form, kind, 2
    found.PhysicalUnitsXDirection, found.PhysicalUnitsYDirection = units
    found.PhysicalDeltaX, found.PhysicalDeltaY = deltas
    return found


def regions(*items):
    return read_regions(header(ROWS, COLUMNS, SequenceOfUltrasoundRegions=list(items)))


def choose(*items, **options):
    chosen, notes = choose_region(regions(*items), ROWS, COLUMNS, **options)
    return chosen, notes


def box(region):
    return region.left, region.top, region.right, region.bottom


def test_a_region_is_read_with_millimetres_a_pixel():
    [region] = regions(item(deltas=(0.05, -0.025)))
    assert box(region) == (10, 20, 109, 79)
    assert (region.mm_x, region.mm_y) == pytest.approx((0.5, 0.25))
    assert (region.spatial_format, region.data_type, region.flags) == (1, 1, 2)
    assert (region.reference_x, region.index) == (None, 0)


def test_the_last_row_and_column_belong_to_the_region():
    chosen, notes = choose(item())
    assert (chosen.width, chosen.height) == (100, 60) and notes == []


@pytest.mark.parametrize(
    ("units", "deltas"), [((0, 0), (1, 1)), ((4, 3), (1, 1)), ((3, 3), (0, 1))]
)
def test_only_centimetres_are_a_scale(units, deltas):
    [region] = regions(item(units=units, deltas=deltas))
    assert region.mm_x is None and not region.is_spatial


def test_the_first_calibrated_tissue_plane_is_chosen():
    others = [
        item(form=0, kind=0),
        item(form=2),
        item(kind=2),
        item(units=(0, 0)),
    ]
    chosen, notes = choose(*others, item(box=(1, 2, 3, 4)))
    assert chosen.index == 4 and box(chosen) == (1, 2, 3, 4) and notes == []


def test_the_first_of_several_is_noted():
    chosen, notes = choose(item(), item())
    assert chosen.index == 0 and notes == ["region 0 is the first of 2"]


@pytest.mark.parametrize(
    ("items", "index", "note"),
    [
        ([item(kind=2), item(units=(0, 0))], 1, "no 2-D tissue region has a scale"),
        ([item(form=2), item(kind=2)], 1, "no 2-D region holds tissue"),
        ([item(form=3), item(kind=2, units=(0, 0))], 1, "or has a scale"),
    ],
)
def test_each_step_back_is_noted(items, index, note):
    chosen, notes = choose(*items)
    assert chosen.index == index and note in notes[0]


def test_without_a_plane_the_whole_picture_is_taken_without_a_scale():
    chosen, notes = choose(item(form=2), item(form=3))
    assert box(chosen) == (0, 0, COLUMNS - 1, ROWS - 1)
    assert chosen.mm_x is None and "no region is 2-D" in notes[0]


def test_without_regions_there_is_nothing_to_choose():
    assert choose_region((), ROWS, COLUMNS) is None


def test_a_box_is_clipped_to_the_picture_with_a_note():
    chosen, notes = choose(item(box=(0, 0, COLUMNS, ROWS)))
    assert box(chosen) == (0, 0, COLUMNS - 1, ROWS - 1)
    assert notes == [
        "region 0 (0,0,200,100) is clipped to the picture of 200 x 100 pixels"
    ]
    assert chosen.mm_x == pytest.approx(0.5)


@pytest.mark.parametrize("outside", [(300, 0, 400, 50), (50, 50, 40, 60), None])
def test_a_box_outside_the_picture_gives_the_whole_one_with_a_note(outside):
    chosen, notes = choose(item(box=outside))
    assert box(chosen) == (0, 0, COLUMNS - 1, ROWS - 1)
    assert "lies outside the picture" in notes[0]


def test_a_region_can_be_asked_for():
    chosen, notes = choose(item(), item(form=2, box=(5, 6, 7, 8)), index=1)
    assert box(chosen) == (5, 6, 7, 8) and notes == []
    with pytest.raises(InputError, match="region 2 is asked for, the file has 2"):
        choose(item(), item(), index=2)


def test_an_empty_picture_has_no_region():
    with pytest.raises(InputError, match="0 x 5 pixels"):
        choose_region(regions(item()), 5, 0)


def test_a_region_is_plain_data():
    [region] = regions(item())
    assert dataclasses.asdict(region)["bottom"] == 79


def test_the_largest_of_several_is_chosen_and_noted():
    small, large = item(box=(0, 0, 49, 49)), item(box=(60, 0, 159, 79))
    for items in ([small, large], [small, item(kind=2), large]):
        chosen, notes = choose(*items)
        assert box(chosen) == (60, 0, 159, 79)
        assert f"region {chosen.index} is the largest of 2" in notes[0]


def test_only_what_lies_within_the_picture_makes_a_region_large():
    beyond, within = item(box=(190, 0, 900, 99)), item(box=(0, 0, 99, 49))
    assert choose(beyond, within)[0].index == 1


def test_a_larger_region_without_a_scale_or_tissue_is_not_preferred():
    large = item(box=(0, 0, 199, 99), units=(0, 0)), item(box=(0, 0, 199, 99), kind=2)
    assert choose(*large, item(box=(0, 0, 9, 9)))[0].index == 2


LEFT, RIGHT = (0, 0, 99, 99), (100, 0, 199, 99)


@pytest.mark.parametrize(
    ("items", "taken"),
    [
        ([item(box=LEFT), item(box=RIGHT)], [0, 1]),
        ([item(box=RIGHT), item(form=3), item(box=LEFT)], [0, 2]),
        ([item(box=LEFT), item(box=(98, 0, 199, 99))], [0, 1]),
        ([item(box=LEFT), item(box=RIGHT, kind=2)], [0, 1]),
        # Colour boxes within, and pictures that cover each other.
        ([item(box=LEFT), item(box=(20, 20, 80, 80), kind=2)], [0]),
        ([item(box=(20, 20, 80, 80), kind=2), item(box=LEFT), item(box=RIGHT)], [1, 2]),
        ([item(box=LEFT), item(box=LEFT)], [0]),
        ([item(box=LEFT), item(box=(50, 0, 149, 99))], [0]),
        # Nothing that is a picture.
        ([item(box=LEFT), item(box=RIGHT, form=2)], [0]),
        ([item(box=LEFT), item(box=RIGHT, form=3)], [0]),
        ([item(box=LEFT), item(box=RIGHT, kind=13)], [0]),
        ([item(box=LEFT), item(box=(300, 0, 400, 99))], [0]),
        ([item(form=2)], []),
    ],
)
def test_pictures_side_by_side_are_those_that_do_not_cover_each_other(items, taken):
    found = side_by_side(regions(*items), ROWS, COLUMNS)
    assert [region.index for region in found] == taken


def test_both_halves_of_a_dual_screen_are_hinted_at():
    _, [note] = choose(item(box=LEFT), item(box=RIGHT))
    assert note.startswith("region 0 is the first of 2") and "--region all" in note


@pytest.mark.parametrize(
    ("form", "kind", "units", "named"),
    [
        (1, 1, (3, 3), "2-D"),
        (1, 2, (0, 0), "2-D"),
        (1, 18, (0, 0), "2-D"),
        (1, 3, (3, 3), "2-D"),  # both axes are lengths: it is no trace
        (1, 3, (4, 7), "spectral"),
        (0, 4, (4, 7), "spectral"),
        (3, 3, (4, 7), "spectral"),
        (3, 1, (4, 7), "spectral"),
        (2, 1, (4, 3), "m-mode"),
        (2, 2, (4, 3), "m-mode"),
        (4, 10, (0, 0), "waveform"),
        (0, 10, (0, 0), "waveform"),
        (0, 13, (0, 0), "graphics"),
        (5, 0, (0, 0), "graphics"),
        (0, 0, (0, 0), ""),
        (0, 1, (3, 3), "2-D"),
    ],
)
def test_a_region_says_what_it_shows(form, kind, units, named):
    [region] = regions(item(form=form, kind=kind, units=units))
    assert kind_of(region) == named


SPECTRAL, M_MODE = {"form": 3, "kind": 3}, {"form": 2}


@pytest.mark.parametrize(
    ("items", "kind"),
    [
        ([], ""),
        ([item()], ""),
        ([item(), item(**SPECTRAL)], ""),
        ([item(**SPECTRAL)], "spectral"),
        ([item(**M_MODE)], "m-mode"),
        ([item(form=0, kind=0, units=(0, 0)), item(**SPECTRAL)], "spectral"),
        ([item(form=0, kind=0, units=(0, 0))], ""),
        ([item(form=4, kind=10)], "waveform"),
        ([item(form=4, kind=10), item(**M_MODE)], "m-mode"),
        ([item(box=LEFT, **M_MODE), item(box=(0, 0, 9, 9), **SPECTRAL)], "m-mode"),
        ([item(box=None, **M_MODE), item(box=None, **SPECTRAL)], "spectral"),
    ],
)
def test_a_file_without_a_plane_is_named_by_most_of_what_it_shows(items, kind):
    assert kind_without_plane(regions(*items)) == kind


def test_traces_beside_a_plane_are_noted():
    shown = regions(item(), item(**SPECTRAL), item(form=4, kind=10), item(**M_MODE))
    assert beside_the_plane(shown) == [
        "shows region 1 (spectral), region 3 (m-mode) beside the 2-D picture"
    ]
    for items in ([item()], [item(**SPECTRAL)], [item(), item(form=4, kind=10)]):
        assert beside_the_plane(regions(*items)) == []
