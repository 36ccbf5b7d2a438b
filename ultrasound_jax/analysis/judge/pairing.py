"""Several models on the same examples, row by row, or a refusal that says why not."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.stats._parts.metrics import youden_threshold
from ultrasound_jax.analysis.table.judged import judge
from ultrasound_jax.analysis.table.mask_table import AnyTable
from ultrasound_jax.analysis.table.predictions import (
    MULTICLASS,
    MULTILABEL,
    Predictions,
)
from ultrasound_jax.analysis.table.splits import (
    OUT_OF_FOLD,
    default_split,
    rows_of,
)

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


def common_split(tables: Mapping[str, AnyTable]) -> str:
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
    tables: Mapping[str, AnyTable], reference: str, *, split: str, level: str
) -> Paired:
    """Puts the rows of all tables into the order of the reference's.

    Raises:
        AnalysisError: a table of masks, no such reference, fewer than two tables, a
            table without the split or with several folds of it, other classes,
            examples, labels, groups or patients in two tables, or one patient only.
    """
    if reference not in tables:
        raise AnalysisError(
            f"reference '{reference}' is none of the runs: {', '.join(tables)}"
        )
    if len(tables) < 2:
        raise AnalysisError(f"run '{reference}' is alone; a comparison needs two")
    scored = {name: of_scores(table, name) for name, table in tables.items()}
    names = (reference, *(name for name in tables if name != reference))
    first = _rows(scored[reference], reference, split)
    patients = set(first.patient_id)
    if len(patients) < 2:
        raise AnalysisError(
            f"split {split} of run '{reference}' is of one patient only: no difference "
            "can be told from chance"
        )
    judged = []
    for name in names:
        _check(first, reference, _rows(scored[name], name, split), name)
        judged.append(judge(scored[name], split=split, level=level))
    whole = judged[0].rows
    scores, decisions = [], []
    for one in judged:
        table = one.rows
        decided, _ = one.decided(youden_threshold)
        place = {example: i for i, example in enumerate(table.example_id)}
        rows = [place[example] for example in whole.example_id]
        columns = [table.classes.index(name) for name in whole.classes]
        scores.append(table.scores[np.ix_(rows, columns)])
        decisions.append(decided[np.ix_(rows, columns)])
    return Paired(
        models=names,
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
        f"run '{name}' has a table of masks; allowed here are tables of scores"
    )


def _rows(table: Predictions, name: str, split: str) -> Predictions:
    try:
        rows = rows_of(table, split)
    except AnalysisError as error:
        raise AnalysisError(f"run '{name}': {error}") from error
    folds = sorted(set(rows.fold.tolist()))
    if split != OUT_OF_FOLD and len(folds) > 1:
        raise AnalysisError(
            f"run '{name}' has split {split} of folds {', '.join(map(str, folds))}; "
            "allowed is one"
        )
    return rows


def _check(first: Predictions, one: str, second: Predictions, other: str) -> None:
    """Refuses a table that is not about the same examples."""
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
    columns = [second.classes.index(name) for name in first.classes]
    labels = rows.labels[:, columns]
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
