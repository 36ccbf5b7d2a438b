"""Several models on the same examples, row by row, or a refusal that says why not."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from jaxtyping import Float, Int

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.stats._parts.metrics import youden_threshold
from ultrasound_jax.analysis.table.judged import judge
from ultrasound_jax.analysis.table.levels import check_groups
from ultrasound_jax.analysis.table.mask_table import AnyTable
from ultrasound_jax.analysis.table.predictions import (
    MULTICLASS,
    MULTILABEL,
    Predictions,
)
from ultrasound_jax.analysis.table.rows import Rows
from ultrasound_jax.analysis.table.splits import (
    OUT_OF_FOLD,
    default_split,
    rows_of,
)

T = TypeVar("T", bound=Rows)
HIGHEST = "highest score"  # what decides where exactly one class is true


@dataclass(frozen=True, eq=False)
class Paired:
    """What `s` models say about the same `n` examples of `p` patients.

    models: their names, the reference first. table: the reference's rows, whose labels
    are everybody's. decisions: at each model's own operating point, NaN without one;
    thresholds_from: where that is from, None without one. kind: `multiclass` if all
    models decide by the highest score.
    """

    models: tuple[str, ...]
    table: Predictions
    patient: Int[np.ndarray, " n"]
    scores: Float[np.ndarray, "s n k"]
    decisions: Float[np.ndarray, "s n k"]
    thresholds_from: tuple[str | None, ...]
    kind: str


def common_split(tables: Mapping[str, Rows]) -> str:
    """The split that all tables are reported on, or else `test`.

    Raises:
        AnalysisError: tables are reported on different splits, and not all have `test`.
    """
    splits = {name: default_split(table) for name, table in tables.items()}
    if len(set(splits.values())) == 1:
        return next(iter(splits.values()))
    lacking = [name for name, table in tables.items() if "test" not in table.split]
    if lacking:
        told = ", ".join(f"'{name}' on {split}" for name, split in splits.items())
        raise AnalysisError(
            f"runs are judged on different splits: {told}; choose one with --split"
        )
    return "test"


def pair(
    tables: Mapping[str, Predictions], reference: str, *, split: str, level: str
) -> Paired:
    """Puts the rows of all tables into the order of the reference's.

    Raises:
        AnalysisError: other labels or other frames of an example in two tables, or see
            `same_rows`.
    """
    rows = same_rows(tables, reference, split)
    for name, table in rows.items():
        _check_labels(rows[reference], reference, table, name)
    tables = _of_common_frames(tables)
    judged = [judge(tables[name], split=split, level=level) for name in rows]
    whole = judged[0].rows
    scores, decisions = [], []
    for one in judged:
        table = one.rows
        decided, _ = one.decided(youden_threshold)
        place = {example: i for i, example in enumerate(table.example_id)}
        order = [place[example] for example in whole.example_id]
        columns = [table.classes.index(name) for name in whole.classes]
        scores.append(table.scores[np.ix_(order, columns)])
        decisions.append(decided[np.ix_(order, columns)])
    return Paired(
        models=tuple(rows),
        table=whole,
        patient=whole.patient_index(),
        scores=np.stack(scores),
        decisions=np.stack(decisions),
        thresholds_from=tuple(
            HIGHEST if one.kind == MULTICLASS else one.source or None for one in judged
        ),
        kind=MULTICLASS
        if all(one.kind == MULTICLASS for one in judged)
        else MULTILABEL,
    )


def of_scores(table: AnyTable, name: str) -> Predictions:
    """The table of a run, if it is one of scores; else AnalysisError."""
    if isinstance(table, Predictions):
        return table
    raise AnalysisError(
        f"run '{name}' has a table of {table.kind}; allowed here are tables of scores"
    )


def same_rows(tables: Mapping[str, T], reference: str, split: str) -> dict[str, T]:
    """The split's rows of every run, the reference's first, in its order.

    Raises:
        AnalysisError: no such reference, fewer than two tables, a table without the
            split or with several folds of it, other classes, examples, groups or
            patients in two tables, or one patient only.
    """
    if reference not in tables:
        raise AnalysisError(
            f"reference '{reference}' is none of the runs: {', '.join(tables)}"
        )
    if len(tables) < 2:
        raise AnalysisError(f"run '{reference}' is alone; a comparison needs two")
    first = _rows(tables[reference], reference, split)
    if len(set(first.patient_id)) < 2:
        raise AnalysisError(
            f"split {split} of run '{reference}' is of one patient only: no difference "
            "can be told from chance"
        )
    found = {reference: first}
    for name, table in tables.items():
        if name != reference:
            rows = _rows(table, name, split)
            found[name] = _in_order(first, reference, rows, name)
    return found


def _rows(table: T, name: str, split: str) -> T:
    try:
        rows = rows_of(table, split)
        check_groups(rows)
    except AnalysisError as error:
        raise AnalysisError(f"run '{name}': {error}") from error
    folds = sorted(set(rows.fold.tolist()))
    if split != OUT_OF_FOLD and len(folds) > 1:
        raise AnalysisError(
            f"run '{name}' has split {split} of folds {', '.join(map(str, folds))}; "
            "allowed is one"
        )
    return rows


def _in_order(first: T, one: str, second: T, other: str) -> T:
    """The second table's rows in the order of the first, if they are of the same."""
    if set(first.classes) != set(second.classes):
        raise AnalysisError(
            f"run '{other}' has classes {', '.join(second.classes)}, run '{one}' has "
            f"{', '.join(first.classes)}"
        )
    place = {example: i for i, example in enumerate(second.example_id)}
    missing = [example for example in first.example_id if example not in place]
    new = sorted(set(second.example_id) - set(first.example_id))
    if missing or new:
        raise AnalysisError(
            f"run '{other}' has other examples than run '{one}', as "
            f"{(missing + new)[0]!r}: {len(missing)} of {len(first)} are missing and "
            f"{len(new)} are new"
        )
    rows = second.rows(np.array([place[e] for e in first.example_id]))
    for what in ("patient_id", "video_id"):
        for i, (mine, theirs) in enumerate(
            zip(getattr(first, what), getattr(rows, what), strict=True)
        ):
            if mine != theirs:
                raise AnalysisError(
                    f"example {first.example_id[i]!r} has {what} {theirs!r} in run "
                    f"'{other}' and {mine!r} in run '{one}'"
                )
    return rows


