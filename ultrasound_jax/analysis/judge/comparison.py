"""Which differences between models survive: from predictions tables to one tree.

    {"reference", "models", "split", "level", "n", "alpha", "interval", "families",
     "thresholds_from": {model: source}, "aurocs": {model: {class: AUROC}},
     "differences": [ROW, …], "notes": [text, …]}

AUROC is `{"auroc", "ci", "delong_ci", "clustered_ci"}`; a ROW compares one model with
the reference in one class, or in the mean over classes (`macro`):

    {"model", "class", "auroc_reference", "auroc", "difference" (model - reference),
     "ci" (of the clustered test; "clustered_ci" is the same), "delong_p",
     "clustered_p", "clustered_df", "bootstrap_p", "holm_p", "survives", "reason",
     "positives", "negatives", "positive_patients", "negative_patients",
     "effective_patients", "largest_share", "replicates_left_out",
     "mcnemar": {"decisions" | "sensitivity" | "specificity": shares of right decisions
                 with _ci, counts and p} or null}

What is not defined is null, and `reason` says why. A difference survives if its
clustered p, adjusted by Holm over its family, is at most `alpha`: of the tests here it
is the one that keeps its size with few patients. There are two families: all classes
of all models, and the macro AUROCs of all models.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.judge.auroc_estimates import Estimates
from ultrasound_jax.analysis.judge.pairing import (
    Paired,
    common_split,
    pair,
)
from ultrasound_jax.analysis.stats._parts import bootstrap, paired_bootstrap
from ultrasound_jax.analysis.stats._parts.clustered import (
    Influence,
    influence,
)
from ultrasound_jax.analysis.stats._parts.intervals import (
    largest_share,
    share_interval,
)
from ultrasound_jax.analysis.stats._parts.level import counted
from ultrasound_jax.analysis.stats._parts.mcnemar import mcnemar
from ultrasound_jax.analysis.stats._parts.metrics import number
from ultrasound_jax.analysis.stats._parts.multiplicity import holm
from ultrasound_jax.analysis.table.predictions import Predictions

ALPHA = 0.05
MACRO = "macro"
MEASURES = ("decisions", "sensitivity", "specificity")


def compare(
    tables: Mapping[str, Predictions],
    reference: str,
    *,
    level: str = "",
    split: str | None = None,
    replicates: int = bootstrap.REPLICATES,
    seed: int = 0,
) -> dict[str, Any]:
    """Compares every table with the reference, on the same examples.

    Args:
        tables: name of a model -> its predictions.
        reference: one of the names.
        level: one of `levels.levels_of`; empty for the examples'.
        split: `test`, `out_of_fold` or another of the tables; None takes `test` where
            all have it and `out_of_fold` otherwise.
        replicates: of the bootstrap over patients.
        seed: of the same.

    Raises:
        AnalysisError: tables that are not about the same examples (see `pairing.pair`),
            or no class in which anything can be compared.
    """
    bootstrap.check_replicates(replicates)
    split = split or common_split(tables)
    paired = pair(tables, reference, split=split, level=level)
    classes = paired.table.classes
    content = (paired.table.labels, *paired.scores)
    paired = replace(paired, patient=bootstrap.numbered(paired.patient, *content))
    parts, reasons = _influences(paired)
    if not parts:
        told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise AnalysisError(f"split {split}: no class can be compared: {told}")
    drawn = bootstrap.draw_patients(
        int(paired.patient.max()) + 1, replicates=replicates, seed=seed
    )
    samples = paired_bootstrap.aurocs(
        paired.table.labels, paired.scores, paired.patient, drawn
    )
    estimates = {
        name: Estimates.of_class(paired, k, parts.get(name), samples[:, :, [k]])
        for k, name in enumerate(classes)
    }
    used = [k for k, name in enumerate(classes) if name in parts]
    estimates[MACRO] = Estimates.of_macro(list(parts.values()), samples[:, :, used])
    rows = [
        _row(paired, s, name, estimates[name], reasons.get(name))
        for s in range(1, len(paired.models))
        for name in (*classes, MACRO)
    ]
    families = survive(rows)
    _adjust_decisions(rows)
    return {
        "reference": reference,
        "models": list(paired.models),
        "split": split,
        "level": level or paired.table.units[0],
        "kind": paired.kind,
        "units": list(paired.table.units),
        "n": counted(paired.table),
        "alpha": ALPHA,
        "interval": {
            "level": 0.95,
            "method": "Student's t over effective patients",
            "methods": {
                "difference": "Student's t over effective patients",
                "auroc": "Student's t over effective patients, on the logit scale",
                "share": "Student's t over effective patients, on the logit scale",
                "bootstrap_p": "paired percentile bootstrap over patients, inverted",
            },
            "replicates": replicates,
            "seed": seed,
        },
        "families": families,
        "thresholds_from": dict(
            zip(paired.models, paired.thresholds_from, strict=True)
        ),
        "aurocs": {
            model: {name: found.describe(s) for name, found in estimates.items()}
            for s, model in enumerate(paired.models)
        },
        "differences": rows,
        "notes": _notes(paired, len(drawn[0]), reasons),
    }


def macro_first(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """`differences` as they are shown: of each model the macro first."""
    models = list(dict.fromkeys(row["model"] for row in rows))
    return sorted(
        rows, key=lambda row: (models.index(row["model"]), row["class"] != MACRO)
    )


def _influences(paired: Paired) -> tuple[dict[str, Influence], dict[str, str]]:
    """The patients' parts in each class, and why a class has none."""
    parts, reasons = {}, {}
    for k, name in enumerate(paired.table.classes):
        try:
            parts[name] = influence(
                paired.table.labels[:, k], paired.scores[:, :, k], paired.patient
            )
        except AnalysisError as error:
            reasons[name] = str(error)
    return parts, reasons


