"""Each fold's own AUROC in a cross-validation, and the mean over folds.

All other numbers of a cross-validation pool the folds' rows, so that one ranking holds
scores of several models, which suffers where these are on different scales. The folds'
own values do not, but they are of few patients each. Their spread is not the interval
of anything: it mixes what patients do with what training does, and any two folds'
models share most of their training patients (Bengio and Grandvalet 2004). What folds do
not share is whom they are judged on, so the variance of the mean over folds is that of
a mean of independent values, each with its own variance over patients.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ultrasound_jax.analysis.document import (
    NOT_DEFINED,
    Block,
    Heading,
    Table,
    label,
    value_text,
)
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.stats._parts import intervals
from ultrasound_jax.analysis.stats._parts.clustered import Influence, influence, macro
from ultrasound_jax.analysis.stats._parts.metrics import auroc
from ultrasound_jax.analysis.stats._parts.statistic import CsvRow, Tree
from ultrasound_jax.analysis.stats._parts.wording import (
    class_word,
    number_rows,
    unit_of,
    units_text,
)
from ultrasound_jax.analysis.table.judged import Judged
from ultrasound_jax.analysis.table.predictions import (
    MULTICLASS,
    MULTILABEL,
    Predictions,
)
from ultrasound_jax.analysis.table.units import plural

NAME = "by_fold"
ORDER = 38
KINDS = (MULTILABEL, MULTICLASS)
OPTIONS = ()
METHODS = (
    "Folds' own AUROCs are each of the fold's patients alone, with intervals over "
    "these; the mean over folds has the variance of a mean of independent values. The "
    "folds' models share training patients, so that the spread between folds is no "
    "interval (Bengio and Grandvalet 2004)."
)
SOURCES = (
    "Bengio Y, Grandvalet Y. No unbiased estimator of the variance of k-fold "
    "cross-validation. Journal of Machine Learning Research 5, 2004.",
)
MACRO = "macro"


def compute(
    judged: Judged, options: Mapping[str, Any], drawing: Mapping[str, int]
) -> dict[str, Any]:
    """Each fold's AUROCs, and their mean.

        {"folds": {fold: {"examples", "patients", "classes": {name: {"auroc",
            "auroc_ci", "positives", "negatives", "positive_patients"}},
            "macro": {"auroc", "auroc_ci", "classes"}}},
         "mean": {name or "macro": {"auroc", "auroc_ci", "folds", "lowest", "highest"}}}

    The mean of a class is over the folds in which its AUROC is defined, which `folds`
    counts. Both are empty where the rows are of one fold.
    """
    rows = judged.rows
    folds = sorted(set(rows.fold.tolist()))
    if len(folds) < 2:
        return {"folds": {}, "mean": {}}
    tree: dict[str, Any] = {"folds": {}, "mean": {}}
    kept: dict[str, list[tuple[float, float | None, float]]] = {}
    for fold in folds:
        entry, found = _one_fold(rows.rows(rows.fold == fold))
        tree["folds"][str(fold)] = entry
        for name, estimate in found.items():
            kept.setdefault(name, []).append(estimate)
    for name in (*rows.classes, MACRO):
        tree["mean"][name] = _mean(kept.get(name, []))
    return tree


def _one_fold(
    table: Predictions,
) -> tuple[dict[str, Any], dict[str, tuple[float, float | None, float]]]:
    """One fold's entry, and of each defined AUROC value, variance and freedom."""
    patient = table.patient_index()
    entry: dict[str, Any] = {
        "examples": len(table),
        "patients": len(set(patient.tolist())),
        "classes": {},
    }
    found: dict[str, tuple[float, float | None, float]] = {}
    parts: list[Influence | None] = []
    for k, name in enumerate(table.classes):
        labels, scores = table.labels[:, k], table.scores[:, k]
        value = auroc(labels[~np.isnan(labels)], scores[~np.isnan(labels)])
        try:
            part = influence(labels, scores[None], patient)
        except AnalysisError:  # one class, or a side of one patient: no interval
            part = None
        if value is not None:
            parts.append(part)
            found[name] = _estimate(value, part)
        entry["classes"][name] = _entry(found.get(name)) | {
            "positives": int((labels == 1).sum()),
            "negatives": int((labels == 0).sum()),
            "positive_patients": len(set(patient[labels == 1].tolist())),
        }
    if parts:
        values = [found[name][0] for name in entry["classes"] if name in found]
        found[MACRO] = (float(np.mean(values)), None, 0.0)
        known = [part for part in parts if part is not None]
        if len(known) == len(parts):
            _, covariance, df = macro(known)
            found[MACRO] = (found[MACRO][0], float(covariance[0, 0]), df)
    entry[MACRO] = _entry(found.get(MACRO)) | {"classes": len(parts)}
    return entry, found


