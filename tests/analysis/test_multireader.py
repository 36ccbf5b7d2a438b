"""Obuchowski and Rockette's analysis, against its published form and an example."""

import math

import numpy as np
import pytest
from scipy import stats

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.stats._parts.clustered import influence
from ultrasound_jax.analysis.stats._parts.difference import of_spread
from ultrasound_jax.analysis.stats._parts.multireader import (
    BOTH,
    PATIENTS,
    READERS,
    against_one,
    average,
    between_tests,
    of_readers,
)

# What is printed of the data of Van Dyke and others (1993) in "RJafroc book", chapter
# "Obuchowski Rockette applications" (D. P. Chakraborty): readers' AUROCs, jackknife
# covariances, and the results of the three analyses.
VAN_DYKE = np.array(
    [
        [0.9196, 0.8588, 0.9039, 0.9731, 0.8298],
        [0.9478, 0.9053, 0.9217, 0.9994, 0.9300],
    ]
)
VARIANCE, COV1, COV2, COV3 = 8.0228827e-4, 3.4661371e-4, 3.4407483e-4, 2.3902837e-4
PRINTED = {
    # Of the first less the second: se, df, p, low, high. The first se is printed as
    # 0.0207, the mean square that it is the root of 2 / 5 of as 0.001076.
    BOTH: (math.sqrt(2 / 5 * 0.001076), 15.26, 0.05167, -0.0879595, 0.0003589),
    PATIENTS: (0.018717, math.inf, 0.01928, -0.08049, -0.007115),
    READERS: (0.01485, 4, 0.04196, -0.08502, -0.00258),
}


def published(aurocs, covariance, alpha=0.05):
    """The three tests as the papers write them: mean squares and F."""
    tests, readers = aurocs.shape
    grid = covariance.reshape(tests, readers, tests, readers)

    def mean(same_test, same_reader):
        return np.mean(
            [
                grid[i, j, k, m]
                for i in range(tests)
                for j in range(readers)
                for k in range(tests)
                for m in range(readers)
                if (i == k) == same_test and (j == m) == same_reader
            ]
        )

    variance, cov1 = mean(True, True), mean(False, True)
    cov2, cov3 = mean(True, False), mean(False, False)
    whole, of_test = aurocs.mean(), aurocs.mean(axis=1)
    of_reader = aurocs.mean(axis=0)
    ms_test = readers * ((of_test - whole) ** 2).sum() / (tests - 1)
    rest = aurocs - of_test[:, None] - of_reader + whole
    ms_both = (rest**2).sum() / ((tests - 1) * (readers - 1))
    gap = max(cov2 - cov3, 0)
    errors = {
        BOTH: ms_both + readers * gap,
        PATIENTS: variance - cov1 + (readers - 1) * gap,
        READERS: ms_both,
    }
    freedom = {
        BOTH: errors[BOTH] ** 2 / (ms_both**2 / ((tests - 1) * (readers - 1))),
        PATIENTS: 1e12,
        READERS: (tests - 1) * (readers - 1),
    }
    found = {}
    for name, error in errors.items():
        p = stats.f.sf(ms_test / error, tests - 1, freedom[name])
        reach = stats.t.isf(alpha / 2, freedom[name]) * math.sqrt(2 * error / readers)
        middle = of_test[1] - of_test[0]
        found[name] = p, middle - reach, middle + reach
    return found


@pytest.mark.parametrize("name", [BOTH, PATIENTS, READERS])
def test_a_published_example_is_repeated(name):
    own = 2 * (VARIANCE - COV1)
    together = (own + 4 * 2 * (COV2 - COV3)) / 5
    found = average(VAN_DYKE[0] - VAN_DYKE[1], own=own, together=together)[name]
    se, df, p, low, high = PRINTED[name]
    assert found.value == pytest.approx(-0.0438, abs=1e-4)  # AUROCs have four digits
    assert found.se == pytest.approx(se, abs=5e-5)
    assert found.df == pytest.approx(df, rel=5e-3)
    assert found.p == pytest.approx(p, rel=0.02)
    assert (found.low, found.high) == pytest.approx((low, high), abs=2e-4)


def test_the_average_reader_of_a_published_example_is_repeated():
    variance, shared = 1.0141e-3, 4.840e-4
    together = (variance + 4 * shared) / 5
    found = average(VAN_DYKE[0], own=variance, together=together)
    assert found[BOTH].se == pytest.approx(0.03317, abs=1e-5)
    assert found[BOTH].df == pytest.approx(12.74, abs=0.02)
    ends = (found[BOTH].low, found[BOTH].high)
    assert ends == pytest.approx((0.8252, 0.9689), abs=1e-4)
    assert found[PATIENTS].se == pytest.approx(0.02429, abs=1e-5)
    assert found[READERS].se == pytest.approx(0.02483, abs=1e-5)


