"""Masks judged, against numbers found by hand."""

from dataclasses import replace

import numpy as np
import pytest

from tests.analysis.simulated import simulate
from ultrasound_jax.analysis.__main__ import main
from ultrasound_jax.analysis.judge.run import (
    headline,
    judge_table,
    youden_thresholds,
)
from ultrasound_jax.analysis.report.run_report import write_report
from ultrasound_jax.analysis.stats._parts import bootstrap
from ultrasound_jax.analysis.table.mask_table import MaskTable

# tp, fp, fn of five slices of two volumes of two patients.
SLICES = [(8, 2, 2), (0, 4, 0), (0, 0, 0), (6, 0, 2), (0, 0, 5)]
FAR = [1.0, np.nan, np.nan, 4.0, np.nan]


@pytest.fixture
def table() -> MaskTable:
    tp, fp, fn = np.array(SLICES).T[:, :, None]
    return MaskTable(
        example_id=tuple("abcde"),
        video_id=("v", "v", "v", "w", "w"),
        patient_id=("p", "p", "p", "q", "q"),
        fold=np.zeros(5, int),
        split=("test",) * 5,
        classes=("lesion",),
        tp=tp,
        fp=fp,
        fn=fn,
        distances={"hd95": np.array(FAR)[:, None]},
        extra={"zone": ("L", "L", "R", "L", "R")},
        units=("slice", "volume"),
    )


def test_dice_and_iou_of_examples_are_those_found_by_hand(table):
    level = judge_table(table, replicates=200)["test"]["slice"]
    assert level["mean_dice"] == pytest.approx((0.8 + 12 / 14 + 0) / 3)
    assert level["mean_iou"] == pytest.approx((8 / 12 + 6 / 8 + 0) / 3)
    assert level["mean_precision"] == pytest.approx((0.8 + 1 + 0) / 3)
    assert level["mean_recall"] == pytest.approx((0.8 + 0.75 + 0) / 3)
    assert level["miss_rate"] == pytest.approx(1 / 3)
    assert level["false_positive_rate"] == 0.5 and level["false_pixels"] == 2
    assert level["pooled_dice"] == pytest.approx(28 / (28 + 6 + 9))
    assert level["pooled_iou"] == pytest.approx(14 / (14 + 6 + 9))
    assert level["mean_hd95"] == 2.5 and level["median_hd95"] == 2.5
    entry = level["classes"]["lesion"]
    assert entry["examples"] == 3 and entry["true_negatives"] == 1
    assert entry["false_alarms"] == 1 and entry["missed"] == 1
    assert entry["hd95_examples"] == 2 and entry["patients"] == 2
    counts = {"examples": 5, "volumes": 2, "patients": 2}
    worth = {"effective_patients": pytest.approx(25 / 13), "largest_share": 0.6}
    assert level["n"] == counts | worth


def test_a_volumes_dice_is_that_of_its_pixels(table):
    level = judge_table(table, replicates=200)["test"]["volume"]
    assert level["mean_dice"] == pytest.approx((16 / 24 + 12 / 19) / 2)
    assert level["pooled_dice"] == pytest.approx(28 / 43)
    assert "mean_hd95" not in level and level["n"]["examples"] == 2


def test_intervals_are_over_patients(table):
    """Two patients tell next to nothing, however alike they are."""
    tree = judge_table(table, replicates=400)["test"]
    # One of three slices is the first volume's: fewer than two effective patients.
    assert tree["slice"]["mean_dice_ci"] is None
    low, high = tree["volume"]["mean_dice_ci"]
    assert 0 <= low < 0.1 and 0.9 < high <= 1
    assert tree["slice"]["median_hd95_ci"] == pytest.approx([1.0, 4.0])
    alone = table.rows(np.array([0, 1]))
    level = judge_table(alone, replicates=200)["test"]["slice"]
    assert level["mean_dice"] == pytest.approx(0.8) and level["mean_dice_ci"] is None


def test_medians_of_replicates_are_those_of_repeated_rows():
    rng = np.random.default_rng(0)
    count = 60
    patient = rng.integers(0, 7, count)
    far = rng.random((count, 1))
    ids = tuple(map(str, range(count)))
    table = MaskTable(
        example_id=ids,
        video_id=ids,
        patient_id=tuple(f"p{p}" for p in patient),
        fold=np.zeros(count, int),
        split=("test",) * count,
        classes=("a",),
        tp=np.ones((count, 1), int),
        fp=np.zeros((count, 1), int),
        fn=np.zeros((count, 1), int),
        distances={"hd95": far},
        units=("image", "image"),
    )
    level = judge_table(table, replicates=300, seed=3)["test"]["image"]
    drawn = np.random.default_rng(3).multinomial(7, np.full(7, 1 / 7), size=300)
    patient = bootstrap.numbered(patient, table.tp, table.fp, table.fn, far)
    naive = [np.median(np.repeat(far[:, 0], weights[patient])) for weights in drawn]
    expected = np.quantile(naive, (0.025, 0.975))
    assert level["median_hd95"] == np.median(far)
    assert level["median_hd95_ci"] == pytest.approx(expected.tolist())


def test_several_classes_are_averaged_where_they_are_defined(table):
    twice = replace(
        table,
        classes=("lesion", "never"),
        **{n: np.pad(getattr(table, n), ((0, 0), (0, 1))) for n in ("tp", "fp", "fn")},
        distances={},
    )
    level = judge_table(twice, replicates=200)["test"]["slice"]
    assert level["classes"]["never"]["mean_dice"] is None
    assert level["classes"]["never"]["true_negatives"] == 5
    assert level["mean_dice"] == level["classes"]["lesion"]["mean_dice"]


def test_headline_and_report_speak_of_slices(tmp_path, table):
    tree = judge_table(table, replicates=200)
    lines = headline(tree, table)
    assert lines[0].startswith("test mean Dice of slices: 0.552")
    assert any(line.startswith("test mean Dice of volumes: ") for line in lines)
    text = write_report(tmp_path, table, tree, title="t", facts={}).read_text()
    assert "## Test" in text and "volumes, all their slices" in text
    assert "Dice is 2 TP" in text and "bootstrap over patients" in text
    for word in ("clip", "video", "AUROC is", "hreshold of"):
        assert word not in text
    assert youden_thresholds(table) == {}


def test_verbs_take_masks_or_say_that_they_do_not(tmp_path, table, capsys):
    table.write(tmp_path / "a.csv")
    table.write(tmp_path / "b.csv")
    runs = [str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]
    more = ["--out", str(tmp_path / "out"), "--replicates", "200"]
    assert main(["metrics", *runs, *more, "--by", "zone"]) == 0
    text = (tmp_path / "out/metrics.md").read_text()
    assert (
        "Subgroups (slices)" in text
        and "| L | 3 | 2 (effective: 1.8; largest: 67 %) | 0.829 [" in text
    )
    assert (
        "a,test,metrics,volume,macro,mean_dice,0.649"
        in (tmp_path / "out/metrics.csv").read_text()
    )
    assert main(["report", *runs, *more]) == 0
    assert "mean Dice" in (tmp_path / "out/report.html").read_text()
    capsys.readouterr()
    sheet = tmp_path / "scores.csv"
    simulate(np.random.default_rng(0), 3).write(sheet)
    assert main(["readers", *runs, *more, "--sheets", str(sheet)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "'a' has a table of masks" in error
