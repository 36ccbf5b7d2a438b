"""Reads a sheet of which no message may repeat a cell, since cells may be names."""

import csv
import io
from collections.abc import Collection
from pathlib import Path

from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.runs.table_cells import read_table
from ultrasound_jax.types import InputError

SEPARATORS = (",", ";", "\t")
_ZIP = b"PK\x03\x04"


def read_rows(path: Path, wanted: Collection[str] = ()) -> list[list[str]]:
    """All rows, cells without blanks around them.

    Separators are commas, semicolons or tabs: whichever parts the heading most. Excel's
    first line `sep=;` is not a row. Of a workbook the table with the
    headings `wanted` is read, under a title too.

    Raises:
        DatasetError: not a csv of UTF-8 text, or a workbook with doubtful cells.
    """
    try:
        content = path.read_bytes()
        if content.startswith(_ZIP):
            return _of_workbook(path, wanted)
        text = content.decode("utf-8-sig")
        heading, _, rest = text.lstrip("\r\n").partition("\n")
        said = heading.strip('\r"').lower()
        if said.startswith("sep=") and said[4:] in SEPARATORS:
            return _parsed(rest, said[4:])
        parts = {one: len((_parsed(heading, one) or [[]])[0]) for one in SEPARATORS}
        return _parsed(text, max(SEPARATORS, key=lambda one: parts[one]))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path.name}: not a csv of UTF-8 text") from error


def _of_workbook(path: Path, wanted: Collection[str]) -> list[list[str]]:
    try:
        table = read_table(path, wanted)
    except InputError:
        raise DatasetError(f"{path.name}: not a workbook that can be read") from None
    if table.doubts:
        rows = ", ".join(str(row) for row in sorted({row for row, _ in table.doubts}))
        raise DatasetError(
            f"{path.name}: cells of rows {rows} are formulas without a value, merged "
            "or have two meanings; allowed are plain ones"
        )
    return [[cell.strip() for cell in row] for row in (table.heading, *table.rows)]


def _parsed(text: str, separator: str) -> list[list[str]]:
    file = io.StringIO(text, newline="")
    lines = csv.reader(file, delimiter=separator, strict=True)
    return [[cell.strip() for cell in line] for line in lines]
