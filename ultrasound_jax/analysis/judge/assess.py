"""All numbers about one predictions table, as one tree (see `assess`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ultrasound_jax.analysis.judge.evaluation import evaluate_level
from ultrasound_jax.analysis.stats import conformal, operating
from ultrasound_jax.analysis.stats._parts import bootstrap
from ultrasound_jax.analysis.stats._parts.metrics import youden_threshold
from ultrasound_jax.analysis.stats.calibration import (
    BINS,
    calibrate,
)
from ultrasound_jax.analysis.stats.subgroups import by_group
from ultrasound_jax.analysis.table.judged import (
    judge,
    threshold_entry,
)
from ultrasound_jax.analysis.table.levels import LEVELS
from ultrasound_jax.analysis.table.predictions import Predictions


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is computed, and how.

    split: empty for the test split or the pooled out-of-fold rows.
    level: of calibration, operating points, subgroups and prediction sets.
    by: columns that tell subgroups apart.
    optimistic: where a table has no validation rows, thresholds may come from the very
      rows that are judged.
    """

    split: str = ""
    level: str = "clip"
    by: tuple[str, ...] = ()
    sensitivities: Sequence[float] = operating.SENSITIVITIES
    alpha: float = conformal.ALPHA
    bins: int = BINS
    optimistic: bool = False
    replicates: int = bootstrap.REPLICATES
    seed: int = 0


def assess(predictions: Predictions, wanted: Wanted) -> dict[str, Any]:
    """Returns every number about the judged split of a table.

        {"split", "level", "thresholds_from", "optimistic", "interval": {...},
         "levels": {level: LEVEL}, "calibration": ..., "operating": ...,
         "subgroups": ..., "conformal": ...}

    LEVEL is that of `evaluation`, the others those of `calibration.calibrate`,
    `operating.operate`, `subgroups.by_group` and `conformal.conform`.

    Raises:
      AnalysisError: whatever these refuse.
    """
    drawing = {"replicates": wanted.replicates, "seed": wanted.seed}
    judged = judge(
        predictions,
        split=wanted.split,
        level=wanted.level,
        optimistic=wanted.optimistic,
    )
    levels, decisions = {}, {}
    for level in LEVELS:
        here = judge(
            predictions, split=judged.split, level=level, optimistic=wanted.optimistic
        )
        limits = here.limits(youden_threshold)
        decisions[level] = here.decisions(limits)
        levels[level] = evaluate_level(here.rows, decisions[level], **drawing)
        for k, name in enumerate(here.rows.classes):
            levels[level]["classes"][name] |= threshold_entry(limits, k)
    return {
        "split": judged.split,
        "level": judged.level,
        "thresholds_from": judged.source or None,
        "optimistic": judged.optimistic,
        "interval": {
            "level": 0.95,
            "method": "percentile bootstrap over patients",
            **drawing,
        },
        "levels": levels,
        "calibration": calibrate(judged.rows, bins=wanted.bins, **drawing),
        "operating": operating.operate(judged, wanted.sensitivities, **drawing),
        "subgroups": by_group(
            judged.rows, decisions[judged.level], wanted.by, **drawing
        ),
        "conformal": conformal.conform(judged, wanted.alpha, **drawing),
    }
