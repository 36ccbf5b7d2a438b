"""Metrics against scikit-learn and hand values."""

import numpy as np
import pytest
from sklearn import metrics as reference

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.stats._parts import metrics
from ultrasound_jax.analysis.table.judged import decide


def random_case(rng, *, ties: bool) -> tuple[np.ndarray, np.ndarray]:
    count = int(rng.integers(2, 60))
    scores = rng.integers(0, 5, count) / 5 if ties else rng.random(count)
    return rng.integers(-1, 2, count), scores


@pytest.mark.parametrize("ties", [False, True])
def test_ranking_metrics_equal_scikit_learn_with_and_without_ties(ties):
    rng = np.random.default_rng(0)
    compared = 0
    for _ in range(200):
        labels, scores = random_case(rng, ties=ties)
        known = labels >= 0
        area = metrics.auroc(labels, scores)
        precision = metrics.average_precision(labels, scores)
        if len(set(labels[known])) < 2:
            assert area is None and precision is None
            continue
        compared += 1
        truth, marks = labels[known], scores[known]
        assert area == pytest.approx(reference.roc_auc_score(truth, marks))
        expected = reference.average_precision_score(truth, marks)
        assert precision == pytest.approx(expected)
    assert compared > 100


def test_weights_equal_scikit_learns_sample_weights():
    rng = np.random.default_rng(1)
    for _ in range(50):
        labels, scores = random_case(rng, ties=True)
        weights = rng.integers(0, 4, (3, len(labels))).astype(float)
        found = metrics.rank(labels, scores, weights)
        for r in range(3):
            kept = (labels >= 0) & (weights[r] > 0)
            if len(set(labels[kept])) < 2:
                assert np.isnan(found[0][r]) and np.isnan(found[1][r])
                continue
            case = (labels[kept], scores[kept])
            area = reference.roc_auc_score(*case, sample_weight=weights[r][kept])
            precision = reference.average_precision_score(
                *case, sample_weight=weights[r][kept]
            )
            assert found[0][r] == pytest.approx(area)
            assert found[1][r] == pytest.approx(precision)


def test_hand_values():
    labels, scores = np.array([1, 1, 0, 0]), np.array([0.9, 0.4, 0.4, 0.1])
    assert metrics.auroc(labels, scores) == 3.5 / 4
    assert metrics.average_precision(labels, scores) == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_int8_labels_and_float32_scores_are_accepted():
    labels = np.array([1, 0, -1], np.int8)
    assert metrics.auroc(labels, np.array([0.8, 0.2, 0.9], np.float32)) == 1.0


@pytest.mark.parametrize("labels", [[0, 0, 0], [1, 1, 1], [-1, -1, -1], []])
def test_a_class_with_one_side_only_is_not_defined(labels):
    labels, scores = np.array(labels, float), np.linspace(0, 1, len(labels))
    assert metrics.auroc(labels, scores) is None
    assert metrics.average_precision(labels, scores) is None
    assert metrics.youden_threshold(labels, scores) is None


def test_scores_that_are_not_numbers_are_refused():
    with pytest.raises(AnalysisError, match="1 scores are not numbers"):
        metrics.auroc(np.array([1, 0]), np.array([np.nan, 0.5]))


def test_youdens_threshold_reaches_the_best_point_of_the_roc():
    rng = np.random.default_rng(2)
    for i in range(200):
        labels, scores = random_case(rng, ties=i % 2 == 0)
        threshold = metrics.youden_threshold(labels, scores)
        if threshold is None:
            continue
        known = labels >= 0
        truth, decided = labels[known], scores[known] >= threshold
        false, true, _ = reference.roc_curve(truth, scores[known])
        gained = decided[truth == 1].mean() - decided[truth == 0].mean()
        assert gained == pytest.approx((true - false).max())


def test_youdens_threshold_lies_midway_and_prefers_sensitivity():
    labels, scores = np.array([1, 1, 0, 0]), np.array([0.9, 0.7, 0.5, 0.1])
    assert metrics.youden_threshold(labels, scores) == pytest.approx(0.6)
    # J is 0.5 at 0.9 (sensitivity 0.5) and again at 0.3 (sensitivity 1).
    labels, scores = np.array([1, 0, 1, 0]), np.array([0.9, 0.7, 0.3, 0.1])
    assert metrics.youden_threshold(labels, scores) == pytest.approx(0.2)


def test_youdens_threshold_separates_neighbouring_floats():
    low = 0.5
    high = np.nextafter(low, 1)
    threshold = metrics.youden_threshold(np.array([1, 0]), np.array([high, low]))
    assert threshold == high


def test_threshold_metrics_equal_scikit_learn():
    rng = np.random.default_rng(3)
    labels = (rng.random((80, 3)) < 0.4).astype(float)
    scores = rng.random((80, 3))
    limits = [0.3, 0.5, 0.8]
    found = metrics.measure(labels, scores, decide(scores, limits))
    for k, limit in enumerate(limits):
        truth, decided = labels[:, k], scores[:, k] >= limit
        assert found["f1"][0, k] == pytest.approx(reference.f1_score(truth, decided))
        recall = reference.recall_score(truth, decided)
        assert found["sensitivity"][0, k] == pytest.approx(recall)
        recall = reference.recall_score(1 - truth, ~decided)
        assert found["specificity"][0, k] == pytest.approx(recall)


def test_a_score_at_its_threshold_is_positive():
    decisions = decide(np.array([[0.5], [0.4999]]), [0.5])
    assert decisions.tolist() == [[1.0], [0.0]]


def test_unknown_labels_count_for_nothing():
    labels = np.array([[1.0], [0.0], [np.nan]])
    scores = np.array([[0.9], [0.1], [0.95]])
    found = metrics.measure(labels, scores, decide(scores, [0.5]))
    assert all(found[name][0, 0] == 1.0 for name in metrics.METRICS)


def test_what_cannot_be_judged_is_not_a_number():
    labels = np.array([[0.0, 1.0], [0.0, 1.0]])
    scores = np.array([[0.9, 0.9], [0.1, 0.1]])
    found = metrics.measure(labels, scores, decide(scores, [0.5, 0.5]))
    undefined = {m: np.isnan(v[0]).tolist() for m, v in found.items()}
    assert undefined == {
        "auroc": [True, True],
        "average_precision": [True, True],
        "f1": [True, False],
        "sensitivity": [True, False],
        "specificity": [False, True],
    }


def test_without_a_threshold_only_ranking_metrics_are_defined():
    labels, scores = np.array([[1.0], [0.0]]), np.array([[0.9], [0.1]])
    found = metrics.measure(labels, scores, decide(scores, [None]))
    assert found["auroc"][0, 0] == 1.0
    assert all(np.isnan(found[m][0, 0]) for m in metrics.DECIDING)
