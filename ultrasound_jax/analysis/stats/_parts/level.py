"""The numbers of one level: what the statistics of all levels say of the same rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ultrasound_jax.analysis.stats._parts.intervals import counted_patients
from ultrasound_jax.analysis.stats._parts.statistic import Statistic
from ultrasound_jax.analysis.table.judged import Judged
from ultrasound_jax.analysis.table.levels import is_of_patients
from ultrasound_jax.analysis.table.mask_table import AnyTable
from ultrasound_jax.analysis.table.units import plural


def counted(table: AnyTable, level: str = "") -> dict[str, Any]:
    """How many of whom: `{"examples", "videos", "patients"}` of clips.

    And how much the patients are worth: `effective_patients`, `largest_share` (of the
    examples, of the patient with the most). Where rows are patients there are no groups
    to be counted.
    """
    unit, group = table.units
    several = unit != group and not is_of_patients(level)
    groups = {plural(group): len(set(table.video_id))} if several else {}
    sizes = np.bincount(table.patient_index())
    return {"examples": len(table), **groups, **counted_patients(sizes)}


def level_tree(
    judged: Judged,
    known: Sequence[Statistic],
    options: Mapping[str, Any],
    drawing: Mapping[str, int],
) -> dict[str, Any]:
    """One LEVEL: counts, and what the statistics of all levels compute.

    `classes` of several statistics become one.
    """
    tree: dict[str, Any] = {"n": counted(judged.rows, judged.level), "classes": {}}
    for name in judged.rows.classes:
        tree["classes"][name] = {}
    for one in known:
        if not one.every_level:
            continue
        found = dict(one.compute(judged, one.own_options(options), drawing))
        for name, entry in found.pop("classes", {}).items():
            tree["classes"][name] |= entry
        tree |= found
    return tree
