"""Models compared by the Dice of their masks."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tests.analysis.simulated import simulate
from ultrasound_jax.analysis.__main__ import main
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.judge.compare_models import compare_models
from ultrasound_jax.analysis.judge.mask_comparison import compare_masks
from ultrasound_jax.analysis.report.comparison_files import MASK_COLUMNS
from ultrasound_jax.analysis.table.mask_table import MaskTable

CLASSES = ("lung", "mass")


def study(missed: float, per: int = 1, patients: int = 24) -> MaskTable:
    """Masks of 100 true pixels of which a share is missed, more or less."""
    rng = np.random.default_rng(int(1000 * missed))
    count = per * patients
    fn = rng.binomial(100, missed, (count, 2))
    return MaskTable(
        example_id=tuple(f"e{i}" for i in range(count)),
        video_id=tuple(f"v{i}" for i in range(count)),
        patient_id=tuple(f"p{i // per}" for i in range(count)),
        fold=np.zeros(count, int),
        split=("test",) * count,
        classes=CLASSES,
        tp=100 - fn,
        fp=rng.integers(0, 20, (count, 2)),
        fn=fn,
        units=("image", "image"),
    )


def dice(table: MaskTable) -> np.ndarray:
    return 2 * table.tp / (2 * table.tp + table.fp + table.fn)


def row(tree, name):
    return next(r for r in tree["differences"] if r["class"] == name)


def test_with_one_example_a_patient_it_is_the_paired_t_test():
    tables = {"good": study(0.1), "bad": study(0.15)}
    tree = compare_masks(tables, "good", replicates=200)
    gaps = dice(tables["bad"]) - dice(tables["good"])
    for k, name in enumerate(CLASSES):
        found = row(tree, name)
        expected = stats.ttest_1samp(gaps[:, k], 0)
        assert found["difference"] == pytest.approx(gaps[:, k].mean())
        assert found["clustered_p"] == pytest.approx(expected.pvalue)
        ends = expected.confidence_interval(0.95)
        assert found["clustered_ci"] == pytest.approx([ends.low, ends.high])
        assert found["clustered_df"] == 23 and found["patients"] == 24
    expected = stats.ttest_1samp(gaps.mean(axis=1), 0)
    assert row(tree, "macro")["clustered_p"] == pytest.approx(expected.pvalue)
    assert row(tree, "macro")["survives"] and row(tree, "macro")["difference"] < 0
    assert tree["families"]["classes"]["comparisons"] == 2


def test_the_interval_is_that_of_the_test():
    tables = {"good": study(0.1, per=3, patients=9), "bad": study(0.12, 3, 9)}
    tree = compare_masks(tables, "good", replicates=200, seed=5)
    gaps = (dice(tables["bad"]) - dice(tables["good"]))[:, 0]
    # As many examples each: Student's t of the patients' means.
    means = stats.ttest_1samp(gaps.reshape(9, 3).mean(axis=1), 0)
    ends = means.confidence_interval(0.95)
    assert row(tree, "lung")["ci"] == pytest.approx([ends.low, ends.high])
    assert row(tree, "lung")["effective_patients"] == pytest.approx(9)
    assert any("9 patients are few" in note for note in tree["notes"])


def test_a_false_alarm_counts_in_the_false_positive_rate_and_not_in_dice():
    table = study(0.1)
    empty = {n: getattr(table, n).copy() for n in ("tp", "fp", "fn")}
    for counts in empty.values():
        counts[:6, 1] = 0
    quiet = replace(table, **empty)
    empty["fp"] = empty["fp"].copy()
    empty["fp"][:6, 1] = 7
    tree = compare_masks({"quiet": quiet, "loud": replace(table, **empty)}, "quiet")
    assert row(tree, "mass")["difference"] == 0 and row(tree, "mass")["patients"] == 18
    (alarm,) = [r for r in tree["further"] if r["measure"] == "false_positive_rate"][:1]
    assert tree["measures"]["loud"]["mass"]["false_positive_rate"] == 1
    assert alarm["better"] is None or alarm["better"] is False


def test_models_that_find_the_same_differ_in_nothing():
    tree = compare_masks({"a": study(0.1), "b": study(0.1)}, "a", replicates=200)
    assert row(tree, "lung")["difference"] == 0 and row(tree, "lung")["holm_p"] == 1
    assert row(tree, "lung")["survives"] is False


def test_rows_and_classes_may_stand_in_another_order():
    first, second = study(0.1), study(0.2)
    tree = compare_masks({"a": first, "b": second}, "a", replicates=200)
    turned = replace(
        second,
        classes=CLASSES[::-1],
        **{n: getattr(second, n)[:, ::-1] for n in ("tp", "fp", "fn")},
    )
    turned = turned.rows(np.arange(len(turned))[::-1])
    assert compare_masks({"a": first, "b": turned}, "a", replicates=200) == tree


def test_other_examples_other_truth_and_other_kinds_are_refused():
    table = study(0.1)
    fewer = table.rows(np.arange(20))
    with pytest.raises(AnalysisError, match="'b' has other examples than run 'a'"):
        compare_masks({"a": table, "b": fewer}, "a")
    changed = table.fn.copy()
    changed[3, 1] += 1
    with pytest.raises(AnalysisError, match="1 true masks, as mass of example 'e3'"):
        compare_masks({"a": table, "b": replace(table, fn=changed)}, "a")
    scores = simulate(np.random.default_rng(0), 3)
    with pytest.raises(AnalysisError, match="'a' has a table of masks; allowed here"):
        compare_models({"a": table, "b": scores}, "a")


def test_the_verbs_write_it(tmp_path, capsys):
    study(0.1).write(tmp_path / "good.csv")
    study(0.3).write(tmp_path / "bad.csv")
    runs = [str(tmp_path / "good.csv"), str(tmp_path / "bad.csv")]
    more = ["--out", str(tmp_path / "out"), "--replicates", "200"]
    assert main(["compare", *runs, *more]) == 0
    assert "bad - good, macro: -0.1" in capsys.readouterr().out
    tree = json.loads((tmp_path / "out/compare.json").read_text())
    rows = list(csv.DictReader((tmp_path / "out/compare.csv").read_text().splitlines()))
    assert tuple(rows[0]) == MASK_COLUMNS and len(rows) == 3
    assert float(rows[0]["difference"]) == tree["differences"][0]["difference"]
    page = (tmp_path / "out/compare.md").read_text()
    assert "mean Dice minus that of good" in page and "Cochran 1977" in page
    assert main(["report", *runs, *more]) == 0
    text = (tmp_path / "out/report.md").read_text()
    assert "▼ worse" in text and "## Appendix: all tests" in text
    for word in ("AUROC", "DeLong", "clip", "Youden"):
        assert word not in page
        assert word not in text.split("## Model: good")[0]
