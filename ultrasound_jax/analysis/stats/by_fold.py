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
from ultrasound_jax.analysis.stats._parts.clustered import influence, mean_spread
from ultrasound_jax.analysis.stats._parts.metrics import auroc
from ultrasound_jax.analysis.stats._parts.spread import Spread
from ultrasound_jax.analysis.stats._parts.statistic import CsvRow, Tree
from ultrasound_jax.analysis.stats._parts.wording import (
    class_word,
    number_rows,
    patients_text,
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
Estimate = tuple[float, Spread | None]  # None where there is no variance


def compute(
    judged: Judged, options: Mapping[str, Any], drawing: Mapping[str, int]
) -> dict[str, Any]:
    """Each fold's AUROCs, and their mean.

        {"folds": {fold: {"examples", "patients", "effective_patients",
            "largest_share", "classes": {name: {"auroc", "auroc_ci",
            "positives", "negatives", "positive_patients"}},
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
    kept: dict[str, list[Estimate]] = {}
    for fold in folds:
        entry, found = _one_fold(rows.rows(rows.fold == fold))
        tree["folds"][str(fold)] = entry
        for name, estimate in found.items():
            kept.setdefault(name, []).append(estimate)
    for name in (*rows.classes, MACRO):
        tree["mean"][name] = _mean(kept.get(name, []))
    return tree


def _one_fold(table: Predictions) -> tuple[dict[str, Any], dict[str, Estimate]]:
    """One fold's entry, and each AUROC that is defined."""
    patient = table.patient_index()
    entry: dict[str, Any] = {
        "examples": len(table),
        **intervals.counted_patients(np.bincount(patient)),
        "classes": {},
    }
    found: dict[str, Estimate] = {}
    parts = []
    for k, name in enumerate(table.classes):
        labels, scores = table.labels[:, k], table.scores[:, k]
        known = ~np.isnan(labels)
        value = auroc(labels[known], scores[known])
        if value is not None:
            found[name] = value, None
            try:
                parts.append(influence(labels, scores[None], patient))
                found[name] = value, parts[-1].spread([1.0])
            except AnalysisError:  # a side is of one patient
                pass
        entry["classes"][name] = _entry(found.get(name)) | {
            "positives": int((labels == 1).sum()),
            "negatives": int((labels == 0).sum()),
            "positive_patients": len(set(patient[labels == 1].tolist())),
        }
    counted = len(found)
    if found:
        value = float(np.mean([one for one, _ in found.values()]))
        whole = mean_spread(parts, [1.0]) if len(parts) == counted else None
        found[MACRO] = value, whole
    entry[MACRO] = _entry(found.get(MACRO)) | {"classes": counted}
    return entry, found


def _entry(found: Estimate | None) -> dict[str, Any]:
    if found is None:
        return {"auroc": None, "auroc_ci": None}
    value, spread = found
    ends = None if spread is None else intervals.bounded_interval(spread)
    return {"auroc": value, "auroc_ci": ends}


def _mean(found: list[Estimate]) -> dict[str, Any]:
    values = [value for value, _ in found]
    entry: dict[str, Any] = {"auroc": None, "auroc_ci": None, "folds": len(found)}
    entry |= {"lowest": min(values, default=None), "highest": max(values, default=None)}
    if found:
        entry["auroc"] = float(np.mean(values))
    spreads = [spread for _, spread in found if spread is not None and spread.known()]
    if found and len(spreads) == len(found):
        entry["auroc_ci"] = intervals.bounded_interval(_of_apart(spreads))
    return entry


def _of_apart(spreads: list[Spread]) -> Spread:
    """The spread of the mean of numbers that share no patient.

    Degrees of freedom, and the patients that carry the variance, are pooled after
    Satterthwaite.
    """
    variance, df, effective, carriers = (
        np.array([float(getattr(one, name)) for one in spreads])
        for name in ("variance", "df", "effective", "carriers")
    )
    share = variance + 1e-18  # folds that do not vary share the freedom
    pooled = share.sum() ** 2
    return Spread(
        value=np.array(np.mean([float(one.value) for one in spreads])),
        variance=np.array(variance.sum() / len(spreads) ** 2),
        df=np.array(pooled / (share**2 / df).sum()),
        effective=np.array(effective.sum()),
        carriers=np.array(pooled / (share**2 / carriers).sum()),
        trials=np.array(np.inf),
        alike=np.array(np.nan),
    )


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
        of = f"{entry['examples']} / {patients_text(entry)}"
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
