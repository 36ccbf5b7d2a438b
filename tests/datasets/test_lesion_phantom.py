"""The phantom of still images: what it shows, where, and a real TFDS build."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.datasets.building import built, records
from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.lesion_phantom import lesion as lesions
from ultrasound_jax.datasets.lesion_phantom import picture as pictures
from ultrasound_jax.datasets.lesion_phantom.lesion_phantom_dataset_builder import (
    Builder,
)
from ultrasound_jax.datasets.lesion_phantom.patients import (
    CLASSES,
    draw_patient,
    kind_of,
)
from ultrasound_jax.datasets.lesion_phantom.picture import draw_picture, shown
from ultrasound_jax.datasets.lesion_phantom.tissue import draw_tissue
from ultrasound_jax.datasets.lus_phantom.speckle import PointSpread, scatterers

SIZE, PATIENTS, IMAGES = 64, 30, 2
TINY = {"size": 32, "patients": 3, "images": 2}


@pytest.fixture(scope="module")
def clinic():
    """Images of ten patients of each kind, by kind."""
    drawn = {kind: [] for kind in CLASSES}
    for patient in range(PATIENTS):
        drawn[kind_of(0, patient)] += [
            draw_picture(0, patient, image, SIZE) for image in range(IMAGES)
        ]
    return drawn


@pytest.fixture(scope="module")
def sections():
    """Each lesion on the probe's grid: patient, view, and grey without and with it."""
    found = []
    for number in range(18):
        person = draw_patient(0, number)
        rng = np.random.default_rng([9, number])
        if (lesion := lesions.draw_lesion(rng, person.kind)) is None:
            continue
        tissue = draw_tissue(rng, person.probe, person.body)
        view = lesions.draw_view(rng, lesion, person.probe, person.body)
        grown = lesions.with_lesion(rng, tissue, view, person.probe)
        both = [
            shown(np.random.default_rng(number), person, one, view).astype(int)
            for one in (tissue, grown)
        ]
        found.append((person, view, *both))
    return found


def boxes(drawn):
    """Width and height of each lesion that lies wholly in its image."""
    sides = []
    for one in drawn:
        _, _, width, height = cv2.boundingRect(one.mask)
        if not one.mask[:, [0, -1]].any():
            sides.append((width, height))
    return np.array(sides, float)


def test_the_same_numbers_give_the_same_bytes():
    first, second = (draw_picture(0, 4, 1, 48) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.mask, second.mask)


@pytest.mark.parametrize("change", ["seed", "patient", "image"])
def test_another_seed_patient_or_image_gives_another_picture(change):
    numbers = {"seed": 0, "patient": 4, "image": 1}
    images = [
        draw_picture(**(numbers | {change: numbers[change] + add}), size=48).image
        for add in (0, 1)
    ]
    assert np.mean(images[0] != images[1]) > 0.5


def test_a_larger_image_shows_the_same_section():
    small, large = (draw_picture(0, 4, 1, size) for size in (64, 192))
    shrunk = cv2.resize(large.image, (64, 64), interpolation=cv2.INTER_AREA)
    alike = np.corrcoef(small.image.ravel(), shrunk.ravel())[0, 1]
    assert alike > 0.97
    assert small.pixel_mm == pytest.approx(3 * large.pixel_mm)


def test_each_three_patients_in_a_row_have_all_kinds_in_an_order_of_the_seed():
    orders = [tuple(kind_of(seed, n) for n in range(3)) for seed in range(8)]
    assert all(sorted(order) == sorted(CLASSES) for order in orders)
    assert len(set(orders)) > 2


def test_patients_differ_in_layers_depth_gain_and_speckle():
    people = [draw_patient(0, n) for n in range(20)]
    for name in ("gain_db", "dynamic_range_db", "noise_db", "curve", "body"):
        assert len({getattr(person, name) for person in people}) == 20
    depths = [person.probe.depth_mm for person in people]
    assert 36 <= min(depths) < 40 < 48 < max(depths) <= 52
    assert {person.looks for person in people} == {1, 2, 3}


def test_speckle_of_the_linear_array_is_that_of_many_scatterers():
    probe = draw_patient(0, 1).probe
    spot = PointSpread(probe)
    rng = np.random.default_rng(0)
    field = scatterers(rng, probe.samples, probe.beams) * spot.diffuse_gain
    envelope = np.hypot(*np.moveaxis(spot(field), -1, 0))[20:-20, 10:-10]
    assert np.mean(envelope**2) == pytest.approx(1, rel=0.06)
    # Of a Rayleigh distribution (Burckhardt 1978).
    assert envelope.mean() / envelope.std() == pytest.approx(1.91, rel=0.05)


