"""CSV that people open in a spreadsheet program: no cell of it is a formula.

Excel and LibreOffice run a cell of a CSV file that begins with `=`, `+`, `-`, `@`, a
tab or a carriage return. Names of files, patients, runs and classes come from
elsewhere, so one that is `=HYPERLINK(…)` would be run on the desk of whoever opens a
list of ours.
Such a cell gets an apostrophe in front, which says "text" to a person and to those
programs; `-0.5` and `+3` are numbers and stay.

Files that the program reads again undo it (`as_meant`): a text that already had an
apostrophe there gets one more, so that nothing is lost. Tables that are for programs
only (`predictions.csv`, `example_table.csv`, `scalars.csv`) are written as they are;
`tests/runs/test_spreadsheet.py` says of every writer which kind it is.
"""

import csv
import io
import re
from collections.abc import Iterable
from typing import Any

# What begins a formula, in full width, too, as Japanese keyboards write it.
_FORMULA = re.compile(r"'*[=+\-@\t\r＝＋－＠].", re.DOTALL)
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")


def as_text(cell: Any) -> Any:
    """A cell that no spreadsheet program takes for a formula."""
    if isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def as_meant(cell: str) -> str:
    """The text that `as_text` was given."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell[1:]) else cell


def people_csv(rows: Iterable[Iterable[Any]]) -> str:
    """Rows as CSV for people; the first is the heading, None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([as_text(cell) for cell in row] for row in rows)
    return text.getvalue()
