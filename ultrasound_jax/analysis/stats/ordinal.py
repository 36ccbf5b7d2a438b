"""How far decisions are from the truth, where classes are levels in an order.

Decided is the level with the highest probability, as in the confusion matrix. Kappa
with quadratic weights (Cohen 1968) counts an error of two levels four times, the mean
absolute error twice as much as one of one level. It is for classes whose names have
consecutive numbers (`are_levels`). A group of examples of several levels has no one
truth: it is left out, and an example without a level is left out everywhere.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ultrasound_jax.analysis.document import Block, Table, label, rate_text, value_text
from ultrasound_jax.analysis.stats._parts import bootstrap
from ultrasound_jax.analysis.stats._parts.intervals import mean_interval
from ultrasound_jax.analysis.stats._parts.ordered import are_levels, quadratic_kappa
from ultrasound_jax.analysis.stats._parts.resampling import Resampling, estimate
from ultrasound_jax.analysis.stats._parts.statistic import CsvRow, Tree
from ultrasound_jax.analysis.stats._parts.wording import units_text
from ultrasound_jax.analysis.table.judged import Judged
from ultrasound_jax.analysis.table.predictions import MULTICLASS

NAME = "ordinal"
ORDER = 16
KINDS = (MULTICLASS,)
OPTIONS = ()
EVERY_LEVEL = True
HEADLINE = (
    ("quadratic_kappa", "", "quadratic-weighted kappa"),
    ("mean_absolute_error", "", "mean absolute error"),
)
METHODS = (
    "Levels: kappa with quadratic weights is the agreement of decided and true levels "
    "beyond chance, an error weighing as the square of its levels (Cohen 1968); the "
    "mean absolute error is in levels."
)
SOURCES = (
    "Cohen J. Weighted kappa: nominal scale agreement provision for scaled "
    "disagreement or partial credit. Psychological Bulletin 70, 1968.",
)


def applies(classes: Sequence[str]) -> bool:
    """Whether the classes are levels in an order."""
    return are_levels(classes)


def compute(
    judged: Judged, options: Mapping[str, Any], drawing: Mapping[str, int]
) -> dict[str, Any]:
    """{"quadratic_kappa", "mean_absolute_error", each with _ci}, of one level."""
    table, count = judged.rows, len(judged.rows.classes)
    one = np.flatnonzero((table.labels == 1).sum(axis=1) == 1)
    truth, decided = table.labels[one].argmax(axis=1), table.scores[one].argmax(axis=1)
    cells = np.zeros((len(table), count**2))
    known, off = np.zeros((2, len(table)))
    cells[one, truth * count + decided] = 1
    known[one], off[one] = 1, np.abs(truth - decided)
    patient = bootstrap.numbered(table.patient_index(), table.labels, table.scores)
    resampling = Resampling(patient, **drawing)
    sums = resampling.sums(cells).reshape(-1, count, count)
    patients = resampling.contributors(known)
    tree = estimate("quadratic_kappa", quadratic_kappa(sums), patients=patients)
    if tree["quadratic_kappa"] == 1:  # all replicates are alike: nothing is ever wrong
        tree["quadratic_kappa_ci"] = None
    tree |= {"mean_absolute_error": None, "mean_absolute_error_ci": None}
    if len(one):
        tree["mean_absolute_error"] = float(off[one].mean())
        own = resampling.by_patient(np.stack([off, known], axis=1)).T
        if ends := mean_interval(*own):
            tree["mean_absolute_error_ci"] = [max(ends[0], 0.0), ends[1]]
    return tree


def rows(tree: Tree) -> list[CsvRow]:
    """Nothing: all numbers are in the levels."""
    return []


def blocks(tree: Tree) -> list[Block]:
    """Kappa, the error, and the sensitivity of each level of the truth."""
    names = list(next(iter(tree["levels"].values()))["classes"])
    body = [
        [
            units_text(tree, name),
            value_text(level, "quadratic_kappa"),
            value_text(level, "mean_absolute_error"),
            *(rate_text(level["classes"][one], "sensitivity") for one in names),
        ]
        for name, level in tree["levels"].items()
    ]
    header = ["by", "quadratic-weighted kappa", "mean absolute error"]
    return [
        Table(
            header + [f"sensitivity of {label(one)}" for one in names],
            body,
            caption="Levels: value [95 % interval over patients]. The error is in "
            "levels; what an example of each true level is taken for stands in the "
            "confusion matrix.",
        )
    ]
