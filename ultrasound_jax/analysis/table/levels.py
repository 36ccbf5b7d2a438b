"""From examples to the groups that they belong to: clips to videos, slices to volumes.

A table of scores is judged at the level of its examples (`clip`) and at two of its
groups (`video_mean`, `video_max`), a table of masks at two (`slice`, `volume`). Where
examples and groups are the same thing there is one level. Tables of clips always have
three, also where each video has one clip, so that every `metrics.json` about clips has
the same keys.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import overload

import numpy as np
from jaxtyping import Int

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.table import units
from ultrasound_jax.analysis.table.mask_table import COUNTS, AnyTable, MaskTable
from ultrasound_jax.analysis.table.predictions import Predictions

WAYS = ("mean", "max")


def levels_of(table: AnyTable) -> tuple[str, ...]:
    """The levels that a whole table is judged at, the examples' first."""
    unit, group = table.units
    if unit == group or (table.units != units.CLIPS and _each_is_a_group(table)):
        return (unit,)
    return _possible(table)


@overload
def at_level(table: Predictions, level: str) -> Predictions: ...


@overload
def at_level(table: MaskTable, level: str) -> MaskTable: ...


def at_level(table: AnyTable, level: str) -> AnyTable:
    """The table at one of its levels: as it is, or one row a group.

    Raises:
        AnalysisError: another level.
    """
    if level not in _possible(table):
        raise AnalysisError(
            f"level '{level}' is not one of {', '.join(_possible(table))}"
        )
    if level == table.units[0]:
        return table
    if isinstance(table, MaskTable):
        return sum_over_groups(table)
    return to_groups(table, level.removeprefix(f"{table.units[1]}_"))


def to_groups(predictions: Predictions, how: str) -> Predictions:
    """Joins the examples of a group, within a split of a fold, into one row.

    The score is the `mean` of the examples' scores, weighed by their frames where the
    table tells these, or their `max`. A class is present in the
    group if it is in any example, absent if it is absent in all, and otherwise unknown:
    an example that is not annotated might show it. `example_id` becomes the group's id;
    rows keep the order of first appearance. A cell of a further column is kept if it is
    the same in all examples of the group, and empty otherwise.
    """
    if how not in WAYS:
        several = units.plural(predictions.units[1])
        raise AnalysisError(f"{several} are joined by 'mean' or 'max', not by '{how}'")
    group, first = _groups(predictions)
    shape = (len(first), len(predictions.classes))
    scores, frames = np.zeros(shape), predictions.frames
    if how == "mean":
        weight = np.ones(len(group)) if frames is None else frames.astype(float)
        np.add.at(scores, group, predictions.scores * weight[:, None])
        scores /= np.bincount(group, weight, minlength=len(first))[:, None]
        # A mean of equal numbers may come out one bit above 1.
        scores = np.minimum(scores, 1.0)
    else:
        np.maximum.at(scores, group, predictions.scores)
    present, unknown = np.zeros(shape, bool), np.zeros(shape, bool)
    np.logical_or.at(present, group, predictions.labels == 1)
    np.logical_or.at(unknown, group, np.isnan(predictions.labels))
    labels = np.where(present, 1.0, np.where(unknown, np.nan, 0.0))
    chosen = predictions.rows(first)
    return replace(
        chosen,
        example_id=chosen.video_id,
        labels=labels,
        scores=scores,
        frames=None if frames is None else np.bincount(group, frames).astype(np.int64),
        extra=_extra(predictions, group, len(first)),
    )


def check_groups(table: AnyTable) -> None:
    """Refuses a group, as a video, of more than one patient.

    Raises:
        AnalysisError: names the group.
    """
    if table.units[0] != table.units[1]:
        _groups(table)


def sum_over_groups(masks: MaskTable) -> MaskTable:
    """Adds up the pixels of a group's examples, within a split of a fold.

    Distances between surfaces cannot be had from those of slices, so there are none.
    """
    group, first = _groups(masks)
    sums = {}
    for name in COUNTS:
        sums[name] = np.zeros((len(first), len(masks.classes)), np.int64)
        np.add.at(sums[name], group, getattr(masks, name))
    chosen = masks.rows(first)
    return replace(
        chosen,
        example_id=chosen.video_id,
        **sums,
        distances={},
        mask_file=(),
        extra=_extra(masks, group, len(first)),
    )


def _possible(table: AnyTable) -> tuple[str, ...]:
    unit, group = table.units
    if isinstance(table, MaskTable):
        return tuple(dict.fromkeys((unit, group)))
    return (unit, *(f"{group}_{how}" for how in WAYS))


def _keys(table: AnyTable) -> list[tuple[int, str, str]]:
    return list(zip(table.fold.tolist(), table.split, table.video_id, strict=True))


def _each_is_a_group(table: AnyTable) -> bool:
    return len(set(_keys(table))) == len(table)


def _groups(
    table: AnyTable,
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " g"]]:
    """Each row's group as a number, and each group's first row."""
    number: dict[tuple[int, str, str], int] = {}
    group = np.array([number.setdefault(k, len(number)) for k in _keys(table)], int)
    first = np.unique(group, return_index=True)[1]
    for row, patient in enumerate(table.patient_id):
        if patient != table.patient_id[first[group[row]]]:
            raise AnalysisError(
                f"{table.units[1]} {table.video_id[row]!r} is of more than one patient"
            )
    return group, first


def _extra(
    table: AnyTable, group: Int[np.ndarray, " n"], groups: int
) -> dict[str, tuple[str, ...]]:
    return {
        name: _common(column, group, groups) for name, column in table.extra.items()
    }


def _common(
    column: Sequence[str], group: Int[np.ndarray, " n"], groups: int
) -> tuple[str, ...]:
    seen: list[set[str]] = [set() for _ in range(groups)]
    for cell, place in zip(column, group, strict=True):
        seen[place].add(cell)
    return tuple(cells.pop() if len(cells) == 1 else "" for cells in seen)
