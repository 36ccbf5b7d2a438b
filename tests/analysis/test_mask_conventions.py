"""What empty masks count as: the table of docs/mask_metrics.md, case by case."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ultrasound_jax.analysis.judge.mask_comparison import compare_masks
from ultrasound_jax.analysis.judge.run import headline, judge_table
from ultrasound_jax.analysis.report.run_report import write_report
from ultrasound_jax.analysis.stats._parts.mask_figures import (
    counted_distance,
    figures,
)
from ultrasound_jax.analysis.stats._parts.mask_words import figure_words
from ultrasound_jax.analysis.table.mask_table import MaskTable, read_table
from ultrasound_jax.tasks._mask_measures import Measures, named
from ultrasound_jax.tasks._protocol import TaskError

SIDE = (6, 8)  # a diagonal of 10
CASES = ("perfect", "partial", "truth_only", "found_only", "both_empty")


def masks() -> tuple[np.ndarray, np.ndarray]:
    """Found and true masks of the five cases."""
    found, truth = np.zeros((2, 5, *SIDE, 1), bool)
    truth[:3, 1:3, 1:5] = True  # 8 pixels, all of them edge
    found[0] = truth[0]
    found[1, 1:3, 2:6] = True  # one column too far: 6 common, 2 wrong, 2 lacking
    found[3, 4, 4] = True
    return found, truth


def table_of(found, truth, pixel_mm=None, **options) -> MaskTable:
    count, classes = len(found), tuple("abc")[: found.shape[-1]]
    names = tuple(f"e{i}" for i in range(count))
    space = tuple(range(1, found.ndim - 1))
    measured: Any = named(Measures(**options).columns(found, truth, pixel_mm))
    return MaskTable(
        example_id=names,
        video_id=names,
        patient_id=names,
        fold=np.zeros(count, int),
        split=("test",) * count,
        classes=classes,
        tp=(found & truth).sum(space),
        fp=(found & ~truth).sum(space),
        fn=(~found & truth).sum(space),
        units=("image", "image"),
        **measured,
    )


def values(table: MaskTable, key: str) -> list[float]:
    """What each example adds to a figure, NaN where it is not counted."""
    figure = figures(table)[key]
    return np.where(figure.below > 0, figure.above, np.nan)[:, 0].tolist()


def test_the_five_cases_count_as_the_table_in_the_docs_has_them():
    nan = np.nan
    table = table_of(*masks(), pixel_mm=np.full((5, 2), 0.5), tolerance=0.5)
    expected = {
        "mean_dice": [1, 12 / 16, 0, nan, nan],
        "mean_iou": [1, 6 / 10, 0, nan, nan],
        "mean_precision": [1, 6 / 8, 0, nan, nan],
        "mean_recall": [1, 6 / 8, 0, nan, nan],
        "miss_rate": [0, 0, 1, nan, nan],
        "mean_hd95_px": [0, 1, 10, nan, nan],
        "mean_assd_px": [0, 4 / 16, 10, nan, nan],
        "mean_nsd_0p5px": [1, 12 / 16, 0, nan, nan],
        "mean_hd95_mm": [0, 0.5, 5, nan, nan],
        "mean_nsd_1mm": [1, 1, 0, nan, nan],
        "false_positive_rate": [nan, nan, nan, 1, 0],
        "false_pixels": [nan, nan, nan, 1, 0],
        "lesion_sensitivity_iou0p1": [1, 1, 0, nan, nan],
        "false_lesions_iou0p1": [0, 0, 0, 1, 0],
        "lesion_dice_iou0p1": [1, 12 / 16, nan, nan, nan],
    }
    for key, hand in expected.items():
        np.testing.assert_allclose(values(table, key), hand, err_msg=key)
    assert set(expected) | {"pooled_dice", "pooled_iou", "mean_assd_mm"} == set(
        figures(table)
    )


def test_a_miss_is_in_every_mean_and_a_normal_image_in_none():
    level = judge_table(table_of(*masks()), replicates=200)["test"]["image"]
    assert level["mean_dice"] == pytest.approx((1 + 0.75 + 0) / 3)
    assert level["mean_hd95_px"] == pytest.approx((0 + 1 + 10) / 3)
    assert level["median_hd95_px"] == 1
    assert level["mean_nsd_2px"] == pytest.approx(2 / 3)
    assert level["miss_rate"] == pytest.approx(1 / 3)
    assert level["false_positive_rate"] == 0.5 and level["false_pixels"] == 0.5
    assert level["lesion_sensitivity_iou0p1"] == pytest.approx(2 / 3)
    assert level["false_lesions_iou0p1"] == pytest.approx(1 / 5)
    assert level["lesion_dice_iou0p1"] == pytest.approx(0.875)
    for name in ("miss_rate", "mean_nsd_2px", "false_positive_rate", "mean_hd95_px"):
        low, high = level[f"{name}_ci"] or (0, 1)
        assert low <= level[name] <= high, name
    entry = level["classes"]["a"]
    assert (entry["examples"], entry["missed"], entry["absent"]) == (3, 1, 2)
    assert (entry["false_alarms"], entry["true_negatives"]) == (1, 1)


def test_pixels_and_millimetres_are_never_averaged():
    found, truth = masks()
    spacing = np.array([[0.5, 0.5], [2.0, 2.0], [0, 0], [1, 1], [1, 1]])
    table = table_of(found, truth, pixel_mm=spacing)
    np.testing.assert_allclose(counted_distance(table, "hd95_px")[:3, 0], [0, 1, 10])
    # The missed one has no spacing, and so no distance in mm, nor an NSD in mm.
    np.testing.assert_allclose(
        counted_distance(table, "hd95_mm")[:3, 0], [0, 2, np.nan]
    )
    assert np.isnan(counted_distance(table, "nsd_1mm")[2, 0])
    assert figure_words("mean_hd95_px") == "mean HD95 (px)"
    assert figure_words("median_assd_mm") == "median ASSD (mm)"
    assert figure_words("mean_nsd_0p5mm") == "mean NSD at 0.5 mm"
    assert figure_words("lesion_dice_iou0p1") == "Dice of detected lesions (IoU ≥ 0.1)"


def test_pixels_that_are_no_squares_have_distances_along_their_sides():
    found, truth = masks()
    table = table_of(found, truth, pixel_mm=np.tile([3.0, 0.5], (5, 1)))
    assert values(table, "mean_hd95_mm")[1] == 0.5  # moved along the second axis
    assert values(table, "mean_hd95_mm")[2] == pytest.approx(np.hypot(18, 4))


def test_such_a_table_is_read_as_it_was_written(tmp_path):
    spacing = np.array([[0.5, 0.5], [2.0, 2.0], [0, 0], [1, 1], [1, 1]])
    table = table_of(*masks(), pixel_mm=spacing)
    table.write(tmp_path / "predictions.csv")
    back = read_table(tmp_path / "predictions.csv")
    assert isinstance(back, MaskTable)
    for kept in ("distances", "lesions", "diagonals"):
        assert list(getattr(back, kept)) == list(getattr(table, kept))
        for name, column in getattr(table, kept).items():
            np.testing.assert_array_equal(getattr(back, kept)[name], column)
    tree = judge_table(table, replicates=200)
    assert judge_table(back, replicates=200) == tree


def test_old_tables_are_read_and_say_that_their_distances_leave_out_the_missed(
    tmp_path,
):
    table = table_of(*masks())
    far = {"hd95": table.distances["hd95_px"]}
    old = replace(table, distances=far, lesions={}, diagonals={})
    old.write(tmp_path / "old.csv")
    tree = judge_table(read_table(tmp_path / "old.csv"), replicates=200)
    level = tree["test"]["image"]
    assert level["mean_hd95"] == 0.5 and level["classes"]["a"]["hd95_examples"] == 2
    assert level["classes"]["a"]["hd95_missed_left_out"] == 1
    text = write_report(tmp_path, old, tree, title="t", facts={}).read_text()
    assert "HD95 (unit not told): 1 missed are left out" in text
    assert "By lesion" not in text


def test_the_report_has_a_table_by_image_by_lesion_and_of_images_without(tmp_path):
    table = table_of(*masks(), tolerance=1.5)
    tree = judge_table(table, replicates=200)
    text = write_report(tmp_path, table, tree, title="t", facts={}).read_text()
    for words in ("### Overlap", "### By lesion", "### Without the structure"):
        assert words in text
    assert "| mean NSD at 1.5 px | 0.667" in text
    assert "| lesion sensitivity (IoU ≥ 0.1) | 0.667" in text
    assert "| false-positive rate | 0.500" in text
    lines = "\n".join(headline(tree, table))
    assert "test miss rate of images: 0.333" in lines
    assert "test false-positive rate of images: 0.500" in lines


def test_two_true_lesions_under_one_found_blob_are_not_both_detected():
    found, truth = np.zeros((2, 1, 12, 12, 1), bool)
    truth[0, 1:4, 1:4], truth[0, 1:4, 6:9] = True, True
    found[0, 1:4, 1:9] = True  # IoU 9 / 24 with either
    found[0, 9, 9] = found[0, 10, 10] = True  # they touch at a corner: one lesion
    table = table_of(found, truth, lesion_iou=0.3)
    of = {name: int(v[0, 0]) for name, v in table.lesions.items()}
    assert of["lesions"] == 2 and of["detected_iou0p3"] == 1
    assert of["false_lesions_iou0p3"] == 1
    dice = table.lesions["lesion_dice_iou0p3"][0, 0]
    assert dice == pytest.approx(18 / 33)
    strict = table_of(found, truth, lesion_iou=0.5).lesions
    assert strict["detected_iou0p5"][0, 0] == 0
    assert strict["false_lesions_iou0p5"][0, 0] == 2


def test_lesions_are_paired_so_that_most_overlap_is_kept():
    found, truth = np.zeros((2, 1, 4, 30, 1), bool)
    truth[0, 1, 0:10], truth[0, 1, 12:20] = True, True
    found[0, 1, 2:10] = True
    found[0, 1, 13:19] = True
    lesions = table_of(found, truth).lesions
    assert lesions["detected_iou0p1"][0, 0] == 2
    expected = 16 / 18 + 12 / 14
    assert lesions["lesion_dice_iou0p1"][0, 0] == pytest.approx(expected)


def test_measures_out_of_range_are_refused_with_what_is_allowed():
    for name, value in (
        ("tolerance", 0.0),
        ("tolerance_mm", -1.0),
        ("lesion_iou", 1.5),
    ):
        with pytest.raises(TaskError, match=f"{name}={value} is not allowed: it must"):
            Measures(**{name: value})


def test_models_are_compared_by_distances_misses_and_false_positives_too():
    """One misses every fourth lesion and cries wolf; the other is one pixel off."""
    count = 48
    truth = np.zeros((count, 16, 16, 1), bool)
    truth[:36, 4:10, 4:10] = True
    off, lazy = np.roll(truth, 1, axis=2), truth.copy()
    lazy[:9] = False
    lazy[36:45, 2, 2] = True
    tables = {"off": table_of(off, truth), "lazy": table_of(lazy, truth)}
    tree = compare_masks(tables, "off", replicates=200)
    found = {row["measure"]: row for row in tree["further"]}
    assert found["miss_rate"]["difference"] == pytest.approx(0.25)
    assert found["miss_rate"]["better"] is False and found["miss_rate"]["survives"]
    assert found["false_positive_rate"]["difference"] == pytest.approx(0.75)
    far = np.hypot(16, 16)
    assert found["mean_hd95_px"]["value"] == pytest.approx(far / 4)
    assert found["mean_hd95_px"]["value_reference"] == pytest.approx(1)
    assert found["mean_nsd_2px"]["difference"] == pytest.approx(-0.25)
    assert tree["measures"]["lazy"]["a"]["miss_rate"] == pytest.approx(0.25)
    assert found["miss_rate"]["patients"] == 36
    assert found["false_positive_rate"]["patients"] == 12
    assert tree["further_families"]["classes"]["comparisons"] == len(found)


def test_few_patients_are_told_what_they_cannot_tell_apart(tmp_path):
    """Four volumes of many slices."""
    rng = np.random.default_rng(0)
    count = 200
    ids = tuple(f"s{i}" for i in range(count))
    volume = tuple(f"v{i % 4}" for i in range(count))
    wrong = rng.integers(0, 20, (count, 1)) + 12 * (np.arange(count) % 4)[:, None]
    table = MaskTable(
        example_id=ids,
        video_id=volume,
        patient_id=volume,
        fold=np.zeros(count, int),
        split=("test",) * count,
        classes=("lung",),
        tp=np.full((count, 1), 500),
        fp=wrong,
        fn=np.zeros((count, 1), int),
        units=("slice", "volume"),
    )
    tree = judge_table(table, replicates=200)
    text = write_report(tmp_path, table, tree, title="t", facts={}).read_text()
    assert "4 patients (effective: 4.0; largest: 25 %) are few, however many" in text
    assert "cannot be told from" in text
    other = replace(table, fp=wrong + 1)
    notes = compare_masks({"a": table, "b": other}, "a", replicates=200)["notes"]
    assert any("4 patients are few" in note for note in notes)
    many = replace(table, video_id=ids, patient_id=ids)
    tree = judge_table(many, replicates=200)
    text = write_report(tmp_path, many, tree, title="t", facts={}).read_text()
    assert "cannot be told from" not in text


def test_micro_figures_of_folds_are_those_of_all_their_pixels(tmp_path):
    """Mean and population deviation over folds, as PU2756 reports them."""
    rng = np.random.default_rng(2)
    truth = rng.random((12, *SIDE, 1)) < 0.3
    found = truth ^ (rng.random(truth.shape) < 0.1)
    fold = np.repeat([0, 1, 2], 4)
    table = replace(
        table_of(found, truth), fold=fold, split=("out_of_fold",) * len(fold)
    )
    tree = judge_table(table, replicates=200)["out_of_fold"]
    hand = []
    for one in range(3):
        f, t = found[fold == one].ravel(), truth[fold == one].ravel()
        hand.append(2 * (f & t).sum() / (f.sum() + t.sum()))
    mean = tree["mask_folds"]["mean"]["a"]
    assert mean["pooled_dice"] == pytest.approx(np.mean(hand))
    assert mean["pooled_dice_sd"] == pytest.approx(np.std(hand))
    assert mean["false_positive_rate"] is None
    text = write_report(
        tmp_path, table, {"out_of_fold": tree}, title="t", facts={}
    ).read_text()
    assert f"{np.mean(hand):.3f} ± {np.std(hand):.3f}" in text
