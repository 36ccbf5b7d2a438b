"""An Excel workbook's worksheets as rows of text; formulas are never computed.

A workbook is a zip of XML that anybody may have made: what it unpacks to is bounded,
and only cells with something in them are held.
"""

import datetime
import io
import re
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import openpyxl
from openpyxl.utils import get_column_letter, range_boundaries

from ultrasound_jax.types import InputError

MOST_BYTES = 64 * 2**20  # unpacked
MOST_ROWS, MOST_COLUMNS = 200_000, 1000
_MERGED = re.compile(rb'<(?:\w+:)?mergeCell\b[^>]*\bref="([A-Z]+\d+:[A-Z]+\d+)"')

_HIDDEN = re.compile(rb"<(?:\w+:)?(row|col)\b([^>]*\bhidden=[^>]*)>")
_SAID = re.compile(rb'\b(\w+)="([^"]*)"')


@dataclass
class Worksheet:
    """The rows with anything in them, by their number, and cells that are in doubt.

    doubts: by row number and place in the row, why a cell cannot be taken as it stands.
    grouped: numbers that are shown with a comma between thousands, which may have been
    two numbers when they were typed. hidden_rows, hidden_columns: from 1, of those with
    anything in them, that the spreadsheet program does not show.
    """

    rows: list[tuple[int, list[str]]] = field(default_factory=list)
    doubts: dict[tuple[int, int], str] = field(default_factory=dict)
    grouped: set[tuple[int, int]] = field(default_factory=set)
    hidden_rows: list[int] = field(default_factory=list)
    hidden_columns: list[int] = field(default_factory=list)


def read(content: bytes, name: str) -> dict[str, Worksheet]:
    """The visible worksheets of an XLSX file, in their order.

    Numbers have no `.0`, dates are ISO, so that nobody takes one for a range of frames;
    of a formula the value that the spreadsheet program has kept is read. In doubt are
    formulas without such a value, and all cells of a merged block but the first, which
    a person may or may not mean to hold the same.

    Raises:
        InputError: it is no workbook, or larger than a sheet can be.
    """
    try:
        _check_size(content, name)
        with warnings.catch_warnings():  # of pictures and rules that are not read
            warnings.simplefilter("ignore")
            values = openpyxl.load_workbook(
                io.BytesIO(content), read_only=True, data_only=True
            )
            written = openpyxl.load_workbook(io.BytesIO(content), read_only=True)
            found = {}
            for sheet in values.worksheets:
                if sheet.sheet_state == "visible":
                    merged = _merged(sheet)
                    one = _worksheet(sheet, written[sheet.title], merged, name)
                    _find_hidden(one, sheet)
                    found[sheet.title] = one
    except InputError:
        raise
    except Exception as error:  # openpyxl lets through what its parsers raise
        raise InputError(
            f"{name}: not a readable Excel workbook ({type(error).__name__}); save it "
            "again, or save the sheet as csv (UTF-8)"
        ) from error
    if not found:
        raise InputError(f"{name}: a workbook without a visible worksheet")
    return found


def _check_size(content: bytes, name: str) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
        total = 0
        for one in archive.infolist():
            with archive.open(one) as file:  # what the directory says may be false
                while block := file.read(2**20):
                    total += len(block)
                    if total > MOST_BYTES:
                        raise InputError(
                            f"{name}: unpacks to more than {MOST_BYTES >> 20} MiB, "
                            "which no sheet is"
                        )
    if "[Content_Types].xml" not in names or not any(
        one.startswith("xl/") for one in names
    ):
        raise InputError(f"{name}: a zip archive that is no Excel workbook")


