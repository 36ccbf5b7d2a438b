"""The points and bars of a reliability diagram, and counts behind rates."""

import numpy as np
import pytest

from tests.analysis.simulated import join, simulate
from ultrasound_jax.analysis.document import rate_text
from ultrasound_jax.analysis.judge.assess import Wanted, assess
from ultrasound_jax.analysis.stats._parts.reliability_curve import (
    bins_for,
    diagram,
    place_of,
)


@pytest.mark.parametrize(
    ("patients", "bins"), [(1, 2), (8, 2), (12, 3), (20, 5), (500, 5)]
)
def test_there_are_as_many_bins_as_patients_can_fill(patients, bins):
    assert bins_for(patients) == bins


def test_a_patient_with_most_of_the_clips_does_not_own_the_bins():
    """Eleven patients of one clip from 0.5 up, and one of 100 clips below."""
    scores = np.concatenate([np.linspace(0.0, 0.1, 100), np.linspace(0.5, 0.9, 11)])
    patient = np.concatenate([np.zeros(100, int), np.arange(1, 12)])
    bins = place_of(scores, patient)
    assert [len(set(patient[rows])) for rows in bins] == [4, 4, 4]


def test_every_known_example_is_in_one_bin_and_one_bar_and_ties_share_a_bin():
    rng = np.random.default_rng(0)
    scores, patient = rng.integers(0, 6, 200) / 5, rng.integers(0, 20, 200)
    labels = (rng.random(200) < scores).astype(float)
    labels[:10] = np.nan
    found = diagram(labels, scores, patient)
    assert sum(point["examples"] for point in found["points"]) == 190
    assert sum(found["positive"]) == (labels == 1).sum()
    assert sum(found["negative"]) == (labels == 0).sum()
    bins = place_of(scores, patient)
    held = [set(scores[rows].tolist()) for rows in bins]
    assert sum(map(len, held)) == len(set().union(*held))
    for point in found["points"]:
        assert point["rate_ci"][0] <= point["rate"] <= point["rate_ci"][1]


def test_the_curve_of_calibrated_scores_is_near_the_diagonal():
    rng = np.random.default_rng(1)
    scores, patient = rng.uniform(0.02, 0.98, 20000), np.arange(20000) % 400
    found = diagram((rng.random(20000) < scores).astype(float), scores, patient)
    np.testing.assert_allclose(found["line"], [0.0, 1.0], atol=0.06)


def test_nothing_known_draws_nothing():
    found = diagram(np.full(3, np.nan), np.full(3, 0.5), np.arange(3))
    assert found["points"] == [] and found["line"] is None


def test_counts_behind_a_rate_are_those_of_the_rate():
    rng = np.random.default_rng(2)
    table = join(simulate(rng, 12, split="validation"), simulate(rng, 12))
    tree = assess(table, Wanted(replicates=200))
    entries = [e for level in tree["levels"].values() for e in level["classes"].items()]
    points = tree["operating"]["points"].values()
    entries += [entry for classes in points for entry in classes.items()]
    seen = 0
    for _, entry in entries:
        for rate in ("sensitivity", "specificity", "positive_predictive_value"):
            if entry.get(rate) is not None:
                right, of = entry[f"{rate}_of"]
                assert entry[rate] == pytest.approx(right / of)
                assert rate_text(entry, rate).endswith(f"] {right}/{of}")
                seen += 1
    assert seen > 50
