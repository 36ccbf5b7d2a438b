"""Brier score, calibration error and the curve."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

from tests.analysis.simulated import simulate, without_positives
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.stats._parts.recalibration import weak_calibration
from ultrasound_jax.analysis.stats.calibration import (
    EQUAL_MASS,
    EQUAL_WIDTH,
    bins_of,
    calibrate,
)


@pytest.fixture(scope="module")
def table():
    return simulate(np.random.default_rng(0), 25)


@pytest.fixture(scope="module")
def tree(table):
    return calibrate(table)


def test_bins_of_equal_width_and_of_equal_mass_by_hand():
    scores = np.array([0.0, 0.1, 0.49, 0.5, 0.99, 1.0])
    assert bins_of(scores, EQUAL_WIDTH, 2).tolist() == [0, 0, 0, 1, 1, 1]
    assert bins_of(scores, EQUAL_WIDTH, 10).tolist() == [0, 1, 4, 5, 9, 9]
    assert bins_of(scores, EQUAL_MASS, 3).tolist() == [0, 0, 1, 1, 2, 2]


def test_equal_scores_share_a_bin():
    scores = np.array([0.2] * 8 + [0.9] * 2)
    assert bins_of(scores, EQUAL_MASS, 10).tolist() == [0] * 8 + [1] * 2
    assert bins_of(np.full(5, 0.3), EQUAL_MASS, 10).tolist() == [0] * 5


def test_other_bins_are_refused():
    with pytest.raises(AnalysisError, match="bins 'odd'"):
        bins_of(np.zeros(2), "odd")
    with pytest.raises(AnalysisError, match="0 bins"):
        bins_of(np.zeros(2), EQUAL_MASS, 0)


def test_numbers_by_hand(table):
    small = table.rows(np.arange(4))
    labels, scores = np.zeros((4, 4)), np.full((4, 4), 0.2)
    labels[:, 0], scores[:, 0] = [0, 1, 1, 1], [0.1, 0.1, 0.9, 0.9]
    small = replace(small, labels=labels, scores=scores)
    found = calibrate(small, bins=2)["classes"]["a_line"]
    # Bins {0.1, 0.1} with rate 1/2 and {0.9, 0.9} with rate 1.
    for how in (EQUAL_MASS, EQUAL_WIDTH):
        assert found[f"ece_{how}"] == pytest.approx((0.4 + 0.1) / 2)
    assert found["brier"] == pytest.approx((0.01 + 0.81 + 0.01 + 0.01) / 4)
    assert found["reliability"] == pytest.approx((0.16 + 0.01) / 2)
    assert found["resolution"] == pytest.approx(0.25**2)
    assert found["uncertainty"] == pytest.approx(0.75 * 0.25)
    assert found["score_minus_rate"] == pytest.approx(0.5 - 0.75)
    assert [(p["score"], p["rate"]) for p in found["curve"]] == [(0.1, 0.5), (0.9, 1.0)]


def test_brier_score_and_curve_are_those_of_scikit_learn(table, tree):
    for k, name in enumerate(table.classes):
        known = ~np.isnan(table.labels[:, k])
        truth, marks = table.labels[known, k], table.scores[known, k]
        entry = tree["classes"][name]
        assert entry["brier"] == pytest.approx(brier_score_loss(truth, marks))
        rate, score = calibration_curve(truth, marks, n_bins=10, strategy="quantile")
        assert [p["rate"] for p in entry["curve"]] == pytest.approx(rate.tolist())
        assert [p["score"] for p in entry["curve"]] == pytest.approx(score.tolist())
        assert sum(p["examples"] for p in entry["curve"]) == known.sum()


def test_the_terms_of_the_brier_score_add_up_to_it(tree):
    for entry in tree["classes"].values():
        terms = entry["reliability"] - entry["resolution"] + entry["uncertainty"]
        assert terms == pytest.approx(entry["brier"])
        assert entry["resolution"] > 0


def test_a_class_of_one_label_only_still_has_calibration_but_nobody_none(table):
    found = calibrate(without_positives(table, 3))
    assert found["classes"]["pleural_effusion"]["uncertainty"] == 0
    labels = table.labels.copy()
    labels[:, 1] = np.nan
    found = calibrate(replace(table, labels=labels))
    empty = found["classes"]["b_line"]
    assert empty["brier"] is None and empty["brier_ci"] is None
    assert empty["curve"] == [] and empty["patients"] == 0
    others = [found["classes"][c]["brier"] for c in table.classes if c != "b_line"]
    assert found["macro_brier"] == pytest.approx(np.mean(others))


def test_noise_makes_errors_so_that_they_have_no_interval(tree):
    for entry in (tree, *tree["classes"].values()):
        assert not any(
            name.startswith(("ece", "macro_ece")) for name in intervals(entry)
        )
    entry = tree["classes"]["a_line"]
    assert "score_minus_rate_ci" not in entry and "reliability_ci" not in entry


def intervals(entry):
    return [name for name in entry if name.endswith("_ci")]


def test_intercept_and_slope_are_those_of_a_logistic_regression(table, tree):
    known = ~np.isnan(table.labels[:, 0])
    truth, marks = table.labels[known, 0], table.scores[known, 0]
    logits = np.log(marks / (1 - marks))
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    model.fit(logits[:, None], truth)
    entry = tree["classes"]["a_line"]
    assert entry["calibration_slope"] == pytest.approx(model.coef_[0, 0], rel=1e-4)
    low, high = entry["calibration_slope_ci"]
    assert low < entry["calibration_slope"] < high
    # The intercept makes the mean of the shifted scores the rate.
    shifted = 1 / (1 + np.exp(-(logits + entry["calibration_intercept"])))
    assert shifted.mean() == pytest.approx(truth.mean())


def test_calibrated_scores_of_patients_are_covered_by_intercept_and_slope():
    held = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        patient = np.repeat(np.arange(20), 8)
        logits = rng.normal(size=20)[patient] + rng.normal(size=160)
        labels = (rng.random(160) < 1 / (1 + np.exp(-logits))).astype(float)
        found = weak_calibration(labels, 1 / (1 + np.exp(-logits)), patient)
        for name, truth in (("intercept", 0), ("slope", 1)):
            low, high = found[f"calibration_{name}_ci"]
            held.append(low <= truth <= high)
    assert 0.91 <= np.mean(held) <= 0.99


def test_scores_that_are_all_equal_have_no_slope_and_four_clips_no_interval():
    labels, scores = np.array([1.0, 0, 1, 0]), np.full(4, 0.5)
    found = weak_calibration(labels, scores, np.arange(4))
    assert found["calibration_intercept"] == pytest.approx(0)
    assert found["calibration_slope"] is None
    assert found["calibration_intercept_ci"] is None
    perfect = weak_calibration(labels, 0.1 + 0.8 * labels, np.arange(4))
    assert perfect["calibration_slope"] is None


def test_fewer_patients_than_a_test_needs_have_no_interval():
    table = simulate(np.random.default_rng(3), 2)
    entry = calibrate(table)["classes"]["a_line"]
    assert entry["calibration_intercept_ci"] is None
