"""Holm's adjustment."""

import numpy as np

from ultrasound_jax.analysis.stats._parts.multiplicity import holm


def test_the_smallest_is_multiplied_by_all_the_next_by_one_less():
    # By hand: 4 * 0.01, 3 * 0.02, 2 * 0.04, and 0.05, which may not fall below 0.08.
    found = holm(np.array([0.04, 0.01, 0.05, 0.02]))
    np.testing.assert_allclose(found, [0.08, 0.04, 0.08, 0.06])


def test_nothing_exceeds_one():
    np.testing.assert_array_equal(holm(np.array([0.6, 0.9])), [1.0, 1.0])


def test_what_could_not_be_tested_does_not_count():
    found = holm(np.array([np.nan, 0.01, np.nan, 0.04]))
    np.testing.assert_array_equal(np.isnan(found), [True, False, True, False])
    np.testing.assert_allclose(found[[1, 3]], [0.02, 0.04])


def test_a_family_of_one_and_of_none_stays_as_it_is():
    np.testing.assert_array_equal(holm(np.array([0.03])), [0.03])
    assert len(holm(np.array([]))) == 0


def test_any_false_finding_stays_within_5_percent():
    rng = np.random.default_rng(0)
    false = [(holm(rng.random(8)) <= 0.05).any() for _ in range(2000)]
    # 5 % of 2,000 and three standard errors.
    assert np.mean(false) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2000)
    assert np.mean(false) >= 0.03
