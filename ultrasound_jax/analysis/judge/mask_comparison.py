"""Which differences in Dice between models survive, on the same examples.

    {"kind": "masks", "reference", "models", "split", "level", "units", "n", "alpha",
     "interval", "families", "dice": {model: {class: {"mean_dice", "mean_dice_ci"}}},
     "differences": [ROW, …], "notes": [text, …]}

A ROW compares one model with the reference in one class or, where there are several, in
the mean over classes (`macro`):

    {"model", "class", "dice_reference", "dice", "difference" (model - reference), "ci"
     (of the clustered test; "clustered_ci" is the same), "clustered_p", "clustered_df",
     "bootstrap_p", "holm_p", "survives", "reason", "patients", "effective_patients",
     "largest_share"}

Dice is the mean over examples (groups, at their level) in which the model's is defined:
a false alarm where another model rightly finds nothing counts as 0. The clustered test
is Student's t of the difference of these two ratios over patients, whose parts in a
ratio are linearised (Cochran 1977); its degrees of freedom are those of effective
patients (`spread`). `macro` is over the classes in which every model's
is defined. A difference survives if its p, adjusted by Holm,
is at most `alpha`, as in `comparison`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.judge.comparison import ALPHA, MACRO, few_patients, survive
from ultrasound_jax.analysis.judge.pairing import common_split, same_rows
from ultrasound_jax.analysis.stats._parts import bootstrap, paired_bootstrap
from ultrasound_jax.analysis.stats._parts.difference import against_zero
from ultrasound_jax.analysis.stats._parts.intervals import (
    BOUNDED,
    OVER_PATIENTS,
    counted_patients,
)
from ultrasound_jax.analysis.stats._parts.level import counted
from ultrasound_jax.analysis.stats._parts.metrics import number
from ultrasound_jax.analysis.stats._parts.resampling import Resampling, ratio
from ultrasound_jax.analysis.stats._parts.spread import (
    FREEDOM,
    effective_patients,
    inflated,
)
from ultrasound_jax.analysis.stats.overlap import mean_of
from ultrasound_jax.analysis.table.levels import at_level
from ultrasound_jax.analysis.table.mask_table import COUNTS, MASKS, MaskTable


@dataclass(frozen=True, eq=False)
class Mean:
    """A mean Dice of one or several classes.

    values: the table's own and those of the replicates. above, below: of each class and
    patient the sum of Dice, and over how many examples.
    """

    values: Float[np.ndarray, " r"]
    above: Float[np.ndarray, "k p"]
    below: Float[np.ndarray, "k p"]

    def parts(self) -> Float[np.ndarray, " p"]:
        """What each patient adds, less what as many average examples had."""
        total = np.maximum(self.below.sum(axis=1, keepdims=True), 1)
        means = self.above.sum(axis=1, keepdims=True) / total
        return ((self.above - means * self.below) / total).mean(axis=0)

    def fewest(self) -> Float[np.ndarray, " p"]:
        """The examples of each patient in the class that is worth fewest patients."""
        return self.below[int(np.argmin(effective_patients(self.below)))]


Means = dict[str, Mean]


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
    bootstrap.check_replicates(replicates)
    split = split or common_split(tables)
    rows = same_rows(tables, reference, split)
    rows = {k: _columns(table, rows[reference].classes) for k, table in rows.items()}
    _check_truth(rows, reference)
    level = level or rows[reference].units[0]
    found = {name: at_level(table, level) for name, table in rows.items()}
    first = found[reference]
    content = [_dice(table) for table in found.values()]
    patient = bootstrap.numbered(first.patient_index(), *content)
    resampling = Resampling(patient, replicates=replicates, seed=seed)
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
            "method": OVER_PATIENTS,
            "methods": {
                "difference": OVER_PATIENTS,
                "mean_dice": BOUNDED,
                "bootstrap_p": "paired percentile bootstrap over patients, inverted",
            },
            "replicates": replicates,
            "seed": seed,
        },
        "families": survive(differences),
        "dice": {
            name: {
                one: mean_of("mean_dice", list(zip(m.above, m.below, strict=True)))
                for one, m in of.items()
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
    for name, dice in zip(table.classes, _dice(table).T, strict=True):
        columns = np.stack([np.nan_to_num(dice), ~np.isnan(dice)], axis=1)
        above, below = resampling.sums(columns).T
        own = resampling.by_patient(columns).T
        found[name] = Mean(ratio(above, below), own[:1], own[1:])
    return found


def _dice(table: MaskTable) -> Float[np.ndarray, "n k"]:
    hit = 2.0 * table.tp
    return ratio(hit, hit + table.fp + table.fn)


def _add_macro(means: Mapping[str, Means]) -> None:
    """Adds the mean over the classes in which every model has a Dice."""
    first = next(iter(means.values()))
    used = [
        k for k in first if not any(np.isnan(of[k].values[0]) for of in means.values())
    ]
    for of in means.values() if len(first) > 1 and used else ():
        of[MACRO] = Mean(
            values=np.mean([of[k].values for k in used], axis=0),
            above=np.concatenate([of[k].above for k in used]),
            below=np.concatenate([of[k].below for k in used]),
        )


def _row(model: str, name: str, reference: Mean, own: Mean) -> dict[str, Any]:
    gaps, parts = own.values - reference.values, own.parts() - reference.parts()
    sizes = min(
        (own.fewest(), reference.fewest()), key=lambda s: float(effective_patients(s))
    )
    worth = effective_patients(sizes)
    row: dict[str, Any] = {
        "model": model,
        "class": name,
        "dice_reference": number(reference.values[0]),
        "dice": number(own.values[0]),
        "difference": number(gaps[0]),
        "ci": None,
        "clustered_ci": None,
        "clustered_p": None,
        "clustered_df": None,
        "bootstrap_p": None,
        "holm_p": None,
        "survives": None,
        "reason": None,
    } | counted_patients(sizes)
    if row["difference"] is None:
        return row | {"reason": "Dice is not defined"}
    if row["patients"] < 2:
        return row | {"reason": "one patient only"}
    # One side only: as few degrees of freedom as a test of two sides has for each.
    if 2 * float(worth - 1) < FREEDOM:
        why = f"few patients have most of the examples: they are worth {worth:.1f}"
        return row | {"reason": why}
    df, variance = float(worth - 1), float(inflated(worth) * np.sum(parts**2))
    tested = against_zero(float(gaps[0]), variance, df)
    ends = None if tested.low is None else [tested.low, tested.high]
    row |= {"ci": ends, "clustered_ci": ends}
    row |= {"clustered_p": tested.p, "clustered_df": df}
    row["bootstrap_p"] = paired_bootstrap.p_value(gaps[1:])
    if tested.p is None:
        row["reason"] = "nothing varies between patients"
    return row
