"""What is counted of masks, and what an empty one counts as.

Every figure is a ratio of two sums over examples, so that one interval over patients
and one paired test serve all of them. An example is one with a structure where the
truth has a pixel of it:

| truth | found | it counts as |
|---|---|---|
| some | some | its Dice, IoU, precision, recall, HD95, ASSD, NSD |
| some | none | a miss: 0 for shares and NSD; the picture's diagonal for distances |
| none | some | a false positive, with its pixels; in no mean of the line above |
| none | none | rightly nothing: a negative of the false-positive rate; in no other |

Precision of a miss is 0 of 0 pixels, and 0 is what it counts as. Pooled figures add up
the pixels of all examples, those without the structure, too.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from ultrasound_jax.analysis.stats._parts.intervals import (
    bounded_interval,
    plain_interval,
)
from ultrasound_jax.analysis.stats._parts.resampling import ratio
from ultrasound_jax.analysis.stats._parts.spread import of_ratios
from ultrasound_jax.analysis.table.mask_table import UNITS, MaskTable

Mean = tuple[np.ndarray, np.ndarray]  # sums of each patient, and of how many
SHARES = (
    ("mean_dice", "mean_iou", "mean_precision", "mean_recall", "miss_rate")
    + ("pooled_dice", "pooled_iou", "false_positive_rate")
    + ("mean_nsd", "median_nsd", "lesion_sensitivity", "lesion_dice")
)


@dataclass(frozen=True, eq=False)
class Figure:
    """The ratio of the sums of `above` and of `below`, a column a class."""

    above: Float[np.ndarray, "n k"]
    below: Float[np.ndarray, "n k"]

    def by_patient(self, patient: Int[np.ndarray, " n"]) -> list[Mean]:
        """Both sums of each patient, a pair a class."""
        most = int(patient.max(initial=0)) + 1
        return [
            (np.bincount(patient, up, most), np.bincount(patient, down, most))
            for up, down in zip(self.above.T, self.below.T, strict=True)
        ]


def figures(table: MaskTable) -> dict[str, Figure]:
    """All figures that a table's columns give, by their keys in `metrics.json`."""
    return of_images(table) | of_absent(table) | of_lesions(table)


def of_images(table: MaskTable) -> dict[str, Figure]:
    """Those of examples with the structure, and those of all pixels together."""
    tp, fp, fn = _counts(table)
    there, wrong = tp + fn > 0, fp + fn
    shares = {
        "mean_dice": ratio(2 * tp, 2 * tp + wrong),
        "mean_iou": ratio(tp, tp + wrong),
        "mean_precision": ratio(tp, tp + fp),
        "mean_recall": ratio(tp, tp + fn),
        "miss_rate": (tp + fp == 0).astype(float),
    }
    found = {name: _mean(there, values) for name, values in shares.items()}
    found["pooled_dice"] = Figure(2 * tp, 2 * tp + wrong)
    found["pooled_iou"] = Figure(tp, tp + wrong)
    for name in table.distances:
        values = counted_distance(table, name)
        found[f"mean_{name}"] = _mean(~np.isnan(values), values)
    return found


def of_absent(table: MaskTable) -> dict[str, Figure]:
    """Those of examples without the structure."""
    tp, fp, fn = _counts(table)
    absent = tp + fn == 0
    return {
        "false_positive_rate": _mean(absent, (fp > 0).astype(float)),
        "false_pixels": _mean(absent, fp),
    }


def of_lesions(table: MaskTable) -> dict[str, Figure]:
    """Those of connected lesions, at each criterion that the table has."""
    found = {}
    for name, detected in table.lesions.items():
        base, _, least = name.partition("_iou")
        if base != "detected" or "lesions" not in table.lesions:
            continue
        known = ~np.isnan(detected) & ~np.isnan(table.lesions["lesions"])
        hits = np.where(known, detected, 0.0)
        lesions = np.where(known, table.lesions["lesions"], 0.0)
        found[f"lesion_sensitivity_iou{least}"] = Figure(hits, lesions)
        false = table.lesions.get(f"false_lesions_iou{least}")
        if false is not None:
            found[f"false_lesions_iou{least}"] = _mean(~np.isnan(false), false)
        dice = table.lesions.get(f"lesion_dice_iou{least}")
        if dice is not None:
            found[f"lesion_dice_iou{least}"] = Figure(np.nan_to_num(dice), hits)
    return found


def counted_distance(table: MaskTable, name: str) -> Float[np.ndarray, "n k"]:
    """A distance, or NSD, as each example counts; NaN where it does not.

    A miss has the diagonal of its picture, of NSD 0. Without a diagonal of that unit
    in the table it is left out, as is an example whose spacing is not known.
    """
    values = table.distances[name]
    tp, fp, fn = _counts(table)
    there, missed = tp + fn > 0, (tp + fn > 0) & (tp + fp == 0)
    across = table.diagonals.get(unit_of(name))
    if across is None:
        whole = np.full(values.shape, 0.0 if is_share(f"mean_{name}") else np.nan)
    else:
        whole = np.broadcast_to(across[:, None], values.shape)
        if is_share(f"mean_{name}"):
            whole = np.where(np.isnan(whole), np.nan, 0.0)
    return np.where(missed, whole, np.where(there, values, np.nan))


def left_out(table: MaskTable, name: str) -> Int[np.ndarray, " k"]:
    """How many missed examples have no distance, since the table lacks diagonals."""
    tp, fp, fn = _counts(table)
    missed = (tp + fn > 0) & (tp + fp == 0)
    return (missed & np.isnan(counted_distance(table, name))).sum(axis=0)


def unit_of(name: str) -> str:
    """The unit in the name of a distance; empty of older tables."""
    return next((unit for unit in UNITS if name.endswith(unit)), "")


def is_share(name: str) -> bool:
    """Whether a figure is between 0 and 1."""
    return name.startswith(SHARES)


def judged(
    found: Mapping[str, Figure], classes: Sequence[str], patient: Int[np.ndarray, " n"]
) -> dict[str, Any]:
    """Figures with intervals: of each class in `classes`, and the mean over these."""
    tree: dict[str, Any] = {"classes": {name: {} for name in classes}}
    for key, figure in found.items():
        means = figure.by_patient(patient)
        tree |= mean_of(key, means)
        for name, mean in zip(classes, means, strict=True):
            tree["classes"][name] |= mean_of(key, [mean])
    return tree


def mean_of(name: str, found: Iterable[Mean]) -> dict[str, Any]:
    """The mean over the classes that have one, and its interval over patients."""
    used = [mean for mean in found if mean[1].any()]
    if not used:
        return {name: None, f"{name}_ci": None}
    above, below = (np.stack(part) for part in zip(*used, strict=True))
    value = float((above.sum(axis=1) / below.sum(axis=1)).mean())
    spread = of_ratios(above, below)
    if is_share(name):
        return {name: value, f"{name}_ci": bounded_interval(spread)}
    ends = plain_interval(spread)
    return {name: value, f"{name}_ci": ends and [max(ends[0], 0.0), ends[1]]}


def _mean(counts: Bool[np.ndarray, "n k"], values: np.ndarray) -> Figure:
    values = np.where(counts & ~np.isnan(values), values, 0.0)
    return Figure(values, counts.astype(float))


def _counts(table: MaskTable) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return table.tp.astype(float), table.fp.astype(float), table.fn.astype(float)
