"""From a predictions table to the tree of numbers in `metrics.json`.

    {split: {"clip": LEVEL, "video_mean": LEVEL, "video_max": LEVEL,
             "thresholds_from": split, "interval": {...}}}

with LEVEL

    {"macro_auroc": x, "macro_auroc_ci": [low, high], ..., "macro_classes": {...},
     "n": {"examples", "videos", "patients"}, "classes": {name: CLASS}}

and CLASS each of METRICS with its `_ci`, `threshold`, counts, and in how many
replicates the AUROC was not defined (`replicates_left_out`). What is not defined is
null. A macro value is the mean over the classes in which it is defined, and
`macro_classes` says how many they are.
"""

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.stats._parts import bootstrap, boundary_intervals
from ultrasound_jax.analysis.stats._parts.metrics import (
    METRICS,
    decide,
    measure,
    number,
    youden_threshold,
)
from ultrasound_jax.analysis.table.levels import (
    LEVELS,
    at_level,
)
from ultrasound_jax.analysis.table.predictions import Predictions
from ultrasound_jax.runs.files import write_whole

OUT_OF_FOLD = "out_of_fold"
# Where thresholds come from, if not from the split that is named.
GIVEN, OTHER_FOLDS = "given", "other folds"
Thresholds = Mapping[str, Mapping[str, float | None]]


def youden_thresholds(predictions: Predictions) -> dict[str, dict[str, float | None]]:
    """Returns the Youden threshold of each class at each of LEVELS."""
    result = {}
    for level in LEVELS:
        table = at_level(predictions, level)
        result[level] = {
            name: youden_threshold(table.labels[:, k], table.scores[:, k])
            for k, name in enumerate(table.classes)
        }
    return result


def evaluate(
    predictions: Predictions,
    thresholds_from: str | Thresholds = "validation",
    *,
    replicates: int = bootstrap.REPLICATES,
    seed: int = 0,
) -> dict[str, Any]:
    """Evaluates every split of one fold's predictions.

    Thresholds of each level are Youden's on the split named, at the same level, and
    are held fixed in the bootstrap; numbers of that split itself are therefore
    optimistic. For a new data set give the thresholds of the earlier one instead, as
    `{level: {class: threshold}}` (see `youden_thresholds`).

    Raises:
      AnalysisError: more than one fold, no such split, or a level or class without an
        entry in the thresholds given.
    """
    folds = sorted(set(predictions.fold.tolist()))
    if len(folds) > 1:
        raise AnalysisError(
            f"predictions of folds {', '.join(map(str, folds))} cannot be evaluated "
            "together; take one, or evaluate_out_of_fold"
        )
    if isinstance(thresholds_from, str):
        source = thresholds_from
        thresholds = youden_thresholds(predictions.of_split(thresholds_from))
    else:
        source, thresholds = GIVEN, thresholds_from
    tree: dict[str, Any] = {}
    for split in sorted(set(predictions.split)):
        rows = predictions.of_split(split)
        tree[split] = _heading(source, replicates, seed)
        for level in LEVELS:
            table = at_level(rows, level)
            chosen = [_given(thresholds, level, name) for name in table.classes]
            decisions = decide(table.scores, chosen)
            entry = evaluate_level(table, decisions, replicates=replicates, seed=seed)
            for name, threshold in zip(table.classes, chosen, strict=True):
                entry["classes"][name]["threshold"] = threshold
            tree[split][level] = entry
    return tree


def evaluate_out_of_fold(
    predictions: Predictions,
    *,
    replicates: int = bootstrap.REPLICATES,
    seed: int = 0,
) -> dict[str, Any]:
    """Evaluates cross-validation: every example judged by the fold that left it out.

    Scores of all folds are pooled, so a ranking metric also suffers where the folds'
    models are calibrated differently. The threshold of a fold is Youden's on the
    pooled out-of-fold predictions of all other folds: no patient helps to choose the
    threshold that judges him.

    Raises:
      AnalysisError: see `out_of_fold_rows`.
    """
    rows = out_of_fold_rows(predictions)
    folds = sorted(set(rows.fold.tolist()))
    by_fold = {f: youden_thresholds(rows.rows(rows.fold != f)) for f in folds}
    tree: dict[str, Any] = _heading(OTHER_FOLDS, replicates, seed)
    for level in LEVELS:
        table = at_level(rows, level)
        decisions = np.full(table.scores.shape, np.nan)
        for fold, thresholds in by_fold.items():
            here = table.fold == fold
            limits = [thresholds[level][name] for name in table.classes]
            decisions[here] = decide(table.scores[here], limits)
        entry = evaluate_level(table, decisions, replicates=replicates, seed=seed)
        for name in table.classes:
            entry["classes"][name]["threshold"] = None
            entry["classes"][name]["threshold_by_fold"] = {
                str(fold): by_fold[fold][level][name] for fold in folds
            }
        tree[level] = entry
    return {OUT_OF_FOLD: tree}


