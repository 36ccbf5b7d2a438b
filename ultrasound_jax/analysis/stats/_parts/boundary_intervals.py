"""Intervals that patients can bear where no replicate differs from the table.

Resampling cannot show what no patient shows: a network that ranks every positive above
every negative does so in every replicate, and the percentile interval is [1, 1],
whether 5 patients say so or 5,000 (Obuchowski and Lieber 2002 describe it for the
AUROC). At such an edge the interval is the exact binomial one (Clopper and Pearson
1934) of independent trials without a failure, each of patients of its own:

* share (sensitivity, specificity, coverage, …): a trial is a patient.
* AUROC: a trial is a pair of two patients, one with positives and one with negatives,
  and no patient is in two pairs (`pairs`). A clip of one ranks above a clip of the
  other with the probability that AUROC is, and with perfect separation all pairs do.
  Pairs that share a patient are not counted, so the interval is rather too wide.
* F1 is 2 J / (1 + J) of the share J of right ones among the examples that are positive
  or called so; the interval of J is carried over.
* mean over classes: each class at an edge takes its share of what the interval of all
  such classes, with the fewest trials of one, adds. (All of them are without failure at
  most as often as the worst is, and their mean is not below the worst.)

Average precision is no such probability; at its edge there is no interval. A value just
below 1 keeps the percentile interval, which with few patients is too narrow.
"""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from ultrasound_jax.analysis.stats._parts import bootstrap

Kind = Literal["share", "f1", "none"]
KIND_OF: dict[str, Kind] = {
    "auroc": "share",
    "average_precision": "none",
    "f1": "f1",
    "sensitivity": "share",
    "specificity": "share",
}


def pairs(positive: int, negative: int, patients: int) -> int:
    """How many pairs of a positive and a negative patient share no patient.

    `positive` and `negative` count patients with such clips, `patients` those with
    either; a patient may have both.
    """
    return min(positive, negative, patients // 2)


def trials(
    labels: Float[np.ndarray, "n k"], patient: Int[np.ndarray, " n"]
) -> dict[str, Int[np.ndarray, " k"]]:
    """How many independent trials each metric of each class rests on."""
    found = []
    for column in labels.T:
        sides = [set(patient[column == side].tolist()) for side in (1, 0)]
        found.append((len(sides[0]), len(sides[1]), len(sides[0] | sides[1])))
    positive, negative, _ = np.array(found, int).reshape(-1, 3).T
    separate = np.array([pairs(*counts) for counts in found], int)
    return {
        "auroc": separate,
        "average_precision": separate,
        "f1": positive,
        "sensitivity": positive,
        "specificity": negative,
    }


def exact_interval(value: float, count: int, kind: Kind = "share") -> list[float]:
    """The exact 95 % interval of a 0 or 1 seen in all of `count` trials."""
    edge = 0.025 ** (1 / count)
    low, high = (edge, 1.0) if value else (0.0, 1 - edge)
    return [2 * x / (1 + x) if kind == "f1" else x for x in (low, high)]


def interval(
    values: Float[np.ndarray, " k"],
    samples: Float[np.ndarray, "r k"],
    counts: Int[np.ndarray, " k"],
    kind: Kind = "share",
) -> list[float] | None:
    """The percentile interval of the mean over classes, longer at an edge.

    Args:
        values: of each class of the table, between 0 and 1; one class is its own mean.
        samples: of the replicates, NaN where not defined.
        counts: trials that each class rests on.
        kind: how an edge is treated; see the top of this file.
    """
    found = bootstrap.interval(samples.mean(axis=1))
    if found is None or np.isnan(values).any():
        return None
    stuck = at_edge(values) & ((samples == values) | np.isnan(samples)).all(axis=0)
    low, high = found.low, found.high
    if stuck.any() and (kind == "none" or not counts[stuck].all()):
        return None
    for value in (0.0, 1.0):
        here = stuck & (values == value)
        if here.any():
            ends = exact_interval(value, int(counts[here].min()), kind)
            low -= here.mean() * (value - ends[0])
            high += here.mean() * (ends[1] - value)
    return [float(low), float(high)]


def at_edge(values: Shaped[np.ndarray, "..."]) -> Bool[np.ndarray, "..."]:
    """Where a value is 0 or 1, as the AUROC of perfect separation is."""
    return (values == 0) | (values == 1)