def _estimate(
    value: float, part: Influence | None
) -> tuple[float, float | None, float]:
    if part is None:
        return value, None, 0.0
    return value, float(part.covariance()[0, 0]), part.df()


def _entry(found: tuple[float, float | None, float] | None) -> dict[str, Any]:
    if found is None:
        return {"auroc": None, "auroc_ci": None}
    value, variance, df = found
    ends = None
    if variance is not None:
        ends = intervals.bounded_interval(value, variance, df + 1)
    return {"auroc": value, "auroc_ci": ends}


def _mean(found: list[tuple[float, float | None, float]]) -> dict[str, Any]:
    """The mean over folds; freedom by Satterthwaite."""
    values = [value for value, _, _ in found]
    entry: dict[str, Any] = {"auroc": None, "auroc_ci": None, "folds": len(found)}
    entry |= {"lowest": min(values, default=None), "highest": max(values, default=None)}
    if not found:
        return entry
    entry["auroc"] = float(np.mean(values))
    known = [(var, df) for _, var, df in found if var is not None]
    if len(known) < len(found) or not all(df > 0 for _, df in known):
        return entry
    total = sum(var for var, _ in known)
    below = sum(var**2 / df for var, df in known)
    df = total**2 / below if below > 0 else min(df for _, df in known)
    variance = total / len(found) ** 2
    entry["auroc_ci"] = intervals.bounded_interval(entry["auroc"], variance, df + 1)
    return entry


def rows(tree: Tree) -> list[CsvRow]:
    """The AUROCs of each fold, then their means."""
    found = []
    for fold, entry in tree[NAME]["folds"].items():
        part = f"fold {fold}"
        for name, own in (*entry["classes"].items(), (MACRO, entry[MACRO])):
            found += number_rows(part, tree["level"], name, own)
    for name, own in tree[NAME]["mean"].items():
        found += number_rows("mean of folds", tree["level"], name, own)
    return found


def blocks(tree: Tree) -> list[Block]:
    """A row a fold and their mean; nothing where there is one fold."""
    found = tree[NAME]
    if not found["folds"]:
        return []
    body = []
    for fold, entry in found["folds"].items():
        cells = [_with_counts(own) for own in entry["classes"].values()]
        of = f"{entry['examples']} / {entry['patients']}"
        body.append([f"fold {fold}", value_text(entry[MACRO], "auroc"), *cells, of])
    mean = found["mean"]
    names = [name for name in mean if name != MACRO]
    cells = [_mean_text(mean[name]) for name in (MACRO, *names)]
    body.append(["mean of folds", *cells, ""])
    several = plural(unit_of(tree))
    return [
        Heading(f"Folds ({units_text(tree)})", 3),
        Table(
            ["", MACRO, *map(label, names), f"{several} / patients"],
            body,
            caption="AUROC of each fold's own patients [95 % interval over these], "
            f"and positive {several} of all. The mean over folds is followed by the "
            "lowest and the highest. The spread between folds is not the interval: the "
            "folds' models share training patients, and each fold is judged on few. "
            f"Every {class_word(tree)} pooled over folds is in the other tables.",
            strong=frozenset([len(body) - 1]),
        ),
    ]


def _with_counts(entry: Tree) -> str:
    total = entry["positives"] + entry["negatives"]
    return f"{value_text(entry, 'auroc')}; {entry['positives']} of {total}"


def _mean_text(entry: Tree) -> str:
    if entry["auroc"] is None:
        return NOT_DEFINED
    ends = f"{entry['lowest']:.3f} to {entry['highest']:.3f}"
    return f"{value_text(entry, 'auroc')}; {ends} of {entry['folds']}"
