"""Numbers of levels in an order, against scikit-learn and by hand."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, mean_absolute_error, recall_score

from ultrasound_jax.analysis.judge.run import headline, judge_table
from ultrasound_jax.analysis.report.run_report import write_report
from ultrasound_jax.analysis.stats._parts.ordered import are_levels, quadratic_kappa
from ultrasound_jax.analysis.table.predictions import Predictions

LEVELS = ("0", "1", "2", "3")


def simulated(patients=25, clips=4, unknown=0):
    """Severities of patients, which the scores get right to a level or so."""
    rng = np.random.default_rng(7)
    count = patients * clips
    tendency = np.repeat(rng.normal(1.5, 1, patients), clips)
    truth = np.clip(np.rint(tendency + 0.5 * rng.normal(size=count)), 0, 3).astype(int)
    seen = truth + 0.8 * rng.normal(size=count)
    logits = -((seen[:, None] - np.arange(4)) ** 2)
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.eye(4)[truth]
    labels[rng.choice(count, unknown, replace=False)] = np.nan
    place = np.arange(count)
    table = Predictions(
        example_id=tuple(f"c{i}" for i in place),
        video_id=tuple(f"v{i // 2}" for i in place),
        patient_id=tuple(f"p{i // clips}" for i in place),
        fold=np.zeros(count, int),
        split=("test",) * count,
        classes=LEVELS,
        labels=labels,
        scores=scores,
    )
    return table, truth


@pytest.fixture(scope="module")
def judged():
    table, _ = simulated(unknown=9)
    return table, judge_table(table, replicates=400)


def test_kappa_and_error_are_scikit_learns(judged):
    table, tree = judged
    there = ~np.isnan(table.labels[:, 0])
    truth = table.labels[there].argmax(axis=1)
    decided = table.scores[there].argmax(axis=1)
    found = tree["test"]["clip"]
    kappa = cohen_kappa_score(truth, decided, weights="quadratic")
    assert found["quadratic_kappa"] == pytest.approx(kappa)
    error = mean_absolute_error(truth, decided)
    assert found["mean_absolute_error"] == pytest.approx(error)
    recalls = recall_score(truth, decided, average=None)
    ours = [found["classes"][name]["sensitivity"] for name in LEVELS]
    np.testing.assert_allclose(ours, recalls)
    low, high = found["quadratic_kappa_ci"]
    assert low < kappa < high < 1
    low, high = found["mean_absolute_error_ci"]
    assert 0 <= low < error < high


def test_the_interval_of_kappa_is_over_patients():
    """By drawing patients with all their clips, as scikit-learn's kappa sees them."""
    table, truth = simulated()
    decided = table.scores.argmax(axis=1)
    rng = np.random.default_rng(1)
    drawn = []
    for _ in range(600):
        chosen = rng.integers(0, 25, 25)
        rows = (4 * chosen[:, None] + np.arange(4)).ravel()
        pair = truth[rows], decided[rows]
        drawn.append(cohen_kappa_score(*pair, weights="quadratic"))
    expected = np.quantile(drawn, (0.025, 0.975))
    found = judge_table(table, replicates=600)["test"]["clip"]["quadratic_kappa_ci"]
    # Two bootstraps of 600: their ends differ by a few hundredths of the width.
    np.testing.assert_allclose(found, expected, atol=0.1 * np.ptp(expected))


def test_examples_without_a_level_count_nowhere_and_are_told(judged, tmp_path):
    table, tree = judged
    assert table.kind == "multiclass"
    assert tree["test"]["clip"]["confusion"]["left_out"] == 9
    report = write_report(tmp_path, table, tree, title="Levels", facts={}).read_text()
    assert "9 are left out: they are of no one known class" in report
    assert "quadratic-weighted kappa" in report and "sensitivity of 3" in report
    assert "Weighted kappa: nominal scale agreement" in report
    said = " ".join(headline(tree, table))
    assert "test quadratic-weighted kappa of clips: 0." in said


def test_a_class_without_order_has_no_such_numbers(judged, tmp_path):
    table, _ = judged
    named = replace(table, classes=("benign", "malignant", "normal", "other"))
    tree = judge_table(named, replicates=200)
    assert "quadratic_kappa" not in tree["test"]["clip"]
    report = write_report(tmp_path, named, tree, title="BUSI", facts={}).read_text()
    assert "uadratic" not in report and "Weighted kappa" not in report
    assert not any("quadratic" in line for line in headline(tree, named))


def test_perfect_decisions_have_no_interval_of_kappa():
    table, _ = simulated()
    found = judge_table(replace(table, scores=table.labels), replicates=200)
    clip = found["test"]["clip"]
    assert (clip["quadratic_kappa"], clip["mean_absolute_error"]) == (1, 0)
    assert clip["quadratic_kappa_ci"] is clip["mean_absolute_error_ci"] is None


def test_kappa_of_one_level_alone_is_not_defined():
    counts = np.zeros((1, 4, 4))
    counts[0, 2, 2] = 5
    assert np.isnan(quadratic_kappa(counts)).all()


def test_errors_weigh_as_the_square_of_their_levels():
    """Worked out by hand: 1 - (4 * 1 + 1) / (sum of w r c / 10)."""
    counts = np.array([[[4.0, 0, 1], [1, 2, 0], [0, 0, 2]]])
    rows, columns = counts[0].sum(axis=1), counts[0].sum(axis=0)
    chance = (
        1 * (rows[0] * columns[1] + rows[1] * columns[0] + rows[1] * columns[2])
        + 1 * rows[2] * columns[1]
        + 4 * (rows[0] * columns[2] + rows[2] * columns[0])
    ) / 10
    assert quadratic_kappa(counts)[0] == pytest.approx(1 - 5 / chance)


@pytest.mark.parametrize(
    ("names", "ordered"),
    [
        (("0", "1", "2", "3"), True),
        (("grade_1", "grade_2"), True),
        (("0 none", "1 mild", "2 severe"), True),
        (("benign", "malignant"), False),
        (("1", "0"), False),
        (("0", "2"), False),
        (("none", "1"), False),
        (("0",), False),
    ],
)
def test_names_tell_whether_classes_are_levels(names, ordered):
    assert are_levels(names) is ordered
