"""From examples to what they belong to: clips to videos and patients.

A table of scores is judged at the level of its examples (`clip`), of its groups
(`video_mean`, `video_max`) and of its patients (`patient_mean`, `patient_max`), a table
of masks at three, too (`slice`, `volume`, `patient`). A level that would repeat the one
before, since each video has one clip or each patient one video, is left out; but tables
of clips always have all five, so that every `metrics.json` about clips has the same
keys.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import overload

import numpy as np
from jaxtyping import Int

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.table import units
from ultrasound_jax.analysis.table.error_table import ErrorTable
from ultrasound_jax.analysis.table.mask_table import COUNTS, AnyTable, MaskTable
from ultrasound_jax.analysis.table.predictions import Predictions
from ultrasound_jax.analysis.table.rows import Rows

WAYS = ("mean", "max")


def levels_of(table: AnyTable) -> tuple[str, ...]:
    """The levels that a whole table is judged at, the examples' first."""
    unit, group = table.units
    if isinstance(table, Predictions) and table.units == units.CLIPS:
        return _possible(table)
    grouped = unit != group and _several(table, table.video_id)
    by_patient = _several(table, table.patient_id) and not (
        grouped and not _several_groups(table)
    )
    return (
        unit,
        *(_called(table, group) if grouped else ()),
        *(_called(table, units.PATIENT) if by_patient else ()),
    )


@overload
def at_level(table: Predictions, level: str) -> Predictions: ...


@overload
def at_level(table: MaskTable, level: str) -> MaskTable: ...


@overload
def at_level(table: ErrorTable, level: str) -> ErrorTable: ...


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
    patients = is_of_patients(level)
    if isinstance(table, MaskTable):
        return sum_over_groups(table, patients=patients)
    if isinstance(table, ErrorTable):
        return mean_over_groups(table, patients=patients)
    return to_groups(table, level.rpartition("_")[2], patients=patients)


def is_of_patients(level: str) -> bool:
    """Whether a row of this level is a patient."""
    return level.partition("_")[0] == units.PATIENT


def to_groups(
    predictions: Predictions, how: str, *, patients: bool = False
) -> Predictions:
    """Joins the examples of a group, within a split of a fold, into one row.

    With `patients` those of a patient, whichever of his groups they are in; the row's
    `video_id` is then the patient's id, too.

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
    group, first = _groups(predictions, patients)
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
    names = chosen.patient_id if patients else chosen.video_id
    return replace(
        chosen,
        example_id=names,
        video_id=names,
        labels=labels,
        scores=scores,
        frames=None if frames is None else np.bincount(group, frames).astype(np.int64),
        extra=_extra(predictions, group, len(first)),
    )


def check_groups(table: Rows) -> None:
    """Refuses a group, as a video, of more than one patient.

    Raises:
        AnalysisError: names the group.
    """
    if table.units[0] != table.units[1]:
        _groups(table, patients=False)


def sum_over_groups(masks: MaskTable, *, patients: bool = False) -> MaskTable:
    """Adds up the pixels of a group's examples, within a split of a fold.

    With `patients` those of a patient, as in `to_groups`.

    Distances between surfaces cannot be had from those of slices, nor can lesions from
    their sections, so there are none.
    """
    group, first = _groups(masks, patients)
    sums = {}
    for name in COUNTS:
        sums[name] = np.zeros((len(first), len(masks.classes)), np.int64)
        np.add.at(sums[name], group, getattr(masks, name))
    chosen = masks.rows(first)
    names = chosen.patient_id if patients else chosen.video_id
    return replace(
        chosen,
        example_id=names,
        video_id=names,
        **sums,
        distances={},
        lesions={},
        diagonals={},
        mask_file=(),
        extra=_extra(masks, group, len(first)),
    )


def mean_over_groups(errors: ErrorTable, *, patients: bool = False) -> ErrorTable:
    """The mean error of a group's examples, within a split of a fold.

    With `patients` those of a patient, as in `to_groups`.
    """
    group, first = _groups(errors, patients)
    sums = np.zeros((len(first), len(errors.classes)))
    np.add.at(sums, group, errors.mse)
    chosen = errors.rows(first)
    names = chosen.patient_id if patients else chosen.video_id
    return replace(
        chosen,
        example_id=names,
        video_id=names,
        mse=sums / np.bincount(group, minlength=len(first))[:, None],
        extra=_extra(errors, group, len(first)),
    )


def _called(table: AnyTable, group: str) -> tuple[str, ...]:
    """The levels of one kind of group: one a way of scores, one of anything else."""
    if not isinstance(table, Predictions):
        return (group,)
    return tuple(f"{group}_{how}" for how in WAYS)


def _possible(table: AnyTable) -> tuple[str, ...]:
    unit, group = table.units
    found = (unit, *_called(table, group), *_called(table, units.PATIENT))
    return tuple(dict.fromkeys(found))


def _keys(table: Rows, names: Sequence[str]) -> list[tuple[int, str, str]]:
    return list(zip(table.fold.tolist(), table.split, names, strict=True))


def _several(table: AnyTable, names: Sequence[str]) -> bool:
    """Whether any of these groups has more than one example."""
    return len(set(_keys(table, names))) < len(table)


def _several_groups(table: AnyTable) -> bool:
    """Whether any patient has more than one group."""
    groups = set(_keys(table, table.video_id))
    return len(set(_keys(table, table.patient_id))) < len(groups)


def _groups(
    table: Rows, patients: bool
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " g"]]:
    """Each row's group as a number, and each group's first row."""
    number: dict[tuple[int, str, str], int] = {}
    keys = _keys(table, table.patient_id if patients else table.video_id)
    group = np.array([number.setdefault(k, len(number)) for k in keys], int)
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
