"""The tests that respect patients, against definitions, limits and each other."""

import numpy as np
import pytest
from scipy import stats

from tests.analysis.simulated import simulate
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.stats._parts import bootstrap, paired_bootstrap
from ultrasound_jax.analysis.stats._parts.clustered import (
    clustered_test,
    influence,
    mean_spread,
)
from ultrasound_jax.analysis.stats._parts.delong import (
    delong,
    delong_test,
)
from ultrasound_jax.analysis.stats._parts.spread import DOUBT_APART


def draw(rng, patients=9, clips=6):
    """Two models that differ, of patients with clips of either kind."""
    patient = np.repeat(np.arange(patients), clips)
    labels = (rng.random(len(patient)) < 0.4).astype(float)
    labels[0], labels[-1], labels[1], labels[-2] = 1, 1, 0, 0
    shift = rng.normal(size=(2, patients))[:, patient]
    scores = np.array([[1.5], [0.7]]) * labels + shift + rng.normal(size=shift.shape)
    return labels, np.round(scores, 1), patient


def obuchowski(labels, scores, patient):
    """The covariance by the sums of the paper, one patient after the other."""
    positive, negative = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    m, n = len(positive), len(negative)

    def wins(s, a, b):
        return (scores[s, a] > scores[s, b]) + 0.5 * (scores[s, a] == scores[s, b])

    v10 = {(s, a): np.mean([wins(s, a, b) for b in negative])
           for s in (0, 1) for a in positive}  # fmt: skip
    v01 = {(s, b): np.mean([wins(s, a, b) for a in positive])
           for s in (0, 1) for b in negative}  # fmt: skip
    theta = [np.mean([v10[s, a] for a in positive]) for s in (0, 1)]
    s10, s01, s11 = np.zeros((2, 2)), np.zeros((2, 2)), np.zeros((2, 2))
    has = np.zeros(2, int)
    patients = sorted(set(patient.tolist()))
    for p in patients:
        own = [a for a in positive if patient[a] == p]
        rest = [b for b in negative if patient[b] == p]
        has += [len(own) > 0, len(rest) > 0]
        x = [sum(v10[s, a] for a in own) - len(own) * theta[s] for s in (0, 1)]
        y = [sum(v01[s, b] for b in rest) - len(rest) * theta[s] for s in (0, 1)]
        s10, s01, s11 = s10 + np.outer(x, x), s01 + np.outer(y, y), s11 + np.outer(x, y)
    count = len(patients)
    s10 = s10 * has[0] / ((has[0] - 1) * m)
    s01 = s01 * has[1] / ((has[1] - 1) * n)
    s11 = s11 * count / (count - 1)
    return np.array(theta), s10 / m + s01 / n + (s11 + s11.T) / (m * n)


def test_the_covariance_is_the_papers():
    labels, scores, patient = draw(np.random.default_rng(0))
    found = influence(labels, scores, patient)
    theta, covariance = obuchowski(labels, scores, patient)
    np.testing.assert_allclose(found.aurocs, theta, atol=1e-12)
    np.testing.assert_allclose(found.covariance(), covariance, atol=1e-12)


def test_with_one_clip_a_patient_it_is_delongs_but_for_a_last_fraction():
    rng = np.random.default_rng(1)
    labels, scores, _ = draw(rng, 40, 1)
    found = influence(labels, scores, np.arange(40))
    aurocs, covariance = delong(labels, scores)
    np.testing.assert_allclose(found.aurocs, aurocs, atol=1e-12)
    np.testing.assert_allclose(found.covariance(), covariance, atol=1e-12)


def test_copies_of_clips_add_nothing_where_delong_believes_them():
    labels, scores, patient = draw(np.random.default_rng(2))
    case = (labels, *scores, patient)
    copied = [np.tile(column, 10) for column in case]
    once, often = clustered_test(*case), clustered_test(*copied)
    assert often.se == pytest.approx(once.se)
    assert often.p == pytest.approx(once.p)
    plain = delong_test(*case[:3]), delong_test(*copied[:3])
    assert plain[1].se < plain[0].se / 3


def by_hand(labels, scores, patient):
    """Variance and degrees of freedom of the difference by effective patients."""
    theta, parts, worth = [], [], []
    for side in (1, 0):
        rows, others = np.flatnonzero(labels == side), np.flatnonzero(labels != side)
        wins = np.stack([np.sign(s[rows, None] - s[None, others]) for s in scores])
        above = ((wins if side else -wins).mean(axis=2) + 1) / 2
        gap = above[0] - above[1]
        theta.append(gap.mean())
        own = [(gap - gap.mean())[patient[rows] == p].sum() for p in range(9)]
        parts.append(np.array(own) / len(rows))
        sizes = np.bincount(patient[rows], minlength=9)
        worth.append(sizes.sum() ** 2 / (sizes**2).sum())
    sides = [n / (n - 1) * (p**2).sum() for n, p in zip(worth, parts, strict=True)]
    variance = sum(sides) + 2 * 9 / 8 * (parts[0] * parts[1]).sum()
    pooled = sum(sides) ** 2 / sum(
        v**2 / (n - 1) for v, n in zip(sides, worth, strict=True)
    )
    return theta[0], variance, pooled, min(worth), sum(parts)


