"""Kappa and its kin."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.judge.ensemble import (
    any_of,
    consensus,
    majority,
)
from ultrasound_jax.analysis.stats._parts.agreement import (
    agree,
    fleiss_measures,
)
from ultrasound_jax.analysis.stats._parts.resampling import Resampling
from ultrasound_jax.labels.disagreement import of_pairs

NAN = np.nan


def resampling(patients=10, count=200, replicates=50):
    patient = np.sort(np.random.default_rng(9).integers(0, patients, count))
    patient = np.unique(patient, return_inverse=True)[1]
    return Resampling(patient, replicates=replicates)


def raters(count=200, unknown=0.1):
    rng = np.random.default_rng(0)
    first = (rng.random(count) < 0.4).astype(float)
    second = np.where(rng.random(count) < 0.2, 1 - first, first)
    for labels in (first, second):
        labels[rng.random(count) < unknown] = NAN
    return first, second


def test_kappa_is_that_of_scikit_learn_and_of_the_other_room():
    first, second = raters()
    found = agree(first, second, resampling())
    known = ~np.isnan(first) & ~np.isnan(second)
    one, two = first[known], second[known]
    assert found["kappa"] == pytest.approx(cohen_kappa_score(one, two))
    other = of_pairs(zip(one == 1, two == 1, strict=True))
    assert found["kappa"] == pytest.approx(other.kappa)
    assert found["agreement"] == pytest.approx(other.observed)
    assert found["examples"] == known.sum() and found["unknown"] == (~known).sum()
    assert found["sensitivity"] == pytest.approx(one[two == 1].mean())
    assert found["specificity"] == pytest.approx((1 - one)[two == 0].mean())


def test_numbers_by_hand():
    first = np.array([1, 1, 1, 0, 0, 0, 0, 0, 0, 0], float)
    second = np.array([1, 1, 0, 1, 0, 0, 0, 0, 0, 0], float)
    found = agree(first, second, Resampling(np.arange(10), replicates=5))
    cells = [found[c] for c in ("both", "first_only", "second_only", "neither")]
    assert cells == [2, 1, 1, 6]
    # Chance: 0.3 x 0.3 + 0.7 x 0.7 = 0.58.
    assert found["kappa"] == pytest.approx((0.8 - 0.58) / 0.42)
    assert found["positive_agreement"] == pytest.approx(4 / 6)
    assert found["negative_agreement"] == pytest.approx(12 / 14)


def test_intervals_are_those_of_drawing_patients_one_by_one():
    first, second = raters(unknown=0)
    shared = resampling(replicates=40)
    low, high = agree(first, second, shared)["kappa_ci"]
    values = []
    for times in shared.drawn[1:].astype(int):
        rows = np.repeat(np.arange(200), times[shared.patient])
        values.append(cohen_kappa_score(first[rows], second[rows]))
    assert [low, high] == pytest.approx(np.quantile(values, (0.025, 0.975)).tolist())


def test_where_chance_explains_everything_kappa_is_not_defined():
    nothing = np.zeros(6)
    found = agree(nothing, nothing, Resampling(np.arange(6), replicates=9))
    assert found["kappa"] is None and found["kappa_ci"] is None
    assert found["agreement"] == 1 and found["positive_agreement"] is None
    # Six patients who always agreed do not prove that all do.
    assert found["agreement_ci"] == pytest.approx([0.025 ** (1 / 6), 1])


def test_raters_who_never_disagree_have_a_kappa_of_1_without_an_interval():
    labels = np.array([1, 0] * 10, float)
    found = agree(labels, labels, Resampling(np.arange(20), replicates=20))
    assert found["kappa"] == 1 and found["kappa_ci"] is None
    ratings = np.stack([labels] * 3, axis=1)
    found = fleiss_measures(ratings, Resampling(np.arange(20), replicates=20))
    assert found["kappa"] == pytest.approx(1) and found["kappa_ci"] is None


def test_one_patient_gives_no_interval_and_nobody_no_value():
    first, second = raters(20, 0)
    found = agree(first, second, Resampling(np.zeros(20, int), replicates=9))
    assert found["kappa"] is not None and found["kappa_ci"] is None
    unknown = np.full(20, NAN)
    found = agree(first, unknown, Resampling(np.arange(20), replicates=9))
    assert found["examples"] == 0 and found["agreement"] is None


def fleiss(ratings):
    """As Fleiss writes it, from the table of counts."""
    raters = ratings.shape[1]
    counts = np.stack([ratings.sum(axis=1), (1 - ratings).sum(axis=1)], axis=1)
    share = counts.sum(axis=0) / counts.sum()
    agreed = ((counts**2).sum(axis=1) - raters) / (raters * (raters - 1))
    return (agreed.mean() - (share**2).sum()) / (1 - (share**2).sum())


def test_fleiss_kappa_is_that_of_its_formula():
    rng = np.random.default_rng(2)
    truth = (rng.random(60) < 0.4).astype(float)
    ratings = np.stack(
        [np.where(rng.random(60) < 0.2, 1 - truth, truth) for _ in range(4)], axis=1
    )
    found = fleiss_measures(ratings, Resampling(np.arange(60) // 5, replicates=99))
    assert found["kappa"] == pytest.approx(fleiss(ratings))
    low, high = found["kappa_ci"]
    assert low < found["kappa"] < high
    ratings[::7, 2] = NAN
    known = ~np.isnan(ratings).any(axis=1)
    found = fleiss_measures(ratings, Resampling(np.arange(60), replicates=9))
    assert found["kappa"] == pytest.approx(fleiss(ratings[known]))
    assert found["unknown"] == (~known).sum()


def test_fleiss_kappa_of_one_rater_is_refused_and_of_one_answer_not_defined():
    with pytest.raises(AnalysisError, match="1 raters"):
        fleiss_measures(np.zeros((4, 1)), Resampling(np.arange(4), replicates=3))
    found = fleiss_measures(np.ones((4, 3)), Resampling(np.arange(4), replicates=3))
    assert found["kappa"] is None and found["agreement"] == 1


def test_a_majority_is_more_than_half_of_those_who_say_anything():
    votes = np.array([[1, 1, 0, 1, NAN], [1, 1, 0, 0, NAN], [1, 0, 0, NAN, NAN]])
    found = majority(votes[:, :, None])[:, 0]
    np.testing.assert_array_equal(found, [1, 1, 0, NAN, NAN])
    five = np.array([1, 1, 1, 0, 0])[:, None, None]
    assert majority(five.astype(float)) == 1 and majority(1.0 - five) == 0


def test_any_takes_one_readers_word():
    votes = np.array([[1, 0, 0, NAN], [0, 0, NAN, NAN]])
    found = any_of(votes[:, :, None])[:, 0]
    np.testing.assert_array_equal(found, [1, 0, NAN, NAN])


def test_a_consensus_of_nobody_or_of_another_kind_is_refused():
    with pytest.raises(AnalysisError, match="of nobody"):
        consensus([], "any")
    with pytest.raises(AnalysisError, match="consensus 'all'; allowed are majority"):
        consensus([np.zeros((2, 1))], "all")
