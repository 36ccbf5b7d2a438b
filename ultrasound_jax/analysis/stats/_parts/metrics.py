"""Ranking and threshold metrics of one or more classes, plain and weighted.

Entries without a label (NaN or negative) are left out. What cannot be judged is "not
defined": None for one number, NaN in arrays; it is never replaced by 0.5 or 0. AUROC
and average precision need positives and negatives, sensitivity and F1 positives,
specificity negatives. A score at or above its threshold counts as positive.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Num

from ultrasound_jax.analysis.errors import AnalysisError

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
    order, marks, truth, ends = _sorted(labels, scores)
    true = np.cumsum(truth, dtype=np.int64)[ends]
    return RocPoints(thresholds=marks[ends], true=true, false=ends + 1 - true)


def _sorted(
    labels: Num[np.ndarray, " n"], scores: Num[np.ndarray, " n"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows, scores and truths by falling score, and the last of each score."""
    known = np.flatnonzero(labels >= 0)
    marks = np.asarray(scores, np.float64)[known]
    if not np.isfinite(marks).all():
        raise AnalysisError(f"{(~np.isfinite(marks)).sum()} scores are not numbers")
    order = np.argsort(-marks, kind="stable")
    marks, rows = marks[order], known[order]
    ends = np.flatnonzero(np.append(marks[1:] != marks[:-1], True)[: len(marks)])
    return rows, marks, labels[rows] > 0, ends


def rank(
    labels: Num[np.ndarray, " n"],
    scores: Num[np.ndarray, " n"],
    weights: Float[np.ndarray, "r n"] | None = None,
) -> tuple[Float[np.ndarray, " r"], Float[np.ndarray, " r"]]:
    """AUROC and average precision for each set of weights.

    Equal scores count half in the AUROC; precision is not interpolated. One sort and
    one cumulative sum over all rows serve both; the rest looks at positives only.

    Raises:
        AnalysisError: a score that is NaN or infinite.
    """
    if weights is None:
        weights = np.ones((1, len(labels)))
    rows, _, truth, ends = _sorted(labels, scores)
    total = np.zeros((len(weights), len(rows) + 1))
    np.cumsum(np.take(weights, rows, axis=1), axis=1, out=total[:, 1:])
    places = np.flatnonzero(truth)
    here = np.take(weights, rows[places], axis=1)
    group = np.searchsorted(ends, places)  # the group of equal scores of each positive
    groups = np.unique(group)
    gained = np.add.reduceat(here, np.searchsorted(group, groups), axis=1)
    found = np.cumsum(gained, axis=1)
    starts = np.append(0, ends[:-1] + 1)[groups] if len(ends) else groups
    above, upto = (
        np.take(total, starts, axis=1),
        np.take(total, ends[groups] + 1, axis=1),
    )
    positives = found[:, -1] if len(groups) else np.zeros(len(weights))
    negatives = total[:, -1] - positives
    # Negatives above a group and half of those in it are ranked wrongly against it.
    wrong = (above + upto + gained) / 2 - found
    concordant = negatives * positives - np.einsum("rj,rj->r", gained, wrong)
    precision = found / np.maximum(upto, 1e-300)
    defined = (positives > 0) & (negatives > 0)
    return (
        _where(defined, concordant, positives * negatives),
        _where(defined, np.einsum("rj,rj->r", gained, precision), positives),
    )


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
    known = labels >= 0
    truth = np.where(known, labels, 0.0)
    positive = np.nan_to_num(decisions)
    hit = weights @ (truth * positive)
    alarm = weights @ ((known - truth) * positive)
    positives, negatives = weights @ truth, weights @ (known - truth)
    undecided = (known & np.isnan(decisions)).any(axis=0)
    ranks = [rank(labels[:, k], scores[:, k], weights) for k in range(labels.shape[1])]
    return {
        "auroc": np.stack([r[0] for r in ranks], axis=1),
        "average_precision": np.stack([r[1] for r in ranks], axis=1),
        "f1": _where(~undecided & (positives > 0), 2 * hit, hit + alarm + positives),
        "sensitivity": _where(~undecided & (positives > 0), hit, positives),
        "specificity": _where(
            ~undecided & (negatives > 0), negatives - alarm, negatives
        ),
    }


def number(value: float | np.floating) -> float | None:
    """A plain number, None for NaN."""
    return None if np.isnan(value) else float(value)


def _where(defined: np.ndarray, above: np.ndarray, below: np.ndarray) -> np.ndarray:
    result = np.full(np.broadcast_shapes(defined.shape, above.shape), np.nan)
    return np.divide(above, below, out=result, where=defined)
