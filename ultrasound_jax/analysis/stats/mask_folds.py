"""Each fold's own figures of masks, and their mean and spread over folds.

Published studies of segmentation often report one Dice and one IoU a fold, of all
pixels of its test images together (micro), and their mean with the standard deviation
of the population of folds. Both are here, beside the mean over examples, to be compared
with such papers. The deviation between folds is no interval: the folds' models share
most of their training patients (Bengio and Grandvalet 2004), and a fold with larger
lesions has another number of pixels. The intervals over patients are in the other
tables.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ultrasound_jax.analysis.document import NOT_DEFINED, Block, Heading, Table, label
from ultrasound_jax.analysis.stats._parts.mask_figures import of_absent, of_images
from ultrasound_jax.analysis.stats._parts.mask_words import figure_words
from ultrasound_jax.analysis.stats._parts.metrics import number
from ultrasound_jax.analysis.stats._parts.resampling import ratio
from ultrasound_jax.analysis.stats._parts.statistic import CsvRow, Tree
from ultrasound_jax.analysis.stats._parts.wording import number_rows, units_text
from ultrasound_jax.analysis.table.judged import Judged
from ultrasound_jax.analysis.table.mask_table import MASKS, MaskTable

NAME = "mask_folds"
ORDER = 38
KINDS = (MASKS,)
OPTIONS = ()
METHODS = (
    "Folds' own figures are of each fold's examples alone; pooled ones are of all "
    "pixels of a fold together (micro). Their mean is followed by the standard "
    "deviation of the folds as a population, as papers have it; it is no interval, for "
    "the folds' models share training patients (Bengio and Grandvalet 2004)."
)
SOURCES = (
    "Bengio Y, Grandvalet Y. No unbiased estimator of the variance of k-fold "
    "cross-validation. Journal of Machine Learning Research 5, 2004.",
)
METRICS = ("pooled_dice", "pooled_iou", "mean_dice", "mean_iou", "miss_rate") + (
    "false_positive_rate",
)


def compute(
    judged: Judged, options: Mapping[str, Any], drawing: Mapping[str, int]
) -> dict[str, Any]:
    """Each fold's figures, and their mean and deviation.

        {"folds": {fold: {"examples", "classes": {name: {each of METRICS}}}},
         "mean": {name: {metric: mean, metric_sd, metric_folds}}}

    A mean is over the folds in which the figure is defined. Both are empty where the
    rows are of one fold.
    """
    table: MaskTable = judged.rows
    folds = sorted(set(table.fold.tolist()))
    tree: dict[str, Any] = {"folds": {}, "mean": {}}
    if len(folds) < 2:
        return tree
    for fold in folds:
        rows = table.rows(table.fold == fold)
        shown = of_images(rows) | of_absent(rows)
        sums = {m: (shown[m].above.sum(0), shown[m].below.sum(0)) for m in METRICS}
        values = {m: ratio(above, below) for m, (above, below) in sums.items()}
        own = {
            name: {metric: number(values[metric][k]) for metric in METRICS}
            for k, name in enumerate(table.classes)
        }
        tree["folds"][str(fold)] = {"examples": len(rows), "classes": own}
    for name in table.classes:
        tree["mean"][name] = {}
        for metric in METRICS:
            every = [one["classes"][name][metric] for one in tree["folds"].values()]
            known = [value for value in every if value is not None]
            tree["mean"][name] |= {
                metric: float(np.mean(known)) if known else None,
                f"{metric}_sd": float(np.std(known)) if known else None,
                f"{metric}_folds": len(known),
            }
    return tree


def rows(tree: Tree) -> list[CsvRow]:
    """The figures of each fold, then their means."""
    found = []
    for fold, entry in tree[NAME]["folds"].items():
        for name, own in entry["classes"].items():
            found += number_rows(f"fold {fold}", tree["level"], name, own)
    for name, own in tree[NAME]["mean"].items():
        found += number_rows("mean of folds", tree["level"], name, own)
    return found


def blocks(tree: Tree) -> list[Block]:
    """A table a class, a row a fold; nothing where there is one fold."""
    found = tree[NAME]
    if not found["folds"]:
        return []
    tables: list[Block] = [_table(found, name) for name in found["mean"]]
    return [Heading(f"Folds ({units_text(tree)})", 3), *tables]


def _table(found: Tree, name: str) -> Table:
    body = []
    for fold, entry in found["folds"].items():
        cells = [_text(entry["classes"][name][metric]) for metric in METRICS]
        body.append([f"fold {fold}", *cells, str(entry["examples"])])
    mean = found["mean"][name]
    several = len(found["folds"])
    cells = []
    for metric in METRICS:
        text, count = _text(mean[metric]), mean[f"{metric}_folds"]
        of = "" if count in (0, several) else f" ({count} folds)"
        cells.append(f"{text} ± {mean[f'{metric}_sd']:.3f}{of}" if count else text)
    body.append(["mean ± SD of folds", *cells, ""])
    return Table(
        ["", *map(figure_words, METRICS), "examples"],
        body,
        caption=f"{label(name)}: each fold alone. Pooled: all pixels of the fold "
        "together (micro). The standard deviation is that of these folds (population); "
        "it is no interval, which the other tables have, over patients.",
        strong=frozenset([len(body) - 1]),
    )


def _text(value: float | None) -> str:
    return NOT_DEFINED if value is None else f"{value:.3f}"
