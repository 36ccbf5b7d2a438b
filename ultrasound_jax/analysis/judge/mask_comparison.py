"""Which differences in Dice between models survive, on the same examples.

    {"kind": "masks", "reference", "models", "split", "level", "units", "n", "alpha",
     "interval", "families", "dice": {model: {class: {"mean_dice", "mean_dice_ci"}}},
     "differences": [ROW, …], "notes": [text, …]}

A ROW compares one model with the reference in one class or, where there are several, in
the mean over classes (`macro`):

    {"model", "class", "dice_reference", "dice", "difference" (model - reference), "ci"
     (paired patient bootstrap), "clustered_ci", "clustered_p", "clustered_df",
     "bootstrap_p", "holm_p", "survives", "reason", "patients"}

Dice is the mean over examples (groups, at their level) in which the model's is defined:
a false alarm where another model rightly finds nothing counts as 0. The clustered test
is Student's t of the difference of these two ratios over patients, whose parts in a
ratio are linearised (Cochran 1977). `macro` is over the classes in which every model's
is defined. A difference survives if its p, adjusted by Holm,
is at most `alpha`, as in `comparison`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.judge.comparison import ALPHA, MACRO, few_patients, survive
from ultrasound_jax.analysis.judge.pairing import common_split, same_rows
from ultrasound_jax.analysis.stats._parts import bootstrap, paired_bootstrap
from ultrasound_jax.analysis.stats._parts.difference import against_zero
from ultrasound_jax.analysis.stats._parts.level import counted
from ultrasound_jax.analysis.stats._parts.metrics import number
from ultrasound_jax.analysis.stats._parts.resampling import Resampling, estimate, ratio
from ultrasound_jax.analysis.table.levels import at_level
from ultrasound_jax.analysis.table.mask_table import COUNTS, MASKS, MaskTable

Means = dict[str, tuple[np.ndarray, np.ndarray, int]]


def compare_masks(
    tables: Mapping[str, MaskTable],
    reference: str,
    *,
    level: str = "",
    split: str | None = None,
    replicates: int = bootstrap.REPLICATES,
    seed: int = 0,
) -> dict[str, Any]:
    """Compares every table with the reference, as `comparison.compare` does.

    Raises:
        AnalysisError: tables that are not about the same examples and true masks.
    """
    split = split or common_split(tables)
    rows = same_rows(tables, reference, split)
    rows = {k: _columns(table, rows[reference].classes) for k, table in rows.items()}
    _check_truth(rows, reference)
    level = level or rows[reference].units[0]
    found = {name: at_level(table, level) for name, table in rows.items()}
    first = found[reference]
    resampling = Resampling(first.patient_index(), replicates=replicates, seed=seed)
    means = {name: _means(table, resampling) for name, table in found.items()}
    _add_macro(means)
    others = [name for name in found if name != reference]
    differences = [
        _row(name, one, means[reference][one], means[name][one])
        for name in others
        for one in means[name]
    ]
    return {
        "kind": MASKS,
        "reference": reference,
        "models": list(found),
        "split": split,
        "level": level,
        "units": list(first.units),
        "n": counted(first),
        "alpha": ALPHA,
        "interval": {
            "level": 0.95,
            "method": "paired percentile bootstrap over patients",
            "replicates": replicates,
            "seed": seed,
        },
        "families": survive(differences),
        "dice": {
            name: {
                one: estimate("mean_dice", values, patients=patients)
                for one, (values, _, patients) in of.items()
            }
            for name, of in means.items()
        },
        "differences": differences,
        "notes": few_patients(resampling.patients),
    }


def _columns(table: MaskTable, classes: tuple[str, ...]) -> MaskTable:
    """The table's counts with its classes in this order."""
    order = [table.classes.index(name) for name in classes]
    counts = {name: getattr(table, name)[:, order] for name in COUNTS}
    return replace(table, classes=classes, distances={}, **counts)


def _check_truth(tables: Mapping[str, MaskTable], reference: str) -> None:
    first = tables[reference]
    for name, table in tables.items():
        differ = np.argwhere(table.tp + table.fn != first.tp + first.fn)
        if len(differ):
            row, k = differ[0]
            raise AnalysisError(
                f"runs '{reference}' and '{name}' differ in {len(differ)} true masks, "
                f"as {first.classes[k]} of example {first.example_id[row]!r}"
            )


def _means(table: MaskTable, resampling: Resampling) -> Means:
    """Mean Dice of each class and the macro, of the table and of each replicate.

    With each patient's part in the table's own, and how many patients carry it.
    """
    found: Means = {}
    for k, name in enumerate(table.classes):
        hit = 2.0 * table.tp[:, k]
        dice = ratio(hit, hit + table.fp[:, k] + table.fn[:, k])
        known = ~np.isnan(dice)
        columns = np.stack([np.nan_to_num(dice), known], axis=1)
        above, below = resampling.sums(columns).T
        values = ratio(above, below)
        own = resampling.by_patient(columns)
        parts = (own[:, 0] - values[0] * own[:, 1]) / max(below[0], 1)
        found[name] = values, parts, resampling.contributors(known)
    return found


def _add_macro(means: Mapping[str, Means]) -> None:
    """Adds the mean over the classes in which every model has a Dice."""
    first = next(iter(means.values()))
    used = [k for k in first if not any(np.isnan(of[k][0][0]) for of in means.values())]
    for of in means.values() if len(first) > 1 and used else ():
        values = np.mean([of[k][0] for k in used], axis=0)
        parts = np.mean([of[k][1] for k in used], axis=0)
        of[MACRO] = values, parts, min(of[k][2] for k in used)


def _row(
    model: str,
    name: str,
    reference: tuple[np.ndarray, np.ndarray, int],
    own: tuple[np.ndarray, np.ndarray, int],
) -> dict[str, Any]:
    gaps, parts = own[0] - reference[0], own[1] - reference[1]
    patients = min(own[2], reference[2])
    row: dict[str, Any] = {
        "model": model,
        "class": name,
        "dice_reference": number(reference[0][0]),
        "dice": number(own[0][0]),
        "difference": number(gaps[0]),
        "ci": None,
        "clustered_ci": None,
        "clustered_p": None,
        "clustered_df": None,
        "bootstrap_p": None,
        "holm_p": None,
        "survives": None,
        "reason": None,
        "patients": patients,
    }
    if row["difference"] is None or patients < 2:
        why = "Dice is not defined" if row["difference"] is None else "one patient only"
        return row | {"reason": why}
    df = float(patients - 1)
    tested = against_zero(float(gaps[0]), _variance(parts, patients), df)
    row |= {"clustered_p": tested.p, "clustered_df": df}
    if tested.low is not None:
        row["clustered_ci"] = [tested.low, tested.high]
    ends = bootstrap.interval(gaps[1:])
    row["ci"] = [ends.low, ends.high] if ends else None
    row["bootstrap_p"] = paired_bootstrap.p_value(gaps[1:])
    if tested.p is None:
        row["reason"] = "nothing varies between patients"
    return row


def _variance(parts: Float[np.ndarray, " p"], patients: int) -> float:
    """That of a difference whose patients have these parts, which add up to zero."""
    return float((parts**2).sum() * patients / (patients - 1))
