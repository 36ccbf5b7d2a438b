"""What is found where there is nothing: examples without the structure.

They have no Dice, no distance and no miss: only how often something is found in them
(`false_positive_rate`), and how many pixels of it (`false_pixels`, a mean over all of
them, those with none included).
"""

from collections.abc import Mapping
from typing import Any

from ultrasound_jax.analysis.document import Block, Heading, Table
from ultrasound_jax.analysis.stats._parts.mask_figures import (
    judged as judged_figures,
)
from ultrasound_jax.analysis.stats._parts.mask_figures import of_absent
from ultrasound_jax.analysis.stats._parts.mask_words import figure_table
from ultrasound_jax.analysis.stats._parts.statistic import CsvRow, Tree
from ultrasound_jax.analysis.stats._parts.wording import units_text
from ultrasound_jax.analysis.table.judged import Judged
from ultrasound_jax.analysis.table.mask_table import MASKS, MaskTable

NAME = "absent"
ORDER = 12
KINDS = (MASKS,)
OPTIONS = ()
EVERY_LEVEL = True
HEADLINE = (("false_positive_rate", "false_positive_rate", "false-positive rate"),)
METHODS = (
    "The false-positive rate is the share of examples without the structure in which "
    "anything is found, of one pixel or many; these examples are in no mean of Dice, "
    "distances or misses."
)
SOURCES = ()
METRICS = ("false_positive_rate", "false_pixels")


def compute(
    judged: Judged, options: Mapping[str, Any], drawing: Mapping[str, int]
) -> dict[str, Any]:
    """The numbers of one level.

    {each of METRICS with _ci, "classes": {name: {the same, "absent" examples,
     "true_negatives", "false_alarms"}}}
    """
    table: MaskTable = judged.rows
    tree = judged_figures(of_absent(table), table.classes, table.patient_index())
    absent, found = table.tp + table.fn == 0, table.fp > 0
    for k, entry in enumerate(tree["classes"].values()):
        entry |= {
            "absent": int(absent[:, k].sum()),
            "true_negatives": int((absent & ~found)[:, k].sum()),
            "false_alarms": int((absent & found)[:, k].sum()),
        }
    return tree


def rows(tree: Tree) -> list[CsvRow]:
    """Nothing: all numbers are in the levels."""
    return []


def blocks(tree: Tree) -> list[Block]:
    """A table a level that has such examples; nothing where none has."""
    found: list[Block] = [
        _table(tree, name, level)
        for name, level in tree["levels"].items()
        if any(entry["absent"] for entry in level["classes"].values())
    ]
    return [Heading("Without the structure", 3), *found] if found else []


def _table(tree: Tree, name: str, level: Tree) -> Table:
    counts = (
        ("without it", lambda entry: entry["absent"]),
        ("of these with something found", lambda entry: entry["false_alarms"]),
        ("of these rightly nothing", lambda entry: entry["true_negatives"]),
    )
    caption = (
        f"By {units_text(tree, name)} without the structure: value [95 % interval over "
        "patients]; pixels found are a mean over all of these."
    )
    return figure_table(level, METRICS, counts, caption)
