"""What a model decides at its operating point, in the rows of one split."""

import numpy as np
from jaxtyping import Float

from ultrasound_jax.analysis.aggregate import at_level
from ultrasound_jax.analysis.evaluation import (
    OTHER_FOLDS,
    OUT_OF_FOLD,
    rows_of,
    youden_thresholds,
)
from ultrasound_jax.analysis.metrics import decide
from ultrasound_jax.analysis.predictions import Predictions

VALIDATION = "validation"


def decide_at_youden(
    predictions: Predictions, split: str, level: str
) -> tuple[Predictions, Float[np.ndarray, "n k"], str | None]:
    """Returns a split's rows at a level, the decisions, and where thresholds are from.

    As in `evaluation.py`: Youden's thresholds of the validation split of the same
    table, or, for `out_of_fold`, of the other folds. Where there is no validation split
    there is no operating point: decisions are NaN and the source is None.

    Raises:
      AnalysisError: no such split or level; see `evaluation.rows_of`.
    """
    rows = rows_of(predictions, split)
    table = at_level(rows, level)
    decisions = np.full(table.scores.shape, np.nan)
    if split == OUT_OF_FOLD:
        for fold in sorted(set(rows.fold.tolist())):
            others = youden_thresholds(rows.rows(rows.fold != fold))[level]
            here = table.fold == fold
            limits = [others[name] for name in table.classes]
            decisions[here] = decide(table.scores[here], limits)
        return table, decisions, OTHER_FOLDS
    if VALIDATION not in predictions.split:
        return table, decisions, None
    limits = youden_thresholds(predictions.of_split(VALIDATION))[level]
    chosen = [limits[name] for name in table.classes]
    return table, decide(table.scores, chosen), VALIDATION