def test_compounding_makes_speckle_smoother():
    person = draw_patient(0, 1)
    rng = np.random.default_rng(0)
    even = draw_tissue(rng, person.probe, person.body)
    flat = replace(
        even,
        level_db=0 * even.level_db,
        mirror=0 * even.mirror,
        loss_db_per_mm=0 * even.mirror,
    )
    spread = [
        shown(np.random.default_rng(1), replace(person, looks=looks), flat).std()
        for looks in (1, 3)
    ]
    assert spread[1] < 0.75 * spread[0]


def test_a_lesion_changes_what_its_mask_marks_and_what_lies_behind_it(sections):
    for person, view, without, grown in sections:
        changed, inside = np.abs(grown - without), view.inside(person.probe)
        reach = np.abs(view.outline_mm * np.cos(np.linspace(0, 2 * np.pi, 512))).max()
        across = np.abs(person.probe.places - view.place_mm)
        assert changed[:, across > reach + 15].max(initial=0) <= 1
        above = person.probe.depths < view.depth_mm - view.outline_mm.max() - 3
        assert changed[above].sum() < 0.2 * changed[inside].sum()


def test_lesions_are_darker_than_what_they_took_the_place_of(sections):
    darker = [
        np.mean((grown - without)[view.inside(person.probe)])
        for person, view, without, grown in sections
    ]
    assert np.mean(np.array(darker) < -5) > 0.8


def test_benign_lesions_enhance_what_lies_behind_and_malignant_ones_shadow_it(sections):
    seen = {"benign": [], "malignant": []}
    for person, view, without, grown in sections:
        below = person.probe.depths > view.depth_mm + view.outline_mm.max() + 1
        middle = np.abs(person.probe.places - view.place_mm) < 2
        behind = (grown - without)[np.ix_(below, middle)]
        seen[person.kind].append(behind.mean())
    assert len(seen["benign"]) == len(seen["malignant"]) == 6
    assert np.mean(np.array(seen["benign"]) > 3) > 0.5
    assert np.mean(np.array(seen["malignant"]) < -10) > 0.5
    assert min(seen["benign"]) > -3 and max(seen["malignant"]) < 3


def test_benign_lesions_are_wider_than_tall_and_malignant_ones_taller_than_wide(clinic):
    shapes = {kind: boxes(clinic[kind]) for kind in ("benign", "malignant")}
    ratio = {kind: sides[:, 1] / sides[:, 0] for kind, sides in shapes.items()}
    assert np.all(ratio["benign"] < 1)
    assert np.mean(ratio["malignant"] > 1) > 0.8


def test_benign_lesions_have_a_smooth_border_and_malignant_ones_spicules(clinic):
    solid = {}
    for kind in ("benign", "malignant"):
        found = []
        for one in clinic[kind]:
            contours, _ = cv2.findContours(
                one.mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
            )
            outer = max(contours, key=cv2.contourArea)
            hull = cv2.contourArea(cv2.convexHull(outer))
            found.append(cv2.contourArea(outer) / hull)
        solid[kind] = np.array(found)
    assert solid["benign"].min() > 0.9
    assert np.median(solid["malignant"]) < 0.87


def test_a_clear_lesion_changes_nothing_but_what_is_inside_it():
    """No shadow, no enhancement, no halo: there is one right place to look at."""
    seen = set()
    for number in range(9):
        person = draw_patient(0, number)
        rng = np.random.default_rng([9, number])
        if (lesion := lesions.draw_lesion(rng, person.kind)) is None:
            continue
        tissue = draw_tissue(rng, person.probe, person.body)
        view = lesions.draw_view(
            rng, lesions.made_clear(lesion), person.probe, person.body
        )
        grown = lesions.with_lesion(rng, tissue, view, person.probe)
        without, shows = (
            shown(np.random.default_rng(number), person, one, view).astype(int)
            for one in (tissue, grown)
        )
        changed, outside = np.abs(shows - without), view.outside(person.probe)
        # The machine's spot has lobes, which a bright lesion shows.
        assert np.mean(changed[outside > 4] > 1) < 0.01
        assert changed[outside < -1].mean() > 10
        seen.add(person.kind)
    assert seen == {"benign", "malignant"}


def test_normal_breasts_have_no_lesion(clinic):
    assert not any(one.mask.any() for one in clinic["normal"])
    assert all(one.mask.any() for one in clinic["benign"] + clinic["malignant"])


