"""All numbers about one split of a predictions table, as one tree (see `assess`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.stats._parts import bootstrap
from ultrasound_jax.analysis.stats._parts.intervals import (
    METHOD_OF,
    OVER_PATIENTS,
    method_of,
)
from ultrasound_jax.analysis.stats._parts.level import level_tree
from ultrasound_jax.analysis.stats._parts.statistic import check_options, statistics
from ultrasound_jax.analysis.table.judged import Thresholds, judge
from ultrasound_jax.analysis.table.levels import levels_of
from ultrasound_jax.analysis.table.mask_table import AnyTable
from ultrasound_jax.analysis.table.predictions import FRAMES, MULTICLASS, MULTILABEL
from ultrasound_jax.analysis.table.splits import default_split
from ultrasound_jax.runs.bar import Progress

_DECISIONS = {MULTILABEL: "threshold", MULTICLASS: "argmax"}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is computed, and how.

    split: empty for the test split or the pooled out-of-fold rows.
    level: of what is not computed at every level; empty for the examples'.
    optimistic: where a table has no validation rows, thresholds may come from the very
        rows that are judged.
    thresholds: `{level: {class: threshold}}` of an earlier run, instead of chosen ones.
    options: of statistics, by name; what is not named has its default.
    further: importable names of modules that are statistics, too.
    """

    split: str = ""
    level: str = ""
    optimistic: bool = False
    thresholds: Thresholds | None = None
    replicates: int = bootstrap.REPLICATES
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    further: tuple[str, ...] = ()


def assess(table: AnyTable, wanted: Wanted) -> dict[str, Any]:
    """Every number about the judged split of a table.

        {"split", "level", "kind", "units", "weighed_by", "decision",
         "thresholds_from", "optimistic", "interval": {...}, "levels": {level: LEVEL},
         <NAME of a statistic>: what it computes, ...}

    LEVEL has counts (`n`) and what the statistics of every level compute; the others
    are computed of `level`. `decision` is `threshold`, `argmax`, or null for masks;
    `weighed_by` is `frames` where means of groups weigh their examples by these.

    Raises:
        AnalysisError: an option that no statistic has, or whatever these refuse.
    """
    bootstrap.check_replicates(wanted.replicates)
    drawing = {"replicates": wanted.replicates, "seed": wanted.seed}
    split, levels = wanted.split or default_split(table), levels_of(table)
    own = wanted.level or levels[0]
    if own not in levels:
        raise AnalysisError(f"level '{own}' is not one of {', '.join(levels)}")
    check_options(statistics(further=wanted.further), wanted.options)
    known = statistics(table.kind, wanted.further, classes=table.classes)
    if same := [one.name for one in known if one.name in levels]:
        raise AnalysisError(f"statistic '{same[0]}' is called as a level is")
    found = {
        level: judge(
            table,
            split=split,
            level=level,
            optimistic=wanted.optimistic,
            given=wanted.thresholds,
        )
        for level in levels
    }
    judged = found[own]
    tree: dict[str, Any] = {
        "split": split,
        "level": own,
        "kind": judged.kind,
        "units": list(table.units),
        "weighed_by": FRAMES if getattr(table, FRAMES, None) is not None else None,
        "decision": _DECISIONS.get(judged.kind),
        "thresholds_from": judged.source or None,
        "optimistic": judged.optimistic,
        "interval": {
            "level": 0.95,
            "method": OVER_PATIENTS,
            "methods": dict(METHOD_OF),
            **drawing,
        },
        "levels": {},
    }
    if wanted.further:
        tree["further"] = list(wanted.further)
    others = [one for one in known if not one.every_level]
    with Progress(len(levels) + len(others), "parts", of=f"split {split}") as progress:
        for level, one in found.items():
            tree["levels"][level] = level_tree(one, known, wanted.options, drawing)
            named = (n for n in tree["levels"][level] if n not in METHOD_OF)
            of_units = {name: how for name in named if (how := method_of(name))}
            tree["interval"]["methods"] |= of_units
            progress.advance()
        for one in others:
            options = one.own_options(wanted.options)
            tree[one.name] = one.compute(judged, options, drawing)
            progress.advance()
    return tree
