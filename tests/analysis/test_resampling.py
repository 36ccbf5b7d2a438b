"""Sums over patients in the bootstrap."""

import numpy as np
import pytest
from scipy import stats

from ultrasound_jax.analysis.stats._parts.resampling import (
    Resampling,
    estimate,
    ratio,
)


def test_sums_are_those_of_drawing_each_patients_examples():
    rng = np.random.default_rng(0)
    patient, columns = np.array([0, 0, 1, 2, 2, 2]), rng.random((6, 2))
    found = Resampling(patient, replicates=20, seed=3)
    sums = found.sums(columns)
    np.testing.assert_allclose(sums[0], columns.sum(axis=0))
    for times, total in zip(found.drawn.astype(int), sums, strict=True):
        rows = np.concatenate(
            [np.repeat(columns[i : i + 1], times[p], 0) for i, p in enumerate(patient)]
        )
        np.testing.assert_allclose(total, rows.sum(axis=0))
    assert (found.drawn[1:].sum(axis=1) == 3).all()


def test_nothing_divided_by_nothing_is_not_defined():
    assert np.isnan(ratio(np.array([0.0]), np.array([0.0]))).all()
    values = np.array([np.nan, 0.5, 0.5])
    assert estimate("x", values, patients=5) == {"x": None, "x_ci": None}


def test_a_number_that_one_patient_carries_has_no_interval():
    values = np.array([0.5, 0.4, 0.6])
    assert estimate("x", values, patients=1) == {"x": 0.5, "x_ci": None}
    assert estimate("x", values, patients=2)["x_ci"] is not None


def test_a_share_without_a_failure_has_the_exact_binomial_interval_of_patients():
    for value, hits in ((1.0, 7), (0.0, 0)):
        found = estimate("x", np.full(50, value), patients=7, kind="share")
        exact = stats.binomtest(hits, 7).proportion_ci(method="exact")
        assert found["x_ci"] == pytest.approx([exact.low, exact.high])


def test_a_number_that_noise_only_raises_is_reflected_and_never_negative():
    values = np.concatenate([[0.10], np.linspace(0.11, 0.21, 1001)])
    low, high = estimate("x", values, patients=9, kind="noise")["x_ci"]
    assert high == pytest.approx(0.2 - 0.1125, abs=1e-6)
    assert low == 0.0
