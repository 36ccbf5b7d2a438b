"""The phantom of chest CT: what its slices show, and a real TFDS build."""

from typing import Any

import cv2
import numpy as np
import pytest

from tests.datasets.building import built, records
from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.phantom_ct.patients import draw_patient, heights
from ultrasound_jax.datasets.phantom_ct.phantom_ct_dataset_builder import Builder
from ultrasound_jax.datasets.phantom_ct.picture import draw_slice

SIZE, SLICES, PATIENTS = 64, 6, 24
TINY = {"size": 32, "patients": 3, "slices": 4}


@pytest.fixture(scope="module")
def clinic():
    """All slices of some patients, each with its patient's number and its height."""
    return [
        (number, z, draw_slice(0, number, place, z, SIZE))
        for number in range(PATIENTS)
        for place, z in enumerate(heights(0, number, SLICES).tolist())
    ]


def test_the_same_numbers_give_the_same_bytes_and_others_do_not():
    first, second = (draw_slice(0, 4, 1, 0.5, SIZE) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.mask, second.mask)
    others = [
        draw_slice(1, 4, 1, 0.5, SIZE),
        draw_slice(0, 5, 1, 0.5, SIZE),
        draw_slice(0, 4, 2, 0.5, SIZE),
    ]
    assert all(np.mean(first.image != other.image) > 0.5 for other in others)
    higher = draw_slice(0, 4, 1, 0.2, SIZE)
    assert np.mean(first.mask != higher.mask) > 0.01


def test_units_are_those_of_a_scanner(clinic):
    for _, _, drawn in clinic:
        assert drawn.image.dtype == np.int16
        assert drawn.image.min() >= -1024 and drawn.image.max() <= 3071
        corner = drawn.image[: SIZE // 16, : SIZE // 16]
        assert corner.mean() == pytest.approx(-1000, abs=40)
        assert drawn.image.max() > 150  # bone, or contrast


def test_lungs_are_where_heights_say_two_and_of_the_lungs_density(clinic):
    both = 0
    for number, z, drawn in clinic:
        if z <= 0 or z >= 1:
            assert not drawn.mask.any()
        if not 0.2 < z < 0.65:
            continue
        assert 0.05 < drawn.mask.mean() < 0.5
        found, _, stats, _ = cv2.connectedComponentsWithStats(drawn.mask)
        large = sum(stats[1:found, cv2.CC_STAT_AREA] > 20)
        both += large == 2
        assert 1 <= large <= 4, (number, z)
        median = np.median(drawn.image[drawn.mask > 0])
        assert -950 < median < -600
    middle = sum(0.2 < z < 0.65 for _, z, _ in clinic)
    assert both > 0.8 * middle


def test_some_slices_show_no_lung_and_most_do(clinic):
    empty = np.mean([not drawn.mask.any() for _, _, drawn in clinic])
    assert 0.1 < empty < 0.4


def test_a_threshold_alone_does_not_find_the_lungs(clinic):
    dice = []
    for _, _, drawn in clinic:
        if drawn.mask.any():
            found = drawn.image < -400
            both = 2 * (found & (drawn.mask > 0)).sum()
            dice.append(both / (found.sum() + drawn.mask.sum()))
    assert np.mean(dice) < 0.6  # the air around the body, airways, vessels


def test_patients_differ_in_size_spacing_noise_and_a_third_has_consolidations(clinic):
    people = [draw_patient(0, number) for number in range(120)]
    assert len({person.field_mm for person in people}) == 120
    assert 0.2 < np.mean([bool(person.opacities) for person in people]) < 0.47
    spacing = {number: drawn.pixel_mm for number, _, drawn in clinic}
    assert len(set(spacing.values())) == PATIENTS
    assert max(spacing.values()) > 1.2 * min(spacing.values())
    assert spacing[0] == pytest.approx(people[0].field_mm / SIZE)


def test_a_larger_slice_shows_the_same_section():
    small, large = (draw_slice(0, 2, 3, 0.5, size) for size in (64, 192))
    shrunk = large.image.reshape(64, 3, 64, 3).mean(axis=(1, 3))
    assert np.corrcoef(small.image.ravel(), shrunk.ravel())[0, 1] > 0.95
    assert small.pixel_mm == pytest.approx(3 * large.pixel_mm)
    assert small.mask.mean() == pytest.approx(large.mask.mean(), rel=0.05)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return built(Builder, None, str(tmp_path_factory.mktemp("ct")), **TINY)


def test_a_build_holds_units_as_drawn(tiny):
    found = records(tiny)
    assert len(found) == 12
    record: dict[str, Any] = found["P001_02"]
    z = float(heights(0, 1, 4)[2])
    drawn = draw_slice(0, 1, 2, z, 32)
    np.testing.assert_array_equal(record["image"][..., 0], drawn.image)
    np.testing.assert_array_equal(record["mask"][..., 0], drawn.mask)
    assert (record["patient_id"], record["slice"]) == ("P001", 2)
    assert record["pixel_mm"] == pytest.approx(drawn.pixel_mm)
    assert record["labels"].tolist() == [int(drawn.mask.any())]


def test_its_specification_says_window_unit_and_structure(tiny):
    spec = tiny.spec()
    assert (spec["image"].dtype, spec["image"].values) == ("int16", (-1350.0, 150.0))
    assert spec["mask"].classes == ("lung",)
    assert spec.units == ("slice", "slice")


def test_it_needs_no_files():
    assert not Builder.MANUAL_DOWNLOAD_INSTRUCTIONS


def test_different_options_never_share_a_name_and_bad_ones_are_refused():
    changes = ({}, {"size": 97}, {"patients": 61}, {"slices": 5}, {"seed": 1})
    assert len({Builder.make_config(**one).name for one in changes}) == 5
    with pytest.raises(DatasetError, match=r"slices=0.*from 1 to 500"):
        Builder.make_config(slices=0)
