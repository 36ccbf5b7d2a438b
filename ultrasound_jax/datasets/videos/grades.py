"""Columns of levels in an order: severities, grades, lung ultrasound scores."""

import re
from collections.abc import Mapping, Sequence

from ultrasound_jax.datasets.videos.columns import NOBODY_SAYS, Column, tidy
from ultrasound_jax.runs.table_cells import Table
from ultrasound_jax.types import UNKNOWN

HIGHEST = 20
ALLOWED = f"allowed are whole numbers from 0 to {HIGHEST}; nothing or ? for not known"


def grades_of(
    table: Table, columns: Sequence[Column], problems: list[str]
) -> list[dict[str, int]]:
    """The level of each row by the column's name; -1 where none is known."""
    grades = []
    for number, row in zip(table.numbers, table.rows, strict=True):
        found = {}
        for column in columns:
            level = level_of(tidy(row[column.place]))
            if level is None:
                problems.append(
                    f"row {number}, column {column.heading}: "
                    f"{row[column.place].strip()[:40]!r}: {ALLOWED}"
                )
            found[column.name] = UNKNOWN if level is None else level
        grades.append(found)
    return grades


def level_of(cell: str) -> int | None:
    """The level that a tidy cell says, -1 where nobody says; None if it is no level."""
    if cell.lower() in NOBODY_SAYS:
        return UNKNOWN
    number = re.fullmatch(r"(\d{1,2})([.,]0+)?", cell)
    if number is None or int(number[1]) > HIGHEST:
        return None
    return int(number[1])


def highest(
    columns: Sequence[Column], grades: Sequence[Mapping[str, int]], problems: list[str]
) -> dict[str, int]:
    """The highest level of each column; all from 0 to it are levels."""
    found = {}
    for column in columns:
        found[column.name] = max((row[column.name] for row in grades), default=0)
        if grades and not problems and found[column.name] < 1:
            problems.append(
                f"column {column.heading!r} of grades has no level above 0; {ALLOWED}"
            )
    return found