def _of_common_frames(tables: Mapping[str, Predictions]) -> dict[str, Predictions]:
    """The tables, all with the frames of their examples as soon as one tells them.

    Otherwise one model's videos would be weighed by frames and another's would not.
    """
    frames: dict[str, int] = {}
    for name, table in tables.items():
        for example, count in zip(
            table.example_id, [] if table.frames is None else table.frames, strict=False
        ):
            if frames.setdefault(example, int(count)) != count:
                raise AnalysisError(
                    f"example {example!r} has {count} frames in run '{name}' and "
                    f"{frames[example]} in another"
                )
    found = {}
    for name, table in tables.items():
        known = [frames.get(example) for example in table.example_id]
        whole = [count for count in known if count is not None]
        if table.frames is None and frames and len(whole) == len(known):
            table = replace(table, frames=np.array(whole, np.int64))
        found[name] = table
    return found


def _check_labels(
    first: Predictions, one: str, second: Predictions, other: str
) -> None:
    """Refuses other labels of the same examples."""
    columns = [second.classes.index(name) for name in first.classes]
    labels = second.labels[:, columns]
    differ = np.argwhere(
        (labels != first.labels) & ~(np.isnan(labels) & np.isnan(first.labels))
    )
    if len(differ):
        row, k = differ[0]
        raise AnalysisError(
            f"runs '{one}' and '{other}' differ in {len(differ)} labels, as "
            f"{first.classes[k]} of example {first.example_id[row]!r}: "
            f"{first.labels[row, k]:g} and {labels[row, k]:g}"
        )
