"""Lesion by lesion: how many connected lesions are found, and how many are false.

A true lesion is detected if a found one overlaps it by at least the criterion (see
`lesion_counts`), which stands in the names of the table's columns and of the numbers:
`lesion_sensitivity_iou0p1`. False ones are counted over all examples, those without a
lesion, too. The Dice of lesions is that of the detected ones, each with its own pair.
"""

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

import numpy as np

from ultrasound_jax.analysis.document import Block, Heading, Table
from ultrasound_jax.analysis.stats._parts.mask_figures import (
    judged as judged_figures,
)
from ultrasound_jax.analysis.stats._parts.mask_figures import of_lesions
from ultrasound_jax.analysis.stats._parts.mask_words import figure_table, figures_of
from ultrasound_jax.analysis.stats._parts.statistic import CsvRow, Tree
from ultrasound_jax.analysis.stats._parts.wording import n_text, units_text
from ultrasound_jax.analysis.table.judged import Judged
from ultrasound_jax.analysis.table.mask_table import MASKS, MaskTable

NAME = "lesions"
ORDER = 11
KINDS = (MASKS,)
OPTIONS = ()
EVERY_LEVEL = True
METHODS = (
    "A lesion is a connected part of a mask, pixels that touch at a corner included. A "
    "true and a found lesion are a pair if their intersection over union is at least "
    "the criterion that is stated, each being in one pair only (Maier-Hein et al. "
    "2024). Lesion sensitivity is the share of true lesions with a pair; what is found "
    "without one is a false positive lesion, however small."
)
SOURCES = (
    "Maier-Hein L, Reinke A, Godau P, et al. Metrics reloaded: recommendations for "
    "image analysis validation. Nature Methods 21, 2024.",
)
STARTS = ("lesion_sensitivity", "false_lesions", "lesion_dice")


def compute(
    judged: Judged, options: Mapping[str, Any], drawing: Mapping[str, int]
) -> dict[str, Any]:
    """The numbers of one level; none where lesions were not counted.

    {"lesion_sensitivity_iou<least>", "false_lesions_iou<least>",
     "lesion_dice_iou<least>", each with _ci, "classes": {name: {the same, "lesions",
     "detected_iou<least>", "false_iou<least>"}}}
    """
    table: MaskTable = judged.rows
    found = of_lesions(table)
    if not found:
        return {}
    tree = judged_figures(found, table.classes, table.patient_index())
    for k, entry in enumerate(tree["classes"].values()):
        for name, values in table.lesions.items():
            if not name.startswith("lesion_dice"):
                entry[f"{name}_counted"] = int(np.nansum(values[:, k]))
    return tree


def rows(tree: Tree) -> list[CsvRow]:
    """Nothing: all numbers are in the levels."""
    return []


def blocks(tree: Tree) -> list[Block]:
    """A table a level where lesions were counted; nothing where they were not."""
    found: list[Block] = [
        _table(tree, name, level)
        for name, level in tree["levels"].items()
        if figures_of(level, STARTS)
    ]
    return [Heading("By lesion", 3), *found] if found else []


def _table(tree: Tree, name: str, level: Tree) -> Table:
    first = next(iter(level["classes"].values()))
    counts = [
        (_words(key), itemgetter(key)) for key in first if key.endswith("_counted")
    ]
    caption = (
        f"Lesions in {n_text(level, tree, name)}: value [95 % interval over patients]; "
        f"false positive lesions are a mean over all {units_text(tree, name)}."
    )
    return figure_table(level, figures_of(level, STARTS), counts, caption)


def _words(key: str) -> str:
    base, _, least = key.removesuffix("_counted").partition("_iou")
    known = {"detected": "of these detected", "false_lesions": "false ones"}
    at = f" (IoU ≥ {least.replace('p', '.')})" if least else ""
    return f"{known.get(base, base)}{at}"
