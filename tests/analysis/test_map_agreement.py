"""A map beside a region and beside chance, on made-up maps with known answers."""

import numpy as np
import pytest

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.judge import map_agreement
from ultrasound_jax.analysis.judge.map_agreement import (
    MEASURES,
    agreement,
    marks_of,
    nulls_alone,
    nulls_of_others,
)

SIDE = 12


def square(top, left, height=3, width=4, side=SIDE):
    region = np.zeros((side, side), bool)
    region[top : top + height, left : left + width] = True
    return region


def told(numbers):
    return dict(zip(MEASURES, np.round(numbers, 6).tolist(), strict=True))


@pytest.fixture(autouse=True)
def two_pixels(monkeypatch):
    """A tolerance that leaves something of so small a picture."""
    monkeypatch.setattr(map_agreement, "TOLERANCE", 2.0)


def around(region, reach):
    """Places whose nearest place of the region is so close, looked for one by one."""
    inside = np.argwhere(region)
    places = np.argwhere(np.ones(region.shape))
    apart = np.linalg.norm(places[:, None] - inside, axis=-1).min(1)
    return (apart <= reach).reshape(region.shape)


def test_a_place_close_to_the_region_is_near_and_not_in_it():
    region = np.zeros((9, 9), bool)
    region[4, 4] = True
    for (row, column), near in {(2, 4): 1, (3, 5): 1, (2, 5): 0, (4, 7): 0}.items():
        values = np.zeros((9, 9))
        values[row, column] = 1.0
        found = told(agreement(marks_of(values), region))
        assert (found["pointing"], found["near"]) == (0, near)


def test_a_map_that_is_the_region_agrees_with_it_wholly():
    region = square(2, 5)
    found = told(agreement(marks_of(3.0 * region), region))
    assert found == {"iou": 1, "dice": 1, "pointing": 1, "energy": 1, "near": 1}


def test_a_map_beside_the_region_agrees_with_nothing_of_it():
    found = agreement(marks_of(square(8, 0) * 1.0), square(2, 5))
    assert not found.any()


def test_a_constant_map_says_as_much_as_the_regions_share_of_the_picture():
    region = square(2, 5)
    share = region.mean()
    found = told(agreement(marks_of(np.full((SIDE, SIDE), 0.4)), region))
    wanted = {"iou": share, "dice": 2 * share / (1 + share)}
    wanted |= {"pointing": share, "energy": share}
    wanted["near"] = around(region, 2.0).mean()
    assert found == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("level", [0.0, -1.0])
def test_a_map_that_is_nowhere_above_zero_misses(level):
    marks = marks_of(np.full((SIDE, SIDE), level))
    assert not marks.area.any()
    assert not agreement(marks, square(2, 5)).any()
    assert not nulls_alone(marks, square(2, 5))["moved"].any()


def test_the_area_is_what_reaches_seven_tenths_of_the_largest_value():
    values = np.zeros((SIDE, SIDE))
    values[0, :4] = 1.0, 0.71, 0.69, -5.0
    marks = marks_of(values)
    assert np.flatnonzero(marks.area).tolist() == [0, 1]
    np.testing.assert_allclose(marks.energy[0, :4], np.array([1, 0.71, 0.69, 0]) / 2.4)


def test_of_several_largest_places_the_share_inside_counts():
    values = np.zeros((SIDE, SIDE))
    values[[2, 2, 2, 9], [5, 6, 7, 9]] = 1.0
    assert told(agreement(marks_of(values), square(2, 5)))["pointing"] == 0.75


def test_the_moved_map_keeps_its_shape_and_goes_to_every_place_where_it_fits():
    """By hand: all shifts of the area within the picture, one after the other."""
    rng = np.random.default_rng(3)
    values = np.zeros((SIDE, SIDE))
    values[4:7, 1:6] = rng.uniform(0.2, 1.0, (3, 5))
    marks, region = marks_of(values), square(2, 5)
    rows, columns = np.nonzero(marks.area)
    found = []
    for down in range(-rows.min(), SIDE - rows.max()):
        for across in range(-columns.min(), SIDE - columns.max()):
            moved = np.roll(values, (down, across), (0, 1))
            area = marks_of(moved)
            assert area.area.sum() == marks.area.sum()
            found.append(agreement(area, region))
            found[-1][3] = (area.area & region).sum() / area.area.sum()
    null = nulls_alone(marks, region)["moved"]
    np.testing.assert_allclose(null, np.mean(found, axis=0), rtol=1e-5)


def test_the_centre_is_a_disc_as_large_as_the_area_and_points_to_the_middle():
    middle, beside = square(5, 5, 2, 2), square(0, 0)
    marks = marks_of(square(9, 3, 2, 2) * 1.0)
    assert told(nulls_alone(marks, middle)["centre"])["iou"] == 1
    assert told(nulls_alone(marks, middle)["centre"])["pointing"] == 1
    assert not nulls_alone(marks, beside)["centre"].any()
    half = square(5, 5, 2, 1)
    assert told(nulls_alone(marks, half)["centre"])["pointing"] == 0.5


def three():
    """Images of three patients, the first of whom has two."""
    regions = [square(2, 5), square(2, 6), square(6, 1), square(0, 0)]
    rng = np.random.default_rng(1)
    values = [r * 1.0 + rng.uniform(0, 0.3, r.shape) for r in regions]
    return [marks_of(v) for v in values], regions, np.array([0, 0, 1, 2])


def test_nulls_of_others_are_the_mean_over_all_images_of_other_patients():
    marks, regions, patient = three()
    found = nulls_of_others(marks, regions, patient)
    for i in range(4):
        others = [j for j in range(4) if patient[j] != patient[i]]
        maps = np.mean([agreement(marks[j], regions[i]) for j in others], axis=0)
        places = np.mean([agreement(marks[i], regions[j]) for j in others], axis=0)
        np.testing.assert_allclose(found["other_map"][i], maps, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(
            found["other_region"][i], places, rtol=1e-5, atol=1e-7
        )


def test_of_many_other_images_so_many_are_drawn_by_the_seed(monkeypatch):
    monkeypatch.setattr(map_agreement, "PARTNERS", 1)
    marks, regions, patient = three()
    found = nulls_of_others(marks, regions, patient, seed=5)
    again = nulls_of_others(marks, regions, patient, seed=5)
    for null, numbers in found.items():
        np.testing.assert_array_equal(numbers, again[null])
    single = [agreement(marks[j], regions[3]) for j in range(3)]
    assert any(np.allclose(found["other_map"][3], one) for one in single)


def test_what_cannot_be_compared_is_refused():
    marks, regions, _ = three()
    with pytest.raises(AnalysisError, match="regions of one patient only"):
        nulls_of_others(marks, regions, np.zeros(4, int))
    with pytest.raises(AnalysisError, match="a region without a pixel"):
        agreement(marks[0], np.zeros((SIDE, SIDE), bool))
    with pytest.raises(AnalysisError, match=r"a region of \(5, 5\), a map of"):
        agreement(marks[0], np.ones((5, 5), bool))
    with pytest.raises(AnalysisError, match="not finite"):
        marks_of(np.array([[np.nan, 1.0]]))
