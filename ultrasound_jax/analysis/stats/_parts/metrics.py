"""Ranking and threshold metrics of one or more classes, plain and weighted.

Entries without a label (NaN or negative) are left out. What cannot be judged is "not
defined": None for one number, NaN in arrays; it is never replaced by 0.5 or 0. AUROC
and average precision need positives and negatives, sensitivity and F1 positives,
specificity negatives. A score at or above its threshold counts as positive.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from ultrasound_jax.analysis.stats._parts.ranking import Ranking, sorted_rows

RANKING = ("auroc", "average_precision")
DECIDING = ("f1", "sensitivity", "specificity")
METRICS = (*RANKING, *DECIDING)


@dataclass(frozen=True, eq=False)
class RocPoints:
    """How many positives and negatives score at least as much as each threshold.

    thresholds: the distinct scores, highest first.
    """

    thresholds: Float[np.ndarray, " j"]
    true: Int[np.ndarray, " j"]
    false: Int[np.ndarray, " j"]

    def defined(self) -> bool:
        """Whether there are positives and negatives."""
        return len(self.true) > 0 and bool(self.true[-1] > 0 and self.false[-1] > 0)

    def threshold(self, place: int) -> float:
        """The threshold midway between a score counted and the next lower."""
        marks = self.thresholds
        if place == len(marks) - 1:
            return float(marks[place])
        middle = (marks[place] + marks[place + 1]) / 2
        return float(middle if middle > marks[place + 1] else marks[place])


def roc_points(
    labels: Num[np.ndarray, " n"], scores: Num[np.ndarray, " n"]
) -> RocPoints:
    """Counts from the highest score downwards.

    Raises:
        AnalysisError: a score that is NaN or infinite.
    """
    _, marks, truth, ends = sorted_rows(labels, scores)
    true = np.cumsum(truth, dtype=np.int64)[ends]
    return RocPoints(thresholds=marks[ends], true=true, false=ends + 1 - true)


def rank(
    labels: Num[np.ndarray, " n"],
    scores: Num[np.ndarray, " n"],
    weights: Float[np.ndarray, "r n"] | None = None,
) -> tuple[Float[np.ndarray, " r"], Float[np.ndarray, " r"]]:
    """AUROC and average precision for each set of the rows' weights.

    Equal scores count half in the AUROC; precision is not interpolated.

    Raises:
        AnalysisError: a score that is NaN or infinite.
    """
    if weights is None:
        weights = np.ones((1, len(labels)))
    return Ranking(labels, scores).weigh(weights)


def auroc(labels: Num[np.ndarray, " n"], scores: Num[np.ndarray, " n"]) -> float | None:
    """The area under the ROC of one class, None where not defined."""
    return number(rank(labels, scores)[0][0])


def average_precision(
    labels: Num[np.ndarray, " n"], scores: Num[np.ndarray, " n"]
) -> float | None:
    """The average precision of one class, None where not defined."""
    return number(rank(labels, scores)[1][0])


def youden_threshold(
    labels: Num[np.ndarray, " n"], scores: Num[np.ndarray, " n"]
) -> float | None:
    """The threshold with the highest sensitivity + specificity.

    It lies midway between the lowest score counted as positive and the next lower one,
    so that it splits these scores as the best point of their ROC does and favours
    neither side for new ones. Of equally good points, the one with the highest
    sensitivity is taken: a missed finding is the graver error. None where the class
    lacks positives or negatives.
    """
    points = roc_points(labels, scores)
    if not points.defined():
        return None
    true, false = points.true, points.false
    # Whole numbers, so that equally good points are equal in spite of rounding.
    gain = true * false[-1] - false * true[-1]
    return points.threshold(len(gain) - 1 - int(np.argmax(gain[::-1])))


def measure(
    labels: Float[np.ndarray, "n k"],
    scores: Float[np.ndarray, "n k"],
    decisions: Float[np.ndarray, "n k"],
    weights: Float[np.ndarray, "r n"] | None = None,
) -> dict[str, Float[np.ndarray, "r k"]]:
    """Each of METRICS for each set of weights and each class.

    A class with an annotated entry that has no decision has no threshold metrics.
    """
    if weights is None:
        weights = np.ones((1, len(labels)))
    return measure_owners(labels, scores, decisions, np.arange(len(labels)), weights)


def measure_owners(
    labels: Float[np.ndarray, "n k"],
    scores: Float[np.ndarray, "n k"],
    decisions: Float[np.ndarray, "n k"],
    owner: Int[np.ndarray, " n"],
    weights: Float[np.ndarray, "r p"],
) -> dict[str, Float[np.ndarray, "r k"]]:
    """`measure`, where all rows of an owner, as of a patient, have the same weight.

    Args:
        labels: 1, 0 or unknown.
        scores: of the same.
        decisions: 1, 0, or NaN without a threshold.
        owner: whose each row is, a number from 0.
        weights: of each owner.
    """
    owners = weights.shape[1]
    known = labels >= 0
    positive, negative = known & (labels > 0), known & (labels <= 0)
    called = decisions > 0
    hit, alarm, positives, negatives = (
        weights @ _by_owner(part, owner, owners)
        for part in (positive & called, negative & called, positive, negative)
    )
    undecided = (known & np.isnan(decisions)).any(axis=0)
    ranks = [
        Ranking(labels[:, k], scores[:, k], owner, owners).weigh(weights)
        for k in range(labels.shape[1])
    ]
    found = np.array(ranks).reshape(-1, 2, len(weights))
    return {
        "auroc": found[:, 0].T,
        "average_precision": found[:, 1].T,
        "f1": _where(~undecided & (positives > 0), 2 * hit, hit + alarm + positives),
        "sensitivity": _where(~undecided & (positives > 0), hit, positives),
        "specificity": _where(
            ~undecided & (negatives > 0), negatives - alarm, negatives
        ),
    }


def _by_owner(
    chosen: Bool[np.ndarray, "n k"], owner: Int[np.ndarray, " n"], owners: int
) -> Float[np.ndarray, "p k"]:
    """How many chosen rows each owner has."""
    columns = [np.bincount(owner[one], minlength=owners) for one in chosen.T]
    return np.array(columns, float).reshape(-1, owners).T


def number(value: float | np.floating) -> float | None:
    """A plain number, None for NaN."""
    return None if np.isnan(value) else float(value)


def _where(defined: np.ndarray, above: np.ndarray, below: np.ndarray) -> np.ndarray:
    result = np.full(np.broadcast_shapes(defined.shape, above.shape), np.nan)
    return np.divide(above, below, out=result, where=defined)
