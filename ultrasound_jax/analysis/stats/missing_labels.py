"""What the numbers would be if labels that are unknown had been known.

Everywhere else an example without a label is left out of a class, which is right if
what is not labelled is like what is. Nobody knows that; what can be known is how far it
could matter. If all unknown labels were absent, or all present, the AUROC has the value
and interval of a table so filled in. The lowest and the highest AUROC are those of the
worst and the best of all 2^u ways to fill in u labels: for any number of present ones
the best are the highest scores, the worst the lowest (swapping two labels that are in
another order can only help, or hurt), so that u + 1 ways are all that need be tried, by
rank sums. Sensitivity and specificity are lowest where every unknown label contradicts
what is decided, and highest where every one agrees. Bounds are arithmetic, not
estimates, and have no interval.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Num
from scipy import stats

from ultrasound_jax.analysis.document import (
    NOT_DEFINED,
    Block,
    Heading,
    Table,
    label,
    value_text,
)
from ultrasound_jax.analysis.stats._parts import intervals
from ultrasound_jax.analysis.stats._parts.metrics import auroc, youden_threshold
from ultrasound_jax.analysis.stats._parts.statistic import CsvRow, Tree
from ultrasound_jax.analysis.stats._parts.wording import (
    class_word,
    number_rows,
    units_text,
)
from ultrasound_jax.analysis.table.judged import Judged
from ultrasound_jax.analysis.table.predictions import MULTILABEL, Predictions

NAME = "missing_labels"
ORDER = 35
KINDS = (MULTILABEL,)
OPTIONS = ()
METHODS = (
    "Unknown labels: AUROC as it would be if all of them were absent, and if all were "
    "present, and the lowest and highest values that any way to fill them in can give; "
    "for sensitivity and specificity these are where all contradict, or all agree "
    "with, what is decided (best-case and worst-case bounds, Horowitz and Manski 2000)."
)
SOURCES = (
    "Horowitz JL, Manski CF. Nonparametric analysis of randomized experiments with "
    "missing covariate and outcome data. Journal of the American Statistical "
    "Association 95, 2000.",
)
FILLED = {"auroc": None, "auroc_absent": 0.0, "auroc_present": 1.0}
BOUNDED = ("auroc", "sensitivity", "specificity")


def auroc_bounds(
    labels: Float[np.ndarray, " n"], scores: Float[np.ndarray, " n"]
) -> tuple[float, float] | None:
    """The lowest and the highest AUROC over all ways to fill in unknown labels (NaN).

    None where every way leaves one class only.
    """
    ranks = stats.rankdata(scores)
    unknown = np.sort(ranks[np.isnan(labels)])
    more = np.arange(len(unknown) + 1)
    present = int((labels == 1).sum()) + more
    pairs = present * (len(labels) - present)
    defined = pairs > 0
    if not defined.any():
        return None
    found = []
    for ordered in (unknown, unknown[::-1]):
        sums = ranks[labels == 1].sum() + np.concatenate([[0.0], ordered.cumsum()])
        wins = sums - present * (present + 1) / 2
        found.append(wins[defined] / pairs[defined])
    return float(found[0].min()), float(found[1].max())


def rate_bounds(
    right: Bool[np.ndarray, " n"],
    wrong: Bool[np.ndarray, " n"],
    agreeing: int,
    contradicting: int,
) -> tuple[float, float] | None:
    """The bounds of the share of `right` among right and wrong.

    agreeing, contradicting: unknown labels that would be right, or wrong, if they
    belonged to this side. None where there is nothing to be right or wrong.
    """
    hits, misses = int(right.sum()), int(wrong.sum())
    ends = []
    for above, below in ((hits, contradicting), (hits + agreeing, 0)):
        total = above + misses + below
        if not total:
            return None
        ends.append(above / total)
    return ends[0], ends[1]


def compute(
    judged: Judged, options: Mapping[str, Any], drawing: Mapping[str, int]
) -> dict[str, Any]:
    """Counts and bounds of each class that has unknown labels; others are left out.

    {"classes": {name: {"examples", "unknown", "unknown_patients", "patients",
        "auroc", "auroc_absent", "auroc_present", each with _ci,
        "auroc_bounds", "sensitivity_bounds", "specificity_bounds": [low, high]}}}
    """
    decisions, _ = judged.decided(youden_threshold)
    patient = judged.rows.patient_index()
    return {
        "classes": {
            name: _one_class(judged.rows, k, decisions[:, k], patient)
            for k, name in enumerate(judged.rows.classes)
            if np.isnan(judged.rows.labels[:, k]).any()
        }
    }


def _one_class(
    table: Predictions,
    k: int,
    decided: Float[np.ndarray, " n"],
    patient: Int[np.ndarray, " n"],
) -> dict[str, Any]:
    labels, scores = table.labels[:, k], table.scores[:, k]
    unknown = np.isnan(labels)
    entry: dict[str, Any] = {
        "examples": len(labels),
        "patients": len(set(patient.tolist())),
        "unknown": int(unknown.sum()),
        "unknown_patients": len(set(patient[unknown].tolist())),
    }
    for name, value in FILLED.items():
        filled = labels if value is None else np.where(unknown, value, labels)
        known = ~np.isnan(filled)
        entry[name] = auroc(filled[known], scores[known]) if known.any() else None
        entry[f"{name}_ci"] = intervals.auroc_interval(filled, scores, patient)
    bounds = {"auroc": auroc_bounds(labels, scores), **_rates(labels, decided)}
    for name, ends in bounds.items():
        entry[f"{name}_bounds"] = None if ends is None else list(ends)
    return entry


def _rates(
    labels: Num[np.ndarray, " n"], decided: Float[np.ndarray, " n"]
) -> dict[str, tuple[float, float] | None]:
    if np.isnan(decided).any():
        return {"sensitivity": None, "specificity": None}
    unknown, flagged = np.isnan(labels), decided == 1
    found = {}
    for name, side, called in (
        ("sensitivity", 1, flagged),
        ("specificity", 0, ~flagged),
    ):
        here = labels == side
        found[name] = rate_bounds(
            here & called,
            here & ~called,
            int((unknown & called).sum()),
            int((unknown & ~called).sum()),
        )
    return found


def rows(tree: Tree) -> list[CsvRow]:
    """Counts and AUROCs of each class, and the ends of each bound."""
    found = []
    for name, entry in tree[NAME]["classes"].items():
        found += number_rows("missing labels", tree["level"], name, entry)
        place = {"part": "missing labels", "group": tree["level"], "pattern": name}
        for metric in BOUNDED:
            ends = entry[f"{metric}_bounds"]
            for word, end in zip(("lowest", "highest"), ends or ("", ""), strict=True):
                found.append(place | {"metric": f"{word} {metric}", "value": end})
    return found


def blocks(tree: Tree) -> list[Block]:
    """A table of the classes with unknown labels; nothing where there are none."""
    found = tree[NAME]["classes"]
    if not found:
        return []
    body = []
    for name, entry in found.items():
        of = f"{entry['unknown']} of {entry['examples']}"
        whose = f"{entry['unknown_patients']} of {entry['patients']}"
        cells = [value_text(entry, key) for key in FILLED]
        cells += [_bounds_text(entry[f"{metric}_bounds"]) for metric in BOUNDED]
        body.append([label(name), of, whose, *cells])
    return [
        Heading(f"Unknown labels ({units_text(tree)})", 3),
        Table(
            [class_word(tree), "unknown labels", "of patients", "AUROC without them"]
            + ["if all were absent", "if all were present"]
            + [f"{word}, lowest to highest" for word in ("AUROC", *BOUNDED[1:])],
            body,
            caption="Everywhere else, examples without a label are left out of a "
            "class. Values [95 % interval over patients] if they all were one or the "
            "other, and the lowest and highest that any labels could make of them; "
            "such bounds have no interval.",
        ),
    ]


def _bounds_text(ends: list[float] | None) -> str:
    return NOT_DEFINED if ends is None else f"{ends[0]:.3f} to {ends[1]:.3f}"