def out_of_fold_rows(predictions: Predictions) -> Predictions:
    """Returns the rows of split `out_of_fold`, or else the folds' `validation` rows.

    Raises:
      AnalysisError: neither is there, only one fold, or an example or a patient in more
        than one fold.
    """
    split = OUT_OF_FOLD if OUT_OF_FOLD in predictions.split else "validation"
    rows = predictions.of_split(split)
    if len(set(rows.fold.tolist())) < 2:
        raise AnalysisError(f"split {split} has one fold; cross-validation has more")
    for what, ids in (("example", rows.example_id), ("patient", rows.patient_id)):
        owner: dict[str, int] = {}
        for name, fold in zip(ids, rows.fold.tolist(), strict=True):
            if owner.setdefault(name, fold) != fold:
                raise AnalysisError(
                    f"{what} {name!r} is in split {split} of folds {owner[name]} and "
                    f"{fold}; allowed is one"
                )
    return rows


def rows_of(predictions: Predictions, split: str) -> Predictions:
    """Returns the rows behind one entry of the tree."""
    if split == OUT_OF_FOLD:
        return out_of_fold_rows(predictions)
    return predictions.of_split(split)


def evaluate_level(
    table: Predictions,
    decisions: Float[np.ndarray, "n k"],
    *,
    replicates: int = bootstrap.REPLICATES,
    seed: int = 0,
) -> dict[str, Any]:
    """Returns one LEVEL of the tree, without thresholds.

    An interval is null where `bootstrap.estimable` is false; that of a macro value,
    where it is for any class that the macro value is over. `edges` says what it is
    where no replicate differs, as with perfect separation.
    """
    patient = table.patient_index()
    drawn = bootstrap.draw_patients(
        int(patient.max()) + 1, replicates=replicates, seed=seed
    )
    points = measure(table.labels, table.scores, decisions)
    samples = bootstrap.replicate(table.labels, table.scores, decisions, patient, drawn)
    estimable = bootstrap.estimable(table.labels, patient)
    trials = boundary_intervals.trials(table.labels, patient)

    def ends(metric: str, chosen: np.ndarray) -> list[float] | None:
        if not estimable[metric][chosen].all():
            return None
        return boundary_intervals.interval(
            points[metric][0, chosen],
            samples[metric][:, chosen],
            trials[metric][chosen],
            boundary_intervals.KIND_OF[metric],
        )

    tree: dict[str, Any] = {}
    counted = {}
    for metric in METRICS:
        values = points[metric][0]
        used = ~np.isnan(values)
        counted[metric] = int(used.sum())
        tree[f"macro_{metric}"] = float(values[used].mean()) if used.any() else None
        tree[f"macro_{metric}_ci"] = ends(metric, used) if used.any() else None
    tree["macro_classes"] = counted
    tree["n"] = {
        "examples": len(table),
        "videos": len(set(table.video_id)),
        "patients": len(drawn[0]),
    }
    tree["classes"] = {}
    for k, name in enumerate(table.classes):
        entry: dict[str, Any] = {}
        for metric in METRICS:
            entry[metric] = number(points[metric][0, k])
            entry[f"{metric}_ci"] = ends(metric, np.array([k]))
        entry["replicates_left_out"] = int(np.isnan(samples["auroc"][:, k]).sum())
        entry.update(_counts(table.labels[:, k], patient))
        tree["classes"][name] = entry
    return tree


def write_metrics(path: str | os.PathLike[str], metrics: Mapping[str, Any]) -> None:
    """Writes the tree as JSON, whole or not at all."""
    text = json.dumps(metrics, indent=1, allow_nan=False)
    write_whole(path, f"{text}\n".encode())


def _counts(labels: Float[np.ndarray, " n"], patient: np.ndarray) -> dict[str, int]:
    return {
        "positives": int((labels == 1).sum()),
        "negatives": int((labels == 0).sum()),
        "unknown": int(np.isnan(labels).sum()),
        "positive_patients": len(set(patient[labels == 1])),
    }


def _heading(source: str, replicates: int, seed: int) -> dict[str, Any]:
    return {
        "thresholds_from": source,
        "interval": {
            "level": 0.95,
            "method": "percentile bootstrap over patients",
            "replicates": replicates,
            "seed": seed,
        },
    }


def _given(thresholds: Thresholds, level: str, name: str) -> float | None:
    if level not in thresholds or name not in thresholds[level]:
        raise AnalysisError(f"no threshold given for class {name} at level {level}")
    return thresholds[level][name]
