"""What a reliability diagram draws: observed rates in few bins, and the scores."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from ultrasound_jax.analysis.stats._parts.intervals import share_interval
from ultrasound_jax.analysis.stats._parts.recalibration import logistic_line

# A bin for every four patients, so that each bin's interval says something.
PATIENTS_A_BIN, FEWEST, MOST = 4, 2, 5
BARS = 20  # of the histogram, from 0 to 1


def diagram(
    labels: Float[np.ndarray, " n"],
    scores: Float[np.ndarray, " n"],
    patient: Int[np.ndarray, " n"],
) -> dict[str, Any]:
    """The diagram of one class; unknown labels (NaN) are left out.

        {"points": [{"score", "rate", "rate_ci", "examples", "patients"}],
         "positive": [examples of each bar], "negative": [...],
         "line": [intercept, slope] on the logit scale, or null}

    There are `bins_for` the patients, of equal mass, where every patient weighs the
    same however many examples he has. Intervals are over patients.
    """
    known = ~np.isnan(labels)
    labels, scores, patient = labels[known], scores[known], patient[known]
    bars = np.minimum((scores * BARS).astype(int), BARS - 1)
    spread: dict[str, Any] = {
        name: np.bincount(bars[labels == value], minlength=BARS).tolist()
        for name, value in (("positive", 1), ("negative", 0))
    }
    spread["line"] = logistic_line(labels, scores)
    place = place_of(scores, patient)
    return {
        "points": [_point(labels, scores, patient, here) for here in place],
        **spread,
    }


def bins_for(patients: int) -> int:
    """How many bins so many patients can fill."""
    return int(np.clip(patients // PATIENTS_A_BIN, FEWEST, MOST))


def place_of(
    scores: Float[np.ndarray, " n"], patient: Int[np.ndarray, " n"]
) -> list[np.ndarray]:
    """The rows of each bin, from the lowest scores up; equal scores share one."""
    if not len(scores):
        return []
    number, count = np.unique(patient, return_inverse=True, return_counts=True)[1:]
    weight = 1.0 / count[number]
    order = np.argsort(scores, kind="stable")
    # The middle of each row's share of all patients, so that ties do not matter much.
    reached = np.cumsum(weight[order]) - weight[order] / 2
    bins = bins_for(len(count))
    wanted = np.arange(1, bins) / bins * weight.sum()
    edges = np.unique(scores[order][np.searchsorted(reached, wanted)])
    bin_of = np.searchsorted(edges, scores, side="right")
    return [np.flatnonzero(bin_of == one) for one in np.unique(bin_of)]


def _point(
    labels: np.ndarray, scores: np.ndarray, patient: np.ndarray, here: np.ndarray
) -> dict[str, Any]:
    who = np.unique(patient[here], return_inverse=True)[1]
    hits, trials = np.bincount(who, labels[here]), np.bincount(who)
    return {
        "score": float(scores[here].mean()),
        "rate": float(labels[here].mean()),
        "rate_ci": share_interval(hits, trials),
        "examples": len(here),
        "patients": len(trials),
    }
