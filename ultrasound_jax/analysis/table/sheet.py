"""A predictions file as cells, before it is known what kind of table it is."""

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.table import units as words

ID_FIELDS = ("example_id", "video_id", "patient_id", "fold", "split")
MOST_FOLDS = 1_000_000
MOST_FRAMES = 100_000_000
_ROWS = 4096  # that are turned into columns at a time
_SHOWN = 60  # letters of a cell in a message
N = TypeVar("N", int, float)


def id_columns(units: tuple[str, str]) -> list[str]:
    """The names of the columns of ids in the file."""
    return ["example_id", f"{units[1]}_id", *ID_FIELDS[2:]]


class Sheet:
    """The cells of a predictions file by column, with its ids taken apart.

    Cells are kept as columns, of which equal texts are one in memory: a file of 200,000
    rows is read into less than half a gigabyte.

    header: all columns. content: those behind the ids. lines: of each row, for
    messages.
    """

    def __init__(self, header: Sequence[str], rows: Iterable[tuple[int, list[str]]]):
        self.header, self._columns = list(header), [[] for _ in header]
        second = self.header[1] if len(self.header) > 1 else ""
        known = second.endswith("_id") and second not in ("example_id", "patient_id")
        self.units = words.of_column(second if known else "video_id")
        self.content = self.header[len(ID_FIELDS) :]
        self.lines: list[int] = []
        self._odd = ""  # what is wrong with the first row of another length
        self._fill(iter(rows))

    def __len__(self) -> int:
        return len(self.lines)

    def _fill(self, rows: Iterator[tuple[int, list[str]]]) -> None:
        known: dict[str, str] = {}
        repeated = self.header[1 : len(ID_FIELDS)]
        while some := list(islice(rows, _ROWS)):
            for line, row in some:
                if len(row) != len(self.header):
                    self._odd = f"line {line}: {len(row)} cells, not {len(self.header)}"
                    return
            self.lines += [line for line, _ in some]
            for name, column, cells in zip(
                self.header,
                self._columns,
                zip(*(row for _, row in some), strict=True),
                strict=True,
            ):
                same = name in repeated
                column += [known.setdefault(c, c) for c in cells] if same else cells

    def check_begins_with(self, content: Sequence[str]) -> list[str]:
        """The further columns; AnalysisError where the first are not these.

        Raises:
            AnalysisError: see above, or a row of another length.
        """
        expected = [*id_columns(self.units), *content]
        missing = [name for name in expected if name not in self.header]
        if missing:
            raise AnalysisError(f"missing columns: {', '.join(missing)}{self.hint()}")
        if self.header[: len(expected)] != expected:
            raise AnalysisError(
                f"columns must begin with exactly {','.join(expected)}, further ones "
                "follow"
            )
        twice = [c for k, c in enumerate(self.header) if c in self.header[:k]]
        if twice:
            raise AnalysisError(f"column '{twice[0]}' occurs twice")
        if self._odd:
            raise AnalysisError(self._odd)
        return self.header[len(expected) :]

    def hint(self) -> str:
        """What else to say of columns that are missing."""
        parted = len(self.header) == 1 and any(c in self.header[0] for c in ";\t")
        if not parted:
            return ""
        return (
            "; cells are parted by other signs than commas, as spreadsheet programs of "
            "some countries do: take the file that was written, not one saved again"
        )

    def column(self, name: str) -> list[str]:
        """The cells of a column, as they stand."""
        return self._columns[self.header.index(name)]

    def distinct(self, name: str) -> list[tuple[str, str]]:
        """The different cells of a column, each with where it is first."""
        first: dict[str, int] = {}
        for row, cell in enumerate(self.column(name)):
            first.setdefault(cell, row)
        return [(cell, self.where(row)) for cell, row in first.items()]

    def where(self, row: int) -> str:
        """Where a row is, for messages."""
        return f"line {self.lines[row]}"

    def ids(self, further: Sequence[str]) -> dict[str, Any]:
        """The fields of `Rows` that all kinds of tables have, but for the classes.

        Raises:
            AnalysisError: an empty id, or a fold that is no whole number.
        """
        columns = [self.column(name) for name in id_columns(self.units)]
        for name, cells in zip(id_columns(self.units)[:3], columns, strict=False):
            for row, cell in enumerate(cells):
                if not cell.strip():
                    raise AnalysisError(
                        f"{self.where(row)}: {name} is empty; every row needs one"
                    )
        known = {cell: _fold(cell, where) for cell, where in self.distinct("fold")}
        return {
            "example_id": tuple(columns[0]),
            "video_id": tuple(columns[1]),
            "patient_id": tuple(columns[2]),
            "fold": np.array([known[cell] for cell in columns[3]], np.int64),
            "split": tuple(columns[4]),
            "units": self.units,
            "extra": {name: tuple(self.column(name)) for name in further},
        }


def read_sheet(path: str | os.PathLike[str]) -> Sheet:
    """The cells of a csv file; AnalysisError where it cannot be read."""
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:  # Excel's mark
            table = csv.reader(file)
            header = next(table, [])
            return Sheet(header, ((table.line_num, row) for row in table if row))
    except UnicodeDecodeError as error:
        raise AnalysisError(
            f"{path}: not text in UTF-8 (byte {error.start}); a predictions table is a "
            "csv file in UTF-8, as evaluation writes it"
        ) from error
    except (OSError, csv.Error) as error:
        raise AnalysisError(f"{path}: cannot be read: {error}") from error


def number(cell: str, where: str, column: str, kind: type[N]) -> N:
    """What a cell says; AnalysisError names the line, the column and it."""
    try:
        return kind(cell)
    except (ValueError, OverflowError) as error:
        shown = cell if len(cell) <= _SHOWN else f"{cell[:_SHOWN]}…"
        raise AnalysisError(f"{where}: {column} is '{shown}', not a number") from error


def _fold(cell: str, where: str) -> int:
    value = number(cell, where, "fold", int)
    if not abs(value) <= MOST_FOLDS:
        raise AnalysisError(f"{where}: fold is '{cell}', not within {MOST_FOLDS}")
    return value