def ratings(rng, readers, patients=30, clips=4):
    """Five-point ratings of readers with two tests: `2 r n`, with labels, patients."""
    patient = np.repeat(np.arange(patients), clips)
    labels = (rng.random(len(patient)) < 0.5).astype(float)
    marks = 1.2 * labels + rng.normal(size=patients)[patient]
    marks = marks + rng.normal(size=(2, 1, len(patient)))  # what a test shows of it
    marks = marks + rng.normal(size=(2, readers, len(patient)))
    return labels, np.clip(np.round(marks + 2), 1, 5), patient


@pytest.mark.parametrize("readers", [2, 3, 6])
def test_differences_of_readers_give_the_published_f_tests(readers):
    labels, marks, patient = ratings(np.random.default_rng(readers), readers)
    part = influence(labels, marks.reshape(2 * readers, -1), patient)
    aurocs, covariance = part.aurocs.reshape(2, readers), part.covariance()
    between = between_tests(readers)
    errors = between @ covariance @ between.T
    found = average(
        between @ part.aurocs,
        own=float(np.trace(errors)) / readers,
        together=float(errors.mean()),
    )
    for name, expected in published(aurocs, covariance).items():
        one = found[name]
        assert (one.p, one.low, one.high) == pytest.approx(expected, rel=1e-6)


def test_these_readers_on_other_patients_is_the_clustered_test_of_their_means():
    labels, marks, patient = ratings(np.random.default_rng(1), 4)
    part = influence(labels, marks.reshape(8, -1), patient)
    found = of_readers(part, between_tests(4))[PATIENTS]
    expected = of_spread(part.spread(np.repeat([-0.25, 0.25], 4).tolist()))
    assert vars(found) == pytest.approx(vars(expected))


def test_a_model_is_compared_with_each_reader_by_its_own_covariance():
    labels, marks, patient = ratings(np.random.default_rng(2), 3)
    part = influence(labels, marks.reshape(6, -1)[:4], patient)
    contrasts = against_one(3)
    gaps = part.aurocs[0] - part.aurocs[1:]
    np.testing.assert_allclose(contrasts @ part.aurocs, gaps)
    own = [of_spread(part.spread(row.tolist())).se ** 2 for row in contrasts]
    mean = of_spread(part.spread(contrasts.mean(axis=0).tolist()))
    found = of_readers(part, contrasts)
    shared = max((3 * mean.se**2 - np.mean(own)) / 2, 0)
    assert found[BOTH].value == pytest.approx(gaps.mean())
    assert found[BOTH].se ** 2 == pytest.approx(gaps.var(ddof=1) / 3 + shared)
    assert found[READERS].se ** 2 == pytest.approx(gaps.var(ddof=1) / 3)


def test_few_patients_cost_freedom_and_infinitely_many_give_hillis():
    gaps, own = VAN_DYKE[1] - VAN_DYKE[0], 2 * (VARIANCE - COV1)
    errors = {"own": own, "together": (own + 4 * 2 * (COV2 - COV3)) / 5}
    freedoms = [
        average(gaps, **errors, freedom=f)[BOTH].df for f in (5.0, 50.0, 1e9, math.inf)
    ]
    assert freedoms == sorted(freedoms)
    assert freedoms[2] == pytest.approx(freedoms[3])
    assert average(gaps, **errors, freedom=9.0)[PATIENTS].df == 9


def test_too_few_effective_patients_are_not_tested():
    """Nearly all clips are one patient's: two patients, hardly more than one."""
    labels, marks, _ = ratings(np.random.default_rng(3), 3)
    patient = np.zeros(len(labels), int)
    patient[:4], labels[:4] = 1, (0, 1, 0, 1)
    found = of_readers(
        influence(labels, marks.reshape(6, -1), patient), between_tests(3)
    )
    assert all(one.p is None and one.low is None for one in found.values())


def test_one_reader_is_refused_and_readers_that_never_differ_say_nothing():
    nothing = {"own": 0.0, "together": 0.0}
    with pytest.raises(AnalysisError, match="1 readers; how readers differ needs two"):
        average(np.array([0.1]), **nothing)
    found = average(np.full(3, 0.1), **nothing)
    assert all(one.p is None for one in found.values())
    found = average(np.zeros(3), **nothing)
    assert all(one.p == 1 for one in found.values())
