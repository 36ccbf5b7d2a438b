"""What of a predictions table is judged, and on what its thresholds may be chosen."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Num

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.judge.evaluation import (
    OTHER_FOLDS,
    OUT_OF_FOLD,
    out_of_fold_rows,
)
from ultrasound_jax.analysis.stats._parts.metrics import decide
from ultrasound_jax.analysis.table.levels import at_level
from ultrasound_jax.analysis.table.predictions import Predictions

Choose = Callable[[Num[np.ndarray, " n"], Num[np.ndarray, " n"]], float | None]
Limits = Mapping[int, list[float | None]]


@dataclass(frozen=True, eq=False)
class Judged:
    """Rows at one level with, for each fold, the rows that may choose for it.

    references: fold -> rows of patients who are not judged in that fold; empty where
      the table has none, so that nothing can be chosen.
    source: what the references are, in words.
    optimistic: the references are the judged rows themselves.
    """

    split: str
    level: str
    rows: Predictions
    references: Mapping[int, Predictions] = field(repr=False)
    source: str
    optimistic: bool = False

    def limits(self, choose: Choose) -> Limits:
        """Returns `choose(labels, scores)` of each fold's reference and class."""
        count = len(self.rows.classes)
        if not self.references:
            return {fold: [None] * count for fold in set(self.rows.fold.tolist())}
        return {
            fold: [choose(table.labels[:, k], table.scores[:, k]) for k in range(count)]
            for fold, table in self.references.items()
        }

    def decisions(self, limits: Limits) -> Float[np.ndarray, "n k"]:
        """Returns 1 at or above the row's fold's threshold, NaN without one."""
        found = np.full(self.rows.scores.shape, np.nan)
        for fold, thresholds in limits.items():
            here = self.rows.fold == fold
            found[here] = decide(self.rows.scores[here], thresholds)
        return found


def threshold_entry(limits: Limits, k: int) -> dict[str, object]:
    """Returns class `k`'s thresholds as `metrics.json` has them."""
    if len(limits) == 1:
        return {"threshold": next(iter(limits.values()))[k]}
    return {
        "threshold": None,
        "threshold_by_fold": {str(f): limits[f][k] for f in sorted(limits)},
    }


def default_split(predictions: Predictions) -> str:
    """Returns the split that is reported: `test`, or the pooled out-of-fold rows."""
    for split in (OUT_OF_FOLD, "test"):
        if split in predictions.split:
            return split
    return OUT_OF_FOLD if len(set(predictions.fold.tolist())) > 1 else "test"


def judge(
    predictions: Predictions,
    *,
    split: str = "",
    level: str = "clip",
    optimistic: bool = False,
) -> Judged:
    """Takes the rows of a split at a level and finds what their thresholds come from.

    For `test` that is the `validation` split of the same fold; for pooled
    cross-validation, the rows of all other folds. Without either, nothing is chosen:
    `optimistic` then allows to choose on the judged rows, and is ignored where
    there are others, unless they are of the same patients.

    Args:
      predictions: of one fold, or of a cross-validation.
      split: to be judged; empty for `default_split`.
      level: one of `aggregate.LEVELS`.
      optimistic: see above.

    Raises:
      AnalysisError: no such split or level, several folds that are no
        cross-validation, or a patient in both splits.
    """
    split = split or default_split(predictions)
    if split == OUT_OF_FOLD:
        rows = at_level(out_of_fold_rows(predictions), level)
        references = {
            fold: rows.rows(rows.fold != fold) for fold in sorted(set(rows.fold))
        }
        references = {int(fold): table for fold, table in references.items()}
        return Judged(split, level, rows, references, OTHER_FOLDS)
    chosen = predictions.of_split(split)
    folds = sorted(set(chosen.fold.tolist()))
    if len(folds) > 1:
        raise AnalysisError(
            f"split {split} of folds {', '.join(map(str, folds))} cannot be judged "
            "together: give one table a fold, or pooled out-of-fold predictions"
        )
    rows = at_level(chosen, level)
    used = "validation"
    if split == used or used not in predictions.split:
        if not (optimistic or split == used):
            return Judged(split, level, rows, {}, "")
        return Judged(split, level, rows, {folds[0]: rows}, split, optimistic=True)
    table = predictions.of_split(used)
    reference = at_level(table.rows(table.fold == folds[0]), level)
    if not len(reference):
        raise AnalysisError(f"no predictions of split '{used}' in fold {folds[0]}")
    both = sorted(set(reference.patient_id) & set(rows.patient_id))
    if both and not optimistic:
        raise AnalysisError(
            f"patient {both[0]!r} is in split '{used}' and in split '{split}' "
            f"({len(both)} patients are): thresholds would be chosen on whom they judge"
        )
    return Judged(
        split, level, rows, {folds[0]: reference}, used, optimistic=bool(both)
    )
