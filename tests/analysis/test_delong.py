"""DeLong's variance and test against pair counting and pROC's published interval."""

import numpy as np
import pytest
from scipy import stats

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.stats._parts.delong import (
    delong,
    delong_test,
    logit_interval,
    normal_interval,
    placements,
)

# DeLong, DeLong and Clarke-Pearson 1988: 43 patients with ovarian cancer and complete
# measurements: albumin, total protein, Krebs-Goplerud score, and benefit from surgery.
OVARIAN = np.array(
    """
    3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0
    2.5 5.7 8 0  1.6 5.6 5 1  3.8 5.7 5 1  3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1
    4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0  2.3 4.4 6 1  4.2 7.6 4 0
    4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1
    3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1  4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1
    3.3 6.8 6 0  1.7 4.0 7 0  3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1
    2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1  3.3 5.7 6 1  3.7 6.9 5 1
    3.6 6.6 5 1
    """.split(),
    float,
).reshape(-1, 4)
BENEFIT = OVARIAN[:, 3]
TESTS = np.stack([OVARIAN[:, 0], OVARIAN[:, 1], -OVARIAN[:, 2]])


def pair_counting(labels, scores):
    """AUROCs and covariance by the definition, one pair after the other."""
    positive, negative = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    wins = np.zeros((len(scores), len(positive), len(negative)))
    for s, marks in enumerate(scores):
        for i, a in enumerate(positive):
            for j, b in enumerate(negative):
                wins[s, i, j] = (marks[a] > marks[b]) + 0.5 * (marks[a] == marks[b])
    rows, columns = wins.mean(axis=2), wins.mean(axis=1)
    covariance = np.cov(rows) / len(positive) + np.cov(columns) / len(negative)
    return wins.mean(axis=(1, 2)), covariance


@pytest.mark.parametrize("digits", [1, 8])
def test_midranks_give_what_pair_counting_gives(digits):
    rng = np.random.default_rng(0)
    labels = (rng.random(60) < 0.4).astype(float)
    scores = np.round(rng.random((3, 60)) + 0.2 * labels, digits)  # 1: many ties
    aurocs, covariance = delong(labels, scores)
    expected = pair_counting(labels, scores)
    np.testing.assert_allclose(aurocs, expected[0], atol=1e-12)
    np.testing.assert_allclose(covariance, expected[1], atol=1e-12)


def test_pairwise_test_is_the_difference_over_its_standard_error():
    rng = np.random.default_rng(1)
    labels = (rng.random(50) < 0.4).astype(float)
    scores = np.round(rng.random((2, 50)) + [[0.4], [0.1]] * labels, 1)
    aurocs, s = pair_counting(labels, scores)
    z = (aurocs[0] - aurocs[1]) / np.sqrt(s[0, 0] + s[1, 1] - 2 * s[0, 1])
    found = delong_test(labels, scores[0], scores[1])
    assert found.value == pytest.approx(aurocs[0] - aurocs[1])
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(z)))
    assert found.low == pytest.approx(found.value - 1.959964 * found.se, abs=1e-6)


def test_the_data_of_delongs_paper_give_what_pair_counting_gives():
    aurocs, covariance = delong(BENEFIT, TESTS)
    expected = pair_counting(BENEFIT, TESTS)
    np.testing.assert_allclose(aurocs, expected[0], atol=1e-12)
    np.testing.assert_allclose(covariance, expected[1], atol=1e-12)
    # Held fast, so that a change shows: albumin, protein, score.
    np.testing.assert_allclose(aurocs, [0.7366, 0.6478, 0.7258], atol=5e-5)
    errors = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(errors, [0.0927, 0.1000, 0.1028], atol=5e-5)
    assert delong_test(BENEFIT, TESTS[0], TESTS[2]).p == pytest.approx(0.9102, abs=5e-5)


def test_the_interval_of_procs_example_comes_out_to_the_last_digit():
    # How many of the 41 patients with poor and the 72 with good outcome had WFNS grade
    # 1 to 5 in pROC's example; the interval is the one its own tests expect.
    poor, good = [2, 12, 1, 8, 18], [37, 20, 3, 8, 4]
    labels = np.repeat([1, 0], [41, 72])
    grades = np.repeat(np.r_[1:6, 1:6], poor + good).astype(float)
    aurocs, covariance = delong(labels, grades[None])
    low, high = normal_interval(aurocs[0], covariance[0, 0])
    expected = (0.748534887819453, 0.823678861788618, 0.898822835757783)
    assert (low, aurocs[0], high) == pytest.approx(expected, abs=1e-14)


def test_the_mean_of_either_sides_placements_is_the_auroc():
    above, below = placements(BENEFIT, TESTS)
    np.testing.assert_allclose(above.mean(axis=1), below.mean(axis=1), atol=1e-12)


def test_equal_scores_differ_by_nothing_with_certainty():
    found = delong_test(BENEFIT, TESTS[0], 2 * TESTS[0] + 1)  # the same ranking
    assert (found.value, found.se, found.p) == (0, 0, 1)


def test_a_difference_without_variance_has_no_p_value():
    labels = np.array([1.0, 1.0, 0.0, 0.0])
    right = np.array([0.9, 0.8, 0.2, 0.1])
    found = delong_test(labels, right, -right)
    assert found.value == 1 and found.p is None and found.low is None


def test_intervals_stay_within_0_and_1():
    assert normal_interval(0.98, 0.01) == (pytest.approx(0.784, abs=1e-3), 1.0)
    low, high = logit_interval(0.98, 0.0001)
    # By hand: logit 3.892, standard error 0.01 / (0.98 * 0.02) = 0.5102.
    assert (low, high) == pytest.approx((0.9475, 0.9925), abs=1e-4)
    assert logit_interval(1.0, 0.0) is None


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([0, 0, 0], [1, 2, 3], "one class only: there are no positives"),
        ([1, 1, 1], [1, 2, 3], "one class only: there are no negatives"),
        ([1, 0, 0], [1, 2, 3], "one positive only"),
        ([1, 1, 0], [1, 2, 3], "one negative only"),
        ([1, 0, np.nan], [1, 2, 3], "labels must be 1 or 0"),
        ([1, 0, 0], [1, np.inf, 3], "1 scores are not numbers"),
    ],
)
def test_what_has_no_variance_is_refused(labels, scores, message):
    with pytest.raises(AnalysisError, match=message):
        delong(np.array(labels, float), np.array([scores], float))
