"""McNemar's test, exact, mid-p and by patients."""

import itertools

import numpy as np
import pytest
from scipy import stats

from ultrasound_jax.analysis.stats._parts.mcnemar import (
    mcnemar,
    sign_flip_p,
)


def judged(only_first, only_second, both=3):
    first = np.repeat([True, False, True], [only_first, only_second, both])
    second = np.repeat([False, True, True], [only_first, only_second, both])
    return first, second


@pytest.mark.parametrize(("b", "c"), [(1, 7), (10, 2), (0, 1), (5, 5), (0, 0)])
def test_the_exact_p_is_the_sign_tests(b, c):
    first, second = judged(b, c)
    found = mcnemar(first, second, np.arange(len(first)))
    expected = stats.binomtest(b, b + c).pvalue if b + c else 1.0
    assert (found.only_first, found.only_second) == (b, c)
    assert found.p_exact == pytest.approx(expected)


def test_mid_p_of_the_published_example():
    # Fagerland et al. 2013, 1 and 7 discordant pairs: mid-p 0.039, exact 0.070.
    first, second = judged(1, 7)
    found = mcnemar(first, second, np.arange(len(first)))
    assert found.p_exact == pytest.approx(0.0703, abs=5e-5)
    assert found.p_mid == pytest.approx(0.0391, abs=5e-5)


def test_mid_p_counts_the_table_itself_half():
    first, second = judged(4, 4)
    found = mcnemar(first, second, np.arange(len(first)))
    assert found.p_mid == pytest.approx(1 - stats.binom.pmf(4, 8, 0.5) / 2)


@pytest.mark.parametrize(("b", "c"), [(1, 7), (10, 2), (5, 5), (0, 0)])
def test_with_one_clip_a_patient_patients_give_the_exact_p(b, c):
    first, second = judged(b, c)
    found = mcnemar(first, second, np.arange(len(first)))
    assert found.p_patients == pytest.approx(found.p_exact)
    assert found.patients == b + c


def test_all_sign_patterns_are_counted():
    surplus = np.array([3, -1, 0, 2, 5, -2])
    sums = [
        abs(np.dot(signs, surplus)) >= abs(surplus.sum())
        for signs in itertools.product((-1, 1), repeat=len(surplus))
    ]
    assert sign_flip_p(surplus) == pytest.approx(np.mean(sums))


def test_many_clips_of_one_patient_prove_nothing():
    first, second = judged(40, 0)
    found = mcnemar(first, second, np.zeros(len(first), int))
    assert found.p_exact < 1e-11 and found.p_patients == 1


def test_seven_patients_reach_one_in_64_at_best():
    first, second = judged(70, 0, both=0)
    found = mcnemar(first, second, np.repeat(np.arange(7), 10))
    assert found.p_patients == 2**-6 and found.patients == 7
