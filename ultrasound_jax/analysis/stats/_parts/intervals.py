"""Intervals over patients of an AUROC, a share and a mean, without resampling.

A number that is made of examples is made of patients: what each adds to it, less what
as many average examples had added, is his part, and the parts tell how it varies. They
weigh as patients have examples, so that what counts is not how many patients there are
but how many *effective* ones: (sum n)^2 / sum n^2 of their examples n, which is their
number where all have equally many, and little more than one where one has nearly all.
The same numbers give the same interval: nothing is drawn, and no order or seed matters.

* A share and an AUROC lie between 0 and 1, where the interval of Student's t is made on
  the logit scale (Pepe 2003, section 5.2.5; Dean and Pagano 2015).
* A mean of anything else is its value and Student's t times the standard error.
"""

import math

import numpy as np
from jaxtyping import Float, Int, Num
from scipy import stats

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.stats._parts import clustered
from ultrasound_jax.analysis.stats._parts.difference import LEVEL


def effective_patients(sizes: Num[np.ndarray, " p"]) -> float:
    """How many patients with equally many examples tell as much; 0 of nothing."""
    total = float(np.sum(sizes))
    return total**2 / float(np.sum(np.square(sizes, dtype=float))) if total else 0.0


def largest_share(sizes: Num[np.ndarray, " p"]) -> float | None:
    """The share of all examples that the patient with the most has."""
    total = float(np.sum(sizes))
    return float(np.max(sizes)) / total if total else None


def share_interval(
    hits: Num[np.ndarray, " p"], trials: Num[np.ndarray, " p"]
) -> list[float] | None:
    """The 95 % interval of sum(hits) / sum(trials), both of each patient.

    None where fewer than two patients have a trial.
    """
    carriers = int(np.count_nonzero(trials))
    if carriers < 2:
        return None
    total = float(np.sum(trials))
    value = float(np.sum(hits)) / total
    parts = (hits - value * trials) / total
    variance = float(np.sum(parts**2)) * carriers / (carriers - 1)
    return bounded_interval(value, variance, effective_patients(trials))


def auroc_interval(
    labels: Float[np.ndarray, " n"],
    scores: Float[np.ndarray, " n"],
    patient: Int[np.ndarray, " n"],
) -> list[float] | None:
    """The 95 % interval of an AUROC; unknown labels (NaN) are left out.

    None where positives or negatives are of fewer than two patients.
    """
    try:
        found = clustered.influence(labels, scores[None], patient)
    except AnalysisError:
        return None
    return bounded_interval(
        float(found.aurocs[0]), float(found.covariance()[0, 0]), found.df() + 1
    )


def mean_interval(
    sums: Num[np.ndarray, " p"], counts: Num[np.ndarray, " p"]
) -> list[float] | None:
    """The 95 % interval of sum(sums) / sum(counts) of any number, such as Dice.

    None where fewer than two patients carry it, or where nothing varies.
    """
    carriers = int(np.count_nonzero(counts))
    if carriers < 2:
        return None
    total = float(np.sum(counts))
    value = float(np.sum(sums)) / total
    parts = (sums - value * counts) / total
    variance = float(np.sum(parts**2)) * carriers / (carriers - 1)
    if variance < 1e-24:
        return None
    reach = quantile(effective_patients(counts) - 1) * math.sqrt(variance)
    return [value - reach, value + reach]


def bounded_interval(
    value: float, variance: float, effective: float
) -> list[float] | None:
    """The 95 % interval of a number between 0 and 1 with this variance.

    effective: patients that it rests on; fewer than two tell nothing.
    """
    if effective < 2:
        return None
    middle = (effective * value + 0.5) / (effective + 1)
    spread = middle * (1 - middle)
    variance += spread / effective**2
    reach = quantile(effective - 1) * math.sqrt(variance) / spread
    logit = math.log(middle / (1 - middle))
    low, high = (1 / (1 + math.exp(-(logit + sign * reach))) for sign in (-1, 1))
    return [min(low, value), max(high, value)]


def quantile(df: float) -> float:
    """How many standard errors a 95 % interval reaches to each side."""
    return float(stats.t.isf((1 - LEVEL) / 2, df))