def test_the_test_refers_to_students_t_of_effective_patients_of_both_sides():
    labels, scores, patient = draw(np.random.default_rng(3), 9)
    labels[(labels == 1) & (patient == 4)] = 0  # so that patients are not alike
    theta, variance, df, worth, parts = by_hand(labels, scores, patient)
    found = clustered_test(labels, *scores, patient)
    assert found.value == pytest.approx(theta)
    assert found.df == pytest.approx(df)
    # A little of what the variance were if clips of a patient were all alike.
    aurocs = influence(labels, scores, patient).aurocs
    trials = worth / DOUBT_APART
    middle = (trials * aurocs + 0.5) / (trials + 1)
    doubt = DOUBT_APART * (parts**4).sum() ** 2 / (parts**2).sum() ** 4
    alike = (middle * (1 - middle)).sum() / worth
    expected = (1 - doubt) * variance + doubt * alike
    assert found.se**2 == pytest.approx(expected)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(theta) / found.se, df))


def test_one_patient_with_most_of_the_clips_decides_nothing():
    labels, scores, patient = draw(np.random.default_rng(3), 9)
    rows = np.concatenate([np.tile(np.flatnonzero(patient == 0), 40), np.arange(54)])
    found = clustered_test(labels[rows], *scores[:, rows], patient[rows])
    assert found.p is None and found.low is None
    assert clustered_test(labels, *scores, patient).p is not None


def test_unknown_labels_are_left_out():
    labels, scores, patient = draw(np.random.default_rng(4))
    more = np.append(labels, [np.nan] * 3)
    wide = np.concatenate([scores, [[9, -9, 3], [0, 1, 2]]], axis=1)
    found = clustered_test(more, *wide, np.append(patient, [0, 1, 77]))
    expected = clustered_test(labels, *scores, patient)
    # Sums over arrays that lie elsewhere in memory may differ in their last digit.
    for name, value in vars(expected).items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-12), name


def test_numbering_and_order_do_not_matter():
    rng = np.random.default_rng(5)
    labels, scores, patient = draw(rng)
    order = rng.permutation(len(labels))
    renamed = rng.permutation(20)[patient]
    found = clustered_test(labels[order], *scores[:, order], renamed[order])
    expected = clustered_test(labels, *scores, patient)
    assert found.p == pytest.approx(expected.p)


@pytest.mark.parametrize(("side", "name"), [(1.0, "positives"), (0.0, "negatives")])
def test_one_patient_on_a_side_is_refused(side, name):
    labels = np.array([side, side, 1 - side, 1 - side, 1 - side])
    patient = np.array([0, 0, 0, 1, 2])
    scores = np.arange(10.0).reshape(2, 5)
    with pytest.raises(AnalysisError, match=f"{name} of one patient only"):
        influence(labels, scores, patient)


def test_one_class_is_refused():
    with pytest.raises(AnalysisError, match="there are no positives"):
        influence(np.zeros(4), np.ones((2, 4)), np.arange(4))


def test_the_macro_of_one_class_twice_is_that_class():
    found = influence(*draw(np.random.default_rng(6)))
    once, twice = found.spread([1.0, -1.0]), mean_spread([found, found], [1.0, -1.0])
    assert twice.value == pytest.approx(once.value)
    # Not the same to the last bit: between classes one factor serves both sides.
    assert twice.variance == pytest.approx(once.variance, rel=0.15)
    assert twice.effective == once.effective


def test_the_macro_error_agrees_with_the_bootstraps():
    table = simulate(np.random.default_rng(7), 60, unknown=0.1)
    noise = np.random.default_rng(8).normal(size=table.scores.shape)
    scores = np.stack([table.scores, table.scores + 0.3 * noise])
    patient = table.patient_index()
    parts = [influence(table.labels[:, k], scores[:, :, k], patient) for k in range(4)]
    variances = [
        float(mean_spread(parts, weights).variance)
        for weights in ([1.0, 0.0], [1.0, -1.0])
    ]
    drawn = bootstrap.draw_patients(60, replicates=1500)
    replicates = paired_bootstrap.aurocs(table.labels, scores, patient, drawn)
    # 1,500 replicates know an error to 2 %; 60 patients make the two methods differ.
    means = replicates.mean(axis=2)
    expected = [means[0].var(), (means[0] - means[1]).var()]
    np.testing.assert_allclose(variances, expected, rtol=0.15, atol=1e-6)


def test_all_models_see_the_same_patients_in_a_replicate():
    labels, scores, patient = draw(np.random.default_rng(9))
    stack = np.stack([scores[0], scores[0], scores[1]])[:, :, None]
    drawn = bootstrap.draw_patients(9, replicates=50)
    found = paired_bootstrap.aurocs(labels[:, None], stack, patient, drawn)
    np.testing.assert_array_equal(found[0], found[1])
    single = bootstrap.replicate(
        labels[:, None], stack[2], np.zeros_like(stack[2]), patient, drawn
    )
    np.testing.assert_allclose(found[2], single["auroc"], atol=1e-12)


def test_bootstrap_p_is_below_5_percent_where_the_interval_leaves_out_zero():
    grid = np.linspace(-1, 1, 1001)
    for shift, below in ((0.90, False), (0.96, True), (-0.96, True), (-0.90, False)):
        interval = bootstrap.interval(grid + shift)
        assert interval is not None
        assert (interval.low > 0 or interval.high < 0) == below
        assert (paired_bootstrap.p_value(grid + shift) < 0.05) == below


def test_bootstrap_p_of_equal_models_is_1_and_of_no_replicates_not_defined():
    assert paired_bootstrap.p_value(np.zeros(100)) == 1
    assert paired_bootstrap.p_value(np.full(5, np.nan)) is None
    assert paired_bootstrap.p_value(np.ones(999)) == pytest.approx(2 / 1000)