def test_no_lesion_comes_near_the_centre(clinic):
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5 - SIZE / 2
    distance = np.hypot(rows, columns)
    masks = [one.mask > 0 for one in clinic["benign"] + clinic["malignant"]]
    assert min(distance[mask].min() for mask in masks) > lesions.CLEAR * SIZE - 1
    # A blob of the lesion's own area in the middle, the usual answer without a look.
    overlap = []
    for mask in masks:
        blob = distance < np.sqrt(mask.sum() / np.pi)
        overlap.append((mask & blob).sum() / (mask | blob).sum())
    assert np.mean(overlap) < 0.02 and np.max(overlap) < 0.15
    left = np.mean([mask[:, : SIZE // 2].any() for mask in masks])
    assert 0.25 < left < 0.75


def test_images_of_a_patient_show_one_lesion_in_several_sections():
    patient = [n for n in range(3) if kind_of(0, n) == "malignant"][0]
    views = [draw_picture(0, patient, image, 32).view for image in range(4)]
    assert all(view is not None for view in views)
    outlines = np.stack([view.outline_mm for view in views])
    assert {view.lesion.level_db for view in views} == {views[0].lesion.level_db}
    assert len({view.place_mm for view in views}) == 4
    alike = np.corrcoef(outlines)[np.triu_indices(4, 1)]
    assert alike.min() > 0.3 and np.abs(np.diff(outlines, axis=0)).max() > 0.2


def test_no_trivial_statistic_tells_the_classes_apart(clinic):
    """Whatever a network learns must be more than how bright an image is."""
    images = np.stack([one.image for kind in CLASSES for one in clinic[kind]])
    labels = np.repeat(np.arange(3), len(images) // 3)
    lower, upper = images[:, SIZE // 2 :], images[:, : SIZE // 2]
    statistics = {
        "mean": images.mean((1, 2)),
        "median": np.median(images, (1, 2)),
        "spread": images.std((1, 2)),
        "dark": (images < 30).mean((1, 2)),
        "lower": lower.mean((1, 2)),
        "lower to upper": lower.mean((1, 2)) / upper.mean((1, 2)),
    }
    for name, values in statistics.items():
        for label in range(3):
            found = roc_auc_score(labels == label, values)
            assert max(found, 1 - found) < 0.8, (name, CLASSES[label], found)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lesions")
    return built(Builder, folder, folder / "out", **TINY)


def test_built_records_are_what_the_simulator_gave(tiny):
    found = records(tiny)
    assert len(found) == 6
    for patient in range(3):
        for image in range(2):
            record = found[f"P{patient:03d}_{image}"]
            drawn = draw_picture(0, patient, image, 32)
            np.testing.assert_array_equal(record["image"][..., 0], drawn.image)
            np.testing.assert_array_equal(record["mask"][..., 0], drawn.mask)
            assert CLASSES[record["label"]] == kind_of(0, patient)
            assert record["labels"].tolist() == np.eye(3)[record["label"]].tolist()
            assert record["patient_id"] == f"P{patient:03d}"
            assert record["image_id"] == record["video_id"] == record["example_id"]
            assert record["pixel_mm"] == pytest.approx(drawn.pixel_mm, rel=1e-6)


def test_the_record_has_the_types_of_the_first_waist(tiny):
    record = next(iter(records(tiny).values()))
    assert record["image"].dtype == record["mask"].dtype == np.uint8
    assert record["image"].shape == record["mask"].shape == (32, 32, 1)
    assert record["labels"].dtype == np.int8
    spec = tiny.spec()
    assert spec["labels"].classes == CLASSES and spec["mask"].classes == ("lesion",)
    assert spec["pixel_mm"].role == "number" and spec["pixel_mm"].shape == ()
    assert tiny.info.metadata["skipped"] == []


def test_it_needs_no_files():
    assert not Builder.MANUAL_DOWNLOAD_INSTRUCTIONS
    assert not (Builder.code_path.parent / "dummy_data").exists()


def test_different_options_never_share_a_name():
    changes = ({}, {"size": 97}, {"patients": 301}, {"images": 5}, {"seed": 1})
    changes += ({"clear": True},)
    names = {Builder.make_config(**one).name for one in changes}
    assert len(names) == 6


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"sise": 64}, "'sise'.*allowed: size, patients, images, seed, clear"),
        ({"size": 8}, "size=8.*from 16 to 1024"),
        ({"images": 0}, "images=0.*from 1 to 100"),
        ({"seed": True}, "seed=True"),
    ],
)
def test_a_bad_option_is_refused_with_what_is_allowed(options, named):
    with pytest.raises(DatasetError, match=named) as caught:
        Builder.make_config(**options)
    assert "\n" not in str(caught.value)


def test_an_array_never_lifts_off_above_a_lesion(monkeypatch):
    monkeypatch.setattr(pictures, "LIFTED", 1.0)
    away = []
    for patient in (n for n in range(12) if kind_of(0, n) == "malignant"):
        drawn = draw_picture(0, patient, 0, SIZE)
        assert drawn.view is not None
        shown = drawn.image[:, drawn.image.max(axis=0) > 0].mean(axis=0)
        ends = shown[:3].mean(), shown[-3:].mean()
        away.append(np.argmin(ends) == (0 if drawn.view.place_mm > 0 else 1))
    assert len(away) == 4 and all(away)