def _worksheet(
    sheet: Any, written: Any, merged: list[tuple[int, int, int, int]], name: str
) -> Worksheet:
    found = Worksheet()
    for one in (sheet, written):
        one.reset_dimensions()  # what the file says of its size may be false
    # Row by row of the same file, so that both have the same cells.
    for number, (cells, sources) in enumerate(
        zip(_rows(sheet), _rows(written), strict=True), 1
    ):
        if len(cells) > MOST_COLUMNS or (number > MOST_ROWS and cells):
            raise InputError(
                f"{name}: worksheet {sheet.title!r} has cells beyond row {MOST_ROWS} "
                f"or column {get_column_letter(MOST_COLUMNS)}"
            )
        texts = [text_of(cell.value) for cell in cells]
        found.grouped |= {(number, k) for k, cell in enumerate(cells) if _grouped(cell)}
        for place, (text, source) in enumerate(zip(texts, sources, strict=True)):
            if not text and source.data_type == "f":
                cell = f"{get_column_letter(place + 1)}{number}"
                found.doubts[number, place] = (
                    f"{cell} is a formula whose value was not saved; save the "
                    "workbook in a spreadsheet program, or write the value"
                )
        while texts and not texts[-1].strip():
            texts.pop()
        if texts or any(spot[0] == number for spot in found.doubts):
            found.rows.append((number, texts))
    _doubt_merged(found, merged)
    return found


def _grouped(cell: Any) -> bool:
    value = cell.value
    large = isinstance(value, int | float) and abs(value) >= 1000
    return large and "#,##" in (cell.number_format or "")


def _rows(sheet: Any) -> Iterator[tuple[Any, ...]]:
    return iter(sheet.iter_rows())


def notes_of(sheet: Worksheet) -> tuple[str, ...]:
    """What a person does not see who looks at the worksheet."""
    columns = [get_column_letter(column) for column in sheet.hidden_columns]
    parts = [
        f"{word}{'s' * (len(names) > 1)} {', '.join(map(str, names[:20]))}"
        + (f" and {len(names) - 20} more" if len(names) > 20 else "")
        for word, names in (("row", sheet.hidden_rows), ("column", columns))
        if names
    ]
    if not parts:
        return ()
    several = len(sheet.hidden_rows) + len(columns) > 1
    is_so, was = ("are", "were") if several else ("is", "was")
    return (
        f"{' and '.join(parts)} {is_so} hidden in the spreadsheet program, and {was} "
        "read as those that are seen",
    )


def _find_hidden(found: Worksheet, sheet: Any) -> None:
    content = _xml(sheet)
    filled = {number for number, _ in found.rows}
    width = max((len(cells) for _, cells in found.rows), default=0)
    for kind, said in _HIDDEN.findall(content):
        tells = dict(_SAID.findall(said))
        if tells.get(b"hidden") not in (b"1", b"true"):
            continue
        if kind == b"row" and int(tells.get(b"r", 0)) in filled:
            found.hidden_rows.append(int(tells[b"r"]))
        elif kind == b"col":
            first, last = int(tells.get(b"min", 1)), int(tells.get(b"max", 0))
            found.hidden_columns += range(first, min(last, width) + 1)


def _xml(sheet: Any) -> bytes:
    with sheet.parent._archive.open(sheet._worksheet_path) as file:
        return file.read()


def _merged(sheet: Any) -> list[tuple[int, int, int, int]]:
    """First and last column and row of each merged block; a stream does not say."""
    blocks = _MERGED.findall(_xml(sheet))
    bounds = [range_boundaries(block.decode()) for block in blocks]
    return [(a, b, c, d) for a, b, c, d in bounds if a and b and c and d]


def _doubt_merged(found: Worksheet, merged: list[tuple[int, int, int, int]]) -> None:
    numbers = [number for number, _ in found.rows]
    for left, top, right, bottom in merged:
        block = f"{get_column_letter(left)}{top}:{get_column_letter(right)}{bottom}"
        for number in (one for one in numbers if top <= one <= bottom):
            for column in range(left, min(right, MOST_COLUMNS) + 1):
                if (number, column) != (top, left):
                    found.doubts.setdefault(
                        (number, column - 1),
                        f"{get_column_letter(column)}{number} is part of the merged "
                        f"cells {block}; split them and write each value",
                    )


def text_of(value: Any) -> str:
    """A cell's value as text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, datetime.datetime):
        midnight = value.time() == datetime.time()
        return value.date().isoformat() if midnight else value.isoformat(" ")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value)