def _row(
    paired: Paired,
    s: int,
    name: str,
    found: Estimates,
    reason: str | None,
) -> dict[str, Any]:
    row: dict[str, Any] = {"model": paired.models[s], "class": name}
    row |= found.difference(s)
    if reason is None and row["clustered_p"] is None:
        reason = found.refusal(s) or "nothing varies between patients"
    row |= {"holm_p": None, "survives": None, "reason": reason}
    counts = ("positives", "negatives", "positive_patients", "negative_patients")
    row |= dict.fromkeys(counts) | {"largest_share": None, "mcnemar": None}
    if name == MACRO:
        return row
    k = paired.table.classes.index(name)
    labels, shares = paired.table.labels[:, k], []
    for word, side in (("positive", 1), ("negative", 0)):
        row[f"{word}s"] = int((labels == side).sum())
        sizes = np.bincount(paired.patient[labels == side])
        row[f"{word}_patients"] = int(np.count_nonzero(sizes))
        shares.append(number(float(largest_share(sizes))))
    row["largest_share"] = max((share for share in shares if share), default=None)
    row["mcnemar"] = _decisions(paired, s, k)
    return row


def _decisions(paired: Paired, s: int, k: int) -> dict[str, Any] | None:
    """Compares what two models decide; None where one has no operating point."""
    labels = paired.table.labels[:, k]
    known = ~np.isnan(labels)
    decided = paired.decisions[:, :, k]
    if np.isnan(decided[[0, s]][:, known]).any():
        return None
    sides = (known, labels == 1, labels == 0)
    result = {}
    for measure, rows in zip(MEASURES, sides, strict=True):
        right = rows & (decided == labels)
        if not rows.any():
            continue
        found = mcnemar(right[s, rows], right[0, rows], paired.patient[rows])
        trials = np.bincount(paired.patient, rows)
        shares: dict[str, Any] = {}
        for place, share in ((0, "share_reference"), (s, "share")):
            hits = np.bincount(paired.patient, right[place])
            shares[share] = float(hits.sum() / trials.sum())
            shares[f"{share}_ci"] = share_interval(hits, trials)
        result[measure] = {
            **shares,
            "only_model_right": found.only_first,
            "only_reference_right": found.only_second,
            "p_exact": found.p_exact,
            "p_mid": found.p_mid,
            "p_patients": found.p_patients,
            "patients_differing": found.patients,
            "holm_p": None,
        }
    return result


def survive(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Fills in Holm's p and the verdicts; returns what the families are."""
    families = {}
    for name, chosen in (
        ("classes", [row for row in rows if row["class"] != MACRO]),
        ("macro", [row for row in rows if row["class"] == MACRO]),
    ):
        p = np.array([row["clustered_p"] for row in chosen], float)
        for row, adjusted in zip(chosen, holm(p), strict=True):
            row["holm_p"] = number(adjusted)
            row["survives"] = None if np.isnan(adjusted) else bool(adjusted <= ALPHA)
        families[name] = {"comparisons": int((~np.isnan(p)).sum()), "test": "clustered"}
    return families


def _adjust_decisions(rows: list[dict[str, Any]]) -> None:
    """Fills in Holm's p of McNemar's tests, each measure being a family."""
    for measure in MEASURES:
        found = [
            row["mcnemar"][measure] for row in rows if measure in (row["mcnemar"] or ())
        ]
        for entry, adjusted in zip(
            found, holm(np.array([e["p_patients"] for e in found], float)), strict=True
        ):
            entry["holm_p"] = number(adjusted)


def few_patients(patients: int) -> list[str]:
    """What must be known of a comparison of few patients."""
    if patients >= 20:
        return []
    return [
        f"{patients} patients are few: the bootstrap's p is too sure of itself, and "
        "only large differences can survive"
    ]


def _notes(paired: Paired, patients: int, reasons: Mapping[str, str]) -> list[str]:
    """What a reader must know besides the numbers."""
    notes = [f"{name} is not compared: {why}" for name, why in reasons.items()]
    if reasons:
        total = len(paired.table.classes)
        notes.append(f"macro is over {total - len(reasons)} of {total} classes")
    notes += few_patients(patients)
    without = [
        name
        for name, source in zip(paired.models, paired.thresholds_from, strict=True)
        if source is None
    ]
    if without:
        notes.append(
            f"no operating point, for lack of a validation split: {', '.join(without)}"
        )
    return notes
