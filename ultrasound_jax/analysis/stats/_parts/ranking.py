"""AUROC and average precision for many sets of weights, from one sort of the scores.

A bootstrap over patients weighs the same rows anew in each replicate; their order by
score never changes. So the rows are sorted once, and how many positives and negatives
each patient has from one positive score down to the next is kept as sparse matrices of
steps by patients. Times the patients' weights they give what a replicate has gained at
each step, and running sums over the steps give both numbers. That is one multiplication
a row and replicate; everything else is done for the positives only.
"""

import numpy as np
from jaxtyping import Float, Int, Num
from scipy import sparse

from ultrasound_jax.analysis.errors import AnalysisError

_COLUMNS = 64  # sets of weights at a time
_CELLS = 1 << 17  # of steps times sets at a time: what fits into a core's cache


def sorted_rows(
    labels: Num[np.ndarray, " n"], scores: Num[np.ndarray, " n"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows, scores and truths by falling score, and the last of each score.

    Raises:
        AnalysisError: a score that is NaN or infinite.
    """
    known = np.flatnonzero(labels >= 0)
    marks = np.asarray(scores, np.float64)[known]
    if not np.isfinite(marks).all():
        raise AnalysisError(f"{(~np.isfinite(marks)).sum()} scores are not numbers")
    order = np.argsort(-marks, kind="stable")
    marks, rows = marks[order], known[order]
    ends = np.flatnonzero(np.append(marks[1:] != marks[:-1], True)[: len(marks)])
    return rows, marks, labels[rows] > 0, ends


class Ranking:
    """The rows of one class by falling score, for any weights of their owners.

    A step ends with the rows of a score that a positive has, and begins below the one
    before: its negatives are those passed on the way and those tied with its positives.

    gained, passed, tied: positives, negatives and tied negatives, steps by owners.
    rest: each owner's negatives below every positive.

    Args:
        labels: 1, 0, or NaN or negative where unknown.
        scores: any finite numbers.
        owner: whose a row is, as a number from 0; the row itself if None.
        owners: how many of them there are.

    Raises:
        AnalysisError: a score that is NaN or infinite.
    """

    def __init__(
        self,
        labels: Num[np.ndarray, " n"],
        scores: Num[np.ndarray, " n"],
        owner: Int[np.ndarray, " n"] | None = None,
        owners: int | None = None,
    ) -> None:
        rows, _, truth, ends = sorted_rows(labels, scores)
        whose = rows if owner is None else owner[rows]
        if owners is None:
            owners = len(labels) if owner is None else int(owner.max(initial=-1)) + 1
        score = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=-1))
        found = np.zeros(len(ends), bool)
        found[score[truth]] = True
        self.steps = steps = int(found.sum())
        # A score without positives is passed on the way to the next one with some.
        step = (np.cumsum(found) - found)[score]

        def counted(chosen: np.ndarray) -> sparse.csr_array:
            places = (step[chosen], whose[chosen])
            ones = np.ones(len(places[0]))
            return sparse.coo_array((ones, places), shape=(steps, owners)).tocsr()

        below = step == steps
        self.gained = counted(truth)
        self.passed = counted(~truth & ~below)
        self.tied = counted(~truth & found[score])
        self.rest = np.bincount(whose[below], minlength=owners).astype(float)

    def weigh(
        self, weights: Float[np.ndarray, "r p"]
    ) -> tuple[Float[np.ndarray, " r"], Float[np.ndarray, " r"]]:
        """AUROC and average precision for each set of the owners' weights.

        Equal scores count half in the AUROC; precision is not interpolated. NaN where
        the positives or the negatives weigh nothing.
        """
        found = np.full((2, len(weights)), np.nan)
        for start in range(0, len(weights), _COLUMNS):
            here = slice(start, start + _COLUMNS)
            columns = np.ascontiguousarray(weights[here].T, float)
            found[:, here] = self._of_columns(columns)
        return found[0], found[1]

    def _of_columns(
        self, weights: Float[np.ndarray, "p c"]
    ) -> Float[np.ndarray, "2 c"]:
        steps, count = self.steps, weights.shape[1]
        size = max(1, _CELLS // max(count, 1))
        positives, negatives, discordant, precise = np.zeros((4, count))
        for start in range(0, steps, size):
            part = slice(start, start + size)
            gained, passed = self.gained[part] @ weights, self.passed[part] @ weights
            true, false = np.cumsum(gained, axis=0), np.cumsum(passed, axis=0)
            true += positives
            false += negatives
            positives, negatives = true[-1].copy(), false[-1].copy()
            precise += np.einsum("sc,sc->c", gained, true / _positive(true + false))
            discordant += np.einsum("sc,sc->c", gained, false)
            tied = self.tied[part]
            if tied.nnz:
                discordant -= np.einsum("sc,sc->c", gained, tied @ weights) / 2
        negatives = negatives + self.rest @ weights
        defined = (positives > 0) & (negatives > 0)
        pairs = np.where(defined, positives * negatives, 1.0)
        aurocs = (pairs - discordant) / pairs
        precisions = precise / np.where(defined, positives, 1.0)
        return np.where(defined, [aurocs, precisions], np.nan)


def _positive(sums: Float[np.ndarray, "s c"]) -> Float[np.ndarray, "s c"]:
    """Sums to divide by: where nothing is counted yet, nothing is gained either."""
    return np.maximum(sums, 1e-300)
