"""A predictions file as cells, before it is known what kind of table it is."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.table import units as words

ID_FIELDS = ("example_id", "video_id", "patient_id", "fold", "split")
MOST_FOLDS = 1_000_000
MOST_FRAMES = 100_000_000
N = TypeVar("N", int, float)


def id_columns(units: tuple[str, str]) -> list[str]:
    """The names of the columns of ids in the file."""
    return ["example_id", f"{units[1]}_id", *ID_FIELDS[2:]]


class Sheet:
    """The cells of a predictions file, by line, with its ids taken apart.

    header: all columns. content: those behind the ids.
    """

    def __init__(self, header: Sequence[str], lines: Sequence[tuple[int, list[str]]]):
        self.header, self.lines = list(header), lines
        second = self.header[1] if len(self.header) > 1 else ""
        known = second.endswith("_id") and second not in ("example_id", "patient_id")
        self.units = words.of_column(second if known else "video_id")
        self.content = self.header[len(ID_FIELDS) :]

    def check_begins_with(self, content: Sequence[str]) -> list[str]:
        """The further columns; AnalysisError where the first are not these."""
        expected = [*id_columns(self.units), *content]
        missing = [name for name in expected if name not in self.header]
        if missing:
            raise AnalysisError(f"missing columns: {', '.join(missing)}")
        if self.header[: len(expected)] != expected:
            raise AnalysisError(
                f"columns must begin with exactly {','.join(expected)}, further ones "
                "follow"
            )
        twice = [c for k, c in enumerate(self.header) if c in self.header[:k]]
        if twice:
            raise AnalysisError(f"column '{twice[0]}' occurs twice")
        return self.header[len(expected) :]

    def rows(self) -> list[tuple[str, dict[str, str]]]:
        """Where each row is, for messages, and its cells by column.

        Raises:
            AnalysisError: a row of another length, or without an id.
        """
        found = []
        for line, row in self.lines:
            where = f"line {line}"
            if len(row) != len(self.header):
                raise AnalysisError(
                    f"{where}: {len(row)} cells, not {len(self.header)}"
                )
            cells = dict(zip(self.header, row, strict=True))
            for name in id_columns(self.units)[:3]:
                if not cells[name].strip():
                    raise AnalysisError(
                        f"{where}: {name} is empty; every row needs one"
                    )
            found.append((where, cells))
        return found

    def ids(
        self, rows: Sequence[tuple[str, dict[str, str]]], further: Sequence[str]
    ) -> dict[str, Any]:
        """The fields of `Rows` that all kinds of tables have, but for the classes."""
        columns = id_columns(self.units)
        texts = [tuple(cells[name] for _, cells in rows) for name in columns]
        return {
            "example_id": texts[0],
            "video_id": texts[1],
            "patient_id": texts[2],
            "fold": np.array([_fold(c["fold"], where) for where, c in rows], np.int64),
            "split": texts[4],
            "units": self.units,
            "extra": {n: tuple(cells[n] for _, cells in rows) for n in further},
        }


def read_sheet(path: str | os.PathLike[str]) -> Sheet:
    """The cells of a csv file; AnalysisError where it cannot be read."""
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:  # Excel's mark
            table = csv.reader(file)
            header = next(table, [])
            return Sheet(header, [(table.line_num, row) for row in table if row])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise AnalysisError(f"{path}: cannot be read: {error}") from error


def number(cell: str, where: str, column: str, kind: type[N]) -> N:
    """What a cell says; AnalysisError names the line, the column and it."""
    try:
        return kind(cell)
    except ValueError as error:
        raise AnalysisError(f"{where}: {column} is '{cell}', not a number") from error


def _fold(cell: str, where: str) -> int:
    value = number(cell, where, "fold", int)
    if not abs(value) <= MOST_FOLDS:
        raise AnalysisError(f"{where}: fold is '{cell}', not within {MOST_FOLDS}")
    return value
