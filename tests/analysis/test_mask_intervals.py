"""Intervals of means that are no shares of hits, as mean Dice is none."""

import numpy as np
import pytest
from scipy import special

from ultrasound_jax.analysis.stats._parts.spread import of_ratio

STUDIES, IMAGES = 2000, 2


def studies(patients, missed, rng):
    """Sums of Dice and numbers of images of each patient, and the true mean."""
    own, image = rng.normal(size=(2, STUDIES, patients, IMAGES)) * np.sqrt(0.5)
    dice = special.expit(2.6 + 0.6 * (own[..., :1] + image))
    dice[rng.random(dice.shape) < missed] = 0.0
    whole = special.expit(2.6 + 0.6 * rng.normal(size=1_000_000)).mean()
    return dice.sum(axis=-1), np.full((STUDIES, patients), IMAGES), whole * (1 - missed)


@pytest.mark.parametrize(
    ("patients", "missed", "least"),
    [(5, 0.0, 0.94), (20, 0.0, 0.94), (100, 0.0, 0.94), (100, 0.02, 0.94)],
)
def test_intervals_of_mean_dice_hold_the_truth(patients, missed, least):
    above, below, truth = studies(patients, missed, np.random.default_rng(0))
    low, high = of_ratio(above, below).bounded()
    assert ((low <= truth) & (truth <= high)).mean() >= least


def test_intervals_of_mean_dice_are_hardly_longer_than_students():
    above, below, _ = studies(40, 0.0, np.random.default_rng(1))
    spread = of_ratio(above, below)
    own, students = (np.subtract(*ends[::-1]) for ends in _ends(spread))
    assert own.mean() < 1.2 * students.mean()


def test_a_share_of_hits_has_no_more_trials_than_it_counts():
    hits, trials = np.array([2.0, 1.0, 2.0, 2.0]), np.full(4, 2.0)
    assert of_ratio(hits, trials).trials == 8
    assert np.isinf(of_ratio(hits - 0.25, trials).trials)


def _ends(spread):
    return spread.bounded(), spread.plain()
