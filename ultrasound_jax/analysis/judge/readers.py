"""Readers' label tables beside the decisions of networks, on the same examples."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.stats._parts.metrics import youden_threshold
from ultrasound_jax.analysis.table.judged import Judged
from ultrasound_jax.analysis.table.predictions import MULTICLASS
from ultrasound_jax.analysis.table.spelling import tidy
from ultrasound_jax.runs.table_cells import Table, read_table
from ultrasound_jax.types import InputError

ID_NAMES = ("example_id", "clip_id")
_LABELS = {"1": 1.0, "0": 0.0, "-1": np.nan, "": np.nan, "1.0": 1.0, "0.0": 0.0}
READER, NETWORK, TRUTH, CONSENSUS = "reader", "network", "truth", "consensus"


@dataclass(frozen=True, eq=False)
class Rater:
    """Somebody's labels of the judged examples: 1, 0 or NaN.

    members: names of those whose labels went into these; agreement with them would be
      agreement with oneself.
    """

    name: str
    kind: str
    labels: Float[np.ndarray, "n k"] = field(repr=False)
    members: frozenset[str] = frozenset()

    def independent_of(self, other: "Rater") -> bool:
        """Whether nobody's labels are in both."""
        return not (self.members | {self.name}) & (other.members | {other.name})


@dataclass(frozen=True)
class Sheet:
    """A reader's table: example -> labels, or ratings, in the order of `classes`."""

    name: str
    classes: tuple[str, ...]
    labels: Mapping[str, tuple[float, ...]] = field(repr=False)


def read_sheet(path: str | os.PathLike[str], classes: Sequence[str]) -> Sheet:
    """Reads a table with `example_id` or `clip_id` and `label_<class>` columns.

    Such are predictions tables and what `python -m ultrasound_jax.dicom clips` writes,
    also after a spreadsheet program has saved them, as an Excel workbook, with
    semicolons or in another encoding (see `runs.table_cells`). Cells are 1, 0, or -1 or
    empty for unknown. `NAME=PATH` names the reader; otherwise it is the file's name.

    Raises:
        AnalysisError: it cannot be read, lacks a column, has an example twice, or
            another label, with the file and the line.
    """
    name, rest = named_path(path)
    wanted = [*ID_NAMES, *(f"label_{one}" for one in classes)]
    try:
        table = read_table(rest, wanted)
    except InputError as error:
        raise AnalysisError(str(error)) from error
    try:
        return _parse(table, name, tuple(classes))
    except AnalysisError as error:
        raise AnalysisError(f"{rest}: {error}") from error


def named_path(path: str | os.PathLike[str]) -> tuple[str, str]:
    """The name and the path of `NAME=PATH`; of a path alone the file's name."""
    name, equals, rest = str(path).partition("=")
    if not equals or os.sep in name or Path(path).exists():
        return Path(path).stem, str(path)
    return name, rest


def _parse(table: Table, name: str, classes: tuple[str, ...]) -> Sheet:
    place = {tidy(title): i for i, title in reversed([*enumerate(table.heading)])}
    key = next((one for one in ID_NAMES if one in place), None)
    wanted = [f"label_{one}" for one in classes]
    missing = [one for one in wanted if one not in place]
    if key is None:
        missing.insert(0, " or ".join(ID_NAMES))
    if key is None or missing:
        raise AnalysisError(f"missing columns: {', '.join(missing)}")
    columns = [place[one] for one in wanted]
    read = {place[key], *columns}
    doubts = {row: why for (row, at), why in table.doubts.items() if at in read}
    labels: dict[str, tuple[float, ...]] = {}
    for number, row in zip(table.numbers, table.rows, strict=True):
        where = f"line {number}"
        if number in doubts:
            raise AnalysisError(f"{where}: {doubts[number]}")
        example = tidy(row[place[key]])
        if not example or example in labels:
            what = "occurs twice" if example else "is empty"
            raise AnalysisError(f"{where}: {key} '{example}' {what}")
        labels[example] = tuple(
            _label(row[at], where, column)
            for at, column in zip(columns, wanted, strict=True)
        )
    return Sheet(name, classes, labels)


def _label(cell: str, where: str, column: str) -> float:
    value = _LABELS.get(cell.strip())
    if value is None:
        raise AnalysisError(f"{where}: {column} is '{cell}', not 1, 0, -1 or empty")
    return value


def common_examples(
    examples: Sequence[str], sheets: Sequence[Sheet], *, partial: bool
) -> list[str]:
    """The examples that every sheet has, in the given order.

    Raises:
        AnalysisError: a sheet with other examples, unless `partial`; or none in common.
    """
    known = set(examples)
    for sheet in sheets:
        lacking = [e for e in examples if e not in sheet.labels]
        strange = sorted(set(sheet.labels) - known)
        if (lacking or strange) and not partial:
            raise AnalysisError(
                f"sheet '{sheet.name}' lacks {len(lacking)} of the run's {len(known)} "
                f"examples and has {len(strange)} others, such as "
                f"'{(lacking + strange)[0]}'; --partial compares the common ones"
            )
    common = [e for e in examples if all(e in sheet.labels for sheet in sheets)]
    if not common:
        raise AnalysisError("run and sheets have no example in common")
    return common


def reader(sheet: Sheet, examples: Sequence[str]) -> Rater:
    """A sheet's labels of these examples."""
    return Rater(
        sheet.name, READER, np.array([sheet.labels[e] for e in examples], float)
    )


def network(
    name: str,
    judged: Judged,
    examples: Sequence[str],
    choose: Callable[..., float | None] = youden_threshold,
) -> Rater:
    """A network's decisions on these examples, at thresholds of its own.

    Raises:
        AnalysisError: there are no rows to choose thresholds on, or there is none for a
            class because these lack positives or negatives.
    """
    if judged.kind != MULTICLASS and not judged.references:
        raise AnalysisError(
            f"run '{name}' has no validation rows, so that there are no thresholds; "
            "give such with --thresholds RUN, or allow --optimistic ones"
        )
    decisions, _ = judged.decided(choose)
    without = np.flatnonzero(np.isnan(decisions).any(axis=0))
    if len(without):
        raise AnalysisError(
            f"run '{name}' has no threshold for {judged.rows.classes[without[0]]}: its "
            "validation rows lack positives or negatives"
        )
    place = {example: i for i, example in enumerate(judged.rows.example_id)}
    lacking = [e for e in examples if e not in place]
    if lacking:
        raise AnalysisError(
            f"run '{name}' lacks {len(lacking)} of the examples, such as '{lacking[0]}'"
        )
    return Rater(name, NETWORK, decisions[[place[e] for e in examples]])
