"""Brier score, calibration error and the curve."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from tests.analysis.simulated import simulate, without_positives
from ultrasound_jax.analysis.errors import AnalysisError
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
    assert empty["brier"] is None and empty["ece_equal_mass_ci"] is None
    assert empty["curve"] == [] and empty["patients"] == 0
    others = [found["classes"][c]["brier"] for c in table.classes if c != "b_line"]
    assert found["macro_brier"] == pytest.approx(np.mean(others))


def test_scores_that_are_true_have_an_interval_of_the_error_that_begins_near_0():
    # Calibrated by construction: the noise of bins alone makes the error 0.04.
    low, points = [], []
    for seed in range(20):
        table = simulate(np.random.default_rng(seed), 60)
        truth = np.random.default_rng(100 + seed).random(table.scores.shape)
        table = replace(table, labels=(truth < table.scores).astype(float))
        entry = calibrate(table)["classes"]["a_line"]
        low.append(entry["ece_equal_mass_ci"][0])
        points.append(entry["ece_equal_mass"])
    assert np.mean(points) > 0.025
    assert np.mean(np.array(low) < 0.015) > 0.7
