"""Which differences in Dice and other figures survive, on the same examples.

    {"kind": "masks", "reference", "models", "split", "level", "units", "n", "alpha",
     "interval", "families", "dice": {model: {class: {"mean_dice", "mean_dice_ci"}}},
     "differences": [ROW, …], "measures": {model: {class: {key, key_ci, …}}},
     "further": [ROW, …], "further_families", "notes": [text, …]}

A ROW compares one model with the reference in one class or, where there are several, in
the mean over classes (`macro`):

    {"model", "class", "dice_reference", "dice", "difference" (model - reference), "ci"
     (of the clustered test; "clustered_ci" is the same), "clustered_p", "clustered_df",
     "bootstrap_p", "holm_p", "survives", "reason", "patients", "effective_patients",
     "largest_share"}

`differences` are of mean Dice. `further` has the same of the figures of FURTHER that
all tables have, with "measure" (its key), "value_reference", "value" and "better" (that
a difference is to the model's credit), and a Holm family of its own: Dice decides.

All of them are as `mask_figures` has them: a miss counts, and what is found where there
is nothing is in the false-positive rate. The clustered test is Student's t of the
difference of these two ratios over patients, whose parts in a ratio are linearised
(Cochran 1977); its degrees of freedom are those of effective patients (`spread`).
`macro` is over the classes in which every model's is defined. A difference survives if
its p, adjusted by Holm, is at most `alpha`, as in `comparison`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.judge.comparison import ALPHA, few_patients, survive
from ultrasound_jax.analysis.judge.mask_means import Mean, Means, means_of
from ultrasound_jax.analysis.judge.pairing import common_split, same_rows
from ultrasound_jax.analysis.stats._parts import bootstrap, paired_bootstrap
from ultrasound_jax.analysis.stats._parts.difference import against_zero
from ultrasound_jax.analysis.stats._parts.intervals import (
    BOUNDED,
    OVER_PATIENTS,
    counted_patients,
)
from ultrasound_jax.analysis.stats._parts.level import counted
from ultrasound_jax.analysis.stats._parts.mask_figures import (
    Figure,
    figures,
    unit_of,
)
from ultrasound_jax.analysis.stats._parts.metrics import number
from ultrasound_jax.analysis.stats._parts.resampling import Resampling
from ultrasound_jax.analysis.stats._parts.spread import (
    FREEDOM,
    effective_patients,
    inflated,
)
from ultrasound_jax.analysis.table.levels import at_level
from ultrasound_jax.analysis.table.mask_table import COUNTS, MASKS, MaskTable

DICE = "mean_dice"
# Beginnings of the further figures -> whether more is better.
FURTHER = {
    "mean_nsd": True,
    "mean_hd95": False,
    "miss_rate": False,
    "lesion_sensitivity": True,
    "false_positive_rate": False,
}
VISIBLE = 0.01  # a difference in Dice that readers take for one


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
    of_tables = {name: figures(table) for name, table in found.items()}
    dice = [one[DICE] for one in of_tables.values()]
    content = [part for one in dice for part in (one.above, one.below)]
    patient = bootstrap.numbered(first.patient_index(), *content)
    resampling = Resampling(patient, replicates=replicates, seed=seed)
    means = means_of(of_tables, DICE, first.classes, resampling)
    differences = [
        {"model": row.pop("model"), "class": row.pop("class")}
        | {"dice_reference": row.pop("value_reference"), "dice": row.pop("value")}
        | row
        for row in _rows(means, reference)
    ]
    further, measures = [], {name: {} for name in found}
    for key in _common(of_tables):
        kept = means_of(of_tables, key, first.classes, resampling)
        more = FURTHER[next(start for start in FURTHER if key.startswith(start))]
        further += [
            {"measure": key, **row, "better": _is_better(row, more)}
            for row in _rows(kept, reference)
        ]
        for name, of in kept.items():
            for one, mean in of.items():
                measures[name].setdefault(one, {}).update(mean.told(key))
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
                DICE: BOUNDED,
                "bootstrap_p": "paired percentile bootstrap over patients, inverted",
            },
            "replicates": replicates,
            "seed": seed,
        },
        "families": survive(differences),
        "dice": {
            name: {one: mean.told(DICE) for one, mean in of.items()}
            for name, of in means.items()
        },
        "differences": differences,
        "measures": measures,
        "further": further,
        "further_families": survive(further),
        "notes": [
            *few_patients(resampling.patients),
            *_unseen(differences, resampling.patients),
            *_without_unit(of_tables),
        ],
    }


def _columns(table: MaskTable, classes: tuple[str, ...]) -> MaskTable:
    """The table with its classes in this order."""
    order = [table.classes.index(name) for name in classes]
    changes: dict[str, Any] = {name: getattr(table, name)[:, order] for name in COUNTS}
    for kept in ("distances", "lesions"):
        changes[kept] = {k: v[:, order] for k, v in getattr(table, kept).items()}
    return replace(table, classes=classes, **changes)


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


def _common(of_tables: Mapping[str, Mapping[str, Figure]]) -> list[str]:
    """The further figures that every table has, and as every table has them."""
    tables = list(of_tables.values())
    keys = [k for k in tables[0] if k.startswith(tuple(FURTHER))]
    fair = [k for k in keys if unit_of(k) or not k.startswith(("mean_hd95", "mean_n"))]
    return [k for k in fair if all(k in t and t[k].below.any() for t in tables)]


def _rows(means: Mapping[str, Means], reference: str) -> list[dict[str, Any]]:
    return [
        _row(name, one, means[reference][one], means[name][one])
        for name in means
        if name != reference
        for one in means[name]
    ]


def _is_better(row: Mapping[str, Any], more: bool) -> bool | None:
    return None if not row["difference"] else (row["difference"] > 0) == more


def _unseen(rows: Sequence[Mapping[str, Any]], patients: int) -> list[str]:
    """How large a difference is that so few patients do not show."""
    reach = [(row["ci"][1] - row["ci"][0]) / 2 for row in rows if row["ci"]]
    if not few_patients(patients) or not reach or max(reach) < VISIBLE:
        return []
    return [
        f"the widest interval reaches {max(reach):.3f} to either side: {patients} "
        f"patients do not show a smaller difference in mean Dice, such as {VISIBLE}"
    ]


def _without_unit(of_tables: Mapping[str, Mapping[str, Figure]]) -> list[str]:
    old = [n for n, found in of_tables.items() if {"mean_hd95", "mean_assd"} & {*found}]
    if not old:
        return []
    return [
        f"distances of {', '.join(old)} are not compared: their unit is not told, and "
        "what was missed is left out of them; evaluate the run again to have them"
    ]


def _row(model: str, name: str, reference: Mean, own: Mean) -> dict[str, Any]:
    gaps, parts = own.values - reference.values, own.parts() - reference.parts()
    sizes = min(
        (own.fewest(), reference.fewest()), key=lambda s: float(effective_patients(s))
    )
    worth = effective_patients(sizes)
    row: dict[str, Any] = {
        "model": model,
        "class": name,
        "value_reference": number(reference.values[0]),
        "value": number(own.values[0]),
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
        return row | {"reason": "it is not defined"}
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
