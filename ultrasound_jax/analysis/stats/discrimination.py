"""How well scores rank and decisions decide: AUROC, average precision, F1, and more.

LEVEL is

    {"macro_auroc": x, "macro_auroc_ci": [low, high], ..., "macro_classes": {...},
     "n": {"examples", "videos", "patients"}, "classes": {name: CLASS}}

and CLASS each of METRICS with its `_ci`, `threshold`, counts, and in how many
replicates the AUROC was not defined (`replicates_left_out`). `effective_patients` is
what the patients are worth of the side where they are worth less, `largest_share` how
much of that side one patient has. What is not defined is
null. A macro value is the mean over the classes in which it is defined, and
`macro_classes` says how many they are. Where exactly one class is true, each is judged
against the rest, decided is the one with the highest score, and there is no threshold.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from ultrasound_jax.analysis.document import Block, Picture
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.stats._parts import (
    bootstrap,
    boundary_intervals,
    discrimination_tables,
)
from ultrasound_jax.analysis.stats._parts.clustered import (
    Influence,
    influence,
    mean_spread,
)
from ultrasound_jax.analysis.stats._parts.intervals import (
    bounded_interval,
    counted_patients,
    mean_share_interval,
)
from ultrasound_jax.analysis.stats._parts.metrics import (
    METRICS,
    measure,
    number,
    youden_threshold,
)
from ultrasound_jax.analysis.stats._parts.roc_panels import roc_panels
from ultrasound_jax.analysis.stats._parts.statistic import CsvRow, Tree
from ultrasound_jax.analysis.table.judged import Judged, threshold_entry
from ultrasound_jax.analysis.table.predictions import (
    MULTICLASS,
    MULTILABEL,
    Predictions,
)
from ultrasound_jax.analysis.table.units import short_words

NAME = "discrimination"
ORDER = 10
KINDS = (MULTILABEL, MULTICLASS)
OPTIONS = ()
EVERY_LEVEL = True
HEADLINE = (("macro_auroc", "auroc", "macro AUROC"),)
METHODS = (
    "AUROC is the share of pairs of a positive and a negative ranked rightly, ties "
    "counting half; average precision is not interpolated. Examples without a label "
    "are left out of a class. Macro values are means over the classes in which a value "
    "is defined. A class without positives or without negatives has no AUROC: it is "
    "not defined, not 0.5. A group of examples is positive if any of them is, and "
    "negative if all are; its score is the mean or the maximum over its examples. "
    "Youden's threshold maximises sensitivity + specificity (Youden 1950; of equals, "
    "the most sensitive) and lies midway between two scores. A score at or above its "
    "threshold is positive. In cross-validation a fold's thresholds come from the "
    "pooled predictions of all other folds. Where exactly one class is true, each "
    "class is ranked against the rest, and decided is the one with the highest score."
)
SOURCES = ("Youden WJ. Index for rating diagnostic tests. Cancer 3, 1950.",)


def compute(
    judged: Judged, options: Mapping[str, Any], drawing: Mapping[str, int]
) -> dict[str, Any]:
    """The numbers of one LEVEL, with the thresholds of its classes."""
    decisions, limits = judged.decided(youden_threshold)
    tree = discriminate(judged.rows, decisions, **drawing)
    if limits is not None:
        for k, name in enumerate(judged.rows.classes):
            tree["classes"][name] |= threshold_entry(limits, k)
    return tree


def discriminate(
    table: Predictions,
    decisions: Float[np.ndarray, "n k"],
    *,
    replicates: int = bootstrap.REPLICATES,
    seed: int = 0,
) -> dict[str, Any]:
    """One LEVEL of the tree, without thresholds.

    AUROC, sensitivity and specificity have the intervals of `intervals`, F1 and average
    precision those of the bootstrap; there, an interval is null where
    `bootstrap.estimable` is false, and that of a macro value, where it is for any class
    that the macro value is over. `boundary_intervals` says what it is where no
    replicate differs.
    """
    content = (table.labels, table.scores, decisions)
    patient = bootstrap.numbered(table.patient_index(), *content)
    drawn = bootstrap.draw_patients(
        int(patient.max()) + 1, replicates=replicates, seed=seed
    )
    points = measure(*content)
    samples = bootstrap.replicate(*content, patient, drawn)
    estimable = bootstrap.estimable(table.labels, patient)
    trials = boundary_intervals.trials(table.labels, patient)
    spreads = _Spreads(table, decisions, patient)

    def ends(metric: str, chosen: np.ndarray) -> list[float] | None:
        if metric in _ANALYTIC:
            return spreads.interval(metric, chosen)
        if not estimable[metric][chosen].all():
            return None
        return boundary_intervals.interval(
            points[metric][0, chosen],
            samples[metric][:, chosen],
            trials[metric][chosen],
            boundary_intervals.KIND_OF[metric],
        )

    tree: dict[str, Any] = {}
    counted = {}
    for metric in METRICS:
        values = points[metric][0]
        used = np.flatnonzero(~np.isnan(values))
        counted[metric] = len(used)
        tree[f"macro_{metric}"] = float(values[used].mean()) if len(used) else None
        tree[f"macro_{metric}_ci"] = ends(metric, used) if len(used) else None
    tree["macro_classes"] = counted
    tree["classes"] = {}
    for k, name in enumerate(table.classes):
        entry: dict[str, Any] = {}
        for metric in METRICS:
            entry[metric] = number(points[metric][0, k])
            defined = entry[metric] is not None
            entry[f"{metric}_ci"] = ends(metric, np.array([k])) if defined else None
        entry["replicates_left_out"] = int(np.isnan(samples["auroc"][:, k]).sum())
        entry.update(_counts(table.labels[:, k], patient))
        tree["classes"][name] = entry
    return tree


_ANALYTIC = ("auroc", "sensitivity", "specificity")


class _Spreads:
    """What patients add to AUROC, sensitivity and specificity of every class."""

    def __init__(
        self,
        table: Predictions,
        decisions: Float[np.ndarray, "n k"],
        patient: Int[np.ndarray, " n"],
    ):
        self.table, self.patient = table, patient
        self.decided = np.nan_to_num(decisions) == 1
        self.influences: dict[int, Influence | None] = {}

    def interval(self, metric: str, chosen: np.ndarray) -> list[float] | None:
        """That of one class, or of the mean over several."""
        if metric == "auroc":
            parts = [self._influence(int(k)) for k in chosen]
            known = [part for part in parts if part is not None]
            if len(known) < len(parts):
                return None
            return bounded_interval(mean_spread(known, [1.0]))
        sides = self.table.labels[:, chosen] == (metric == "sensitivity")
        right = sides & (self.decided[:, chosen] == (metric == "sensitivity"))
        return mean_share_interval(self._by_patient(right), self._by_patient(sides))

    def _influence(self, k: int) -> Influence | None:
        if k not in self.influences:
            labels, scores = self.table.labels[:, k], self.table.scores[None, :, k]
            try:
                self.influences[k] = influence(labels, scores, self.patient)
            except AnalysisError:  # one patient only on a side: no variance
                self.influences[k] = None
        return self.influences[k]

    def _by_patient(self, columns: Bool[np.ndarray, "n k"]) -> np.ndarray:
        return np.stack([np.bincount(self.patient, column) for column in columns.T])


def _counts(labels: Float[np.ndarray, " n"], patient: np.ndarray) -> dict[str, Any]:
    """How many there are of whom; the side that is worth fewer patients decides."""
    sides = [counted_patients(np.bincount(patient[labels == s])) for s in (1, 0)]
    fewer = min(sides, key=lambda side: side["effective_patients"] or 0)
    return {
        "positives": int((labels == 1).sum()),
        "negatives": int((labels == 0).sum()),
        "unknown": int(np.isnan(labels).sum()),
        "positive_patients": sides[0]["patients"],
        "effective_patients": fewer["effective_patients"],
        "largest_share": fewer["largest_share"],
    }


def blocks(tree: Tree) -> Sequence[Block]:
    """Who was judged, and every metric at every level."""
    return discrimination_tables.blocks(tree)


def rows(tree: Tree) -> list[CsvRow]:
    """Nothing: all numbers are in the levels."""
    return []


def pictures(tree: Tree, tables: Mapping[str, Predictions]) -> list[Picture]:
    """The ROC of each class, at every level."""
    units = tuple(tree["units"])
    curves = {short_words(level, units): table for level, table in tables.items()}
    levels = [tree["levels"][level] for level in tables]
    return [
        Picture(
            "roc",
            roc_panels(curves, levels, tree["units"][0]),
            alt=f"ROC of split {tree['split']}",
            caption="ROC of every level.",
        )
    ]


def overview(
    trees: Mapping[str, Tree], tables: Mapping[str, Predictions]
) -> list[Block]:
    """Macro values and each class of several models, their intervals and ROC."""
    return discrimination_tables.overview(trees, tables)
