"""A sheet as a file: CSV of many kinds or an Excel workbook, brought to rows of text.

Sheets come out of spreadsheet programs of several countries, so separators, encodings
and lines above the heading vary. What can be told is told by the file itself; a cell
that may mean two things is given to the reader as a doubt, with its name.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from ultrasound_jax.runs.spreadsheet import as_meant
from ultrasound_jax.types import InputError

SUFFIXES = (".csv", ".tsv", ".txt", ".xlsx", ".xlsm")
HEADING_WITHIN = 10  # rows with anything in them: a title may stand above the heading
_SEPARATORS = (",", ";", "\t")
_EXCEL_SEPARATOR = re.compile(r'"?sep=([,;\t])"?\r?\n', re.IGNORECASE)
_MAX_BYTES = 64 * 2**20
_OLD_EXCEL, _ZIP = b"\xd0\xcf\x11\xe0", b"PK\x03\x04"


@dataclass(frozen=True)
class Table:
    """A sheet's heading and the rows below it that hold anything.

    rows: cells as text, each row at least as long as the heading. numbers: of each row,
    as the spreadsheet program shows it, the first line of the file being 1. doubts:
    what is wrong with a cell, by its row's number and its place in the row. grouped:
    numbers of a workbook that are shown as 1,530, which may have been typed as two.
    notes: what a person may not see of a workbook, such as hidden rows.
    """

    heading: list[str]
    rows: list[list[str]]
    numbers: list[int]
    doubts: dict[tuple[int, int], str] = field(default_factory=dict)
    grouped: frozenset[tuple[int, int]] = frozenset()
    notes: tuple[str, ...] = ()

    def __iter__(self):
        """Heading and rows, for those who need no more."""
        return iter((self.heading, self.rows))


def read_table(
    path: str | Path, wanted: Collection[str] = (), *, most_bytes: int = _MAX_BYTES
) -> Table:
    """The table of a CSV or XLSX file, whatever its name ends with.

    CSV: commas, semicolons or tabs; UTF-8, UTF-16, the Korean CP949 or the western
    Windows-1252. XLSX: the only worksheet whose heading has columns of `wanted`, or the
    first one. The heading is the row with the most names of `wanted` among the first
    ten that hold anything, the first row where none has any.

    Args:
        path: the file.
        wanted: headings that the caller knows, in any spelling (see `plain`).
        most_bytes: of the file; what is larger is no such sheet.

    Raises:
        InputError: no such file, one that is too large, no text or workbook, two
            worksheets that might be meant, nothing in it, or CSV rows longer than the
            heading.
    """
    path = Path(path)
    content = _content(path, most_bytes)
    known = {plain(name) for name in wanted}
    if content.startswith(_ZIP):
        return _of_workbook(path, content, known)
    return _of_text(path, content, known)


def plain(name: str) -> str:
    """A heading without case, spaces and signs: `Patient ID` is `patientid`."""
    return re.sub(r"[\W_]+", "", name).lower()


def one_spelling(patient: str) -> str:
    """A patient's name or number without what is written in several ways.

    Capitals, blanks, the zeros before a number (`007`, `P07`) and behind it (`7.0`,
    which is 7 to a program that met an empty cell in its column) make no other patient:
    taking two for one keeps them on one side of a split, and the reverse would not.
    """
    key = "".join(unicodedata.normalize("NFKC", patient).casefold().split())
    if number := re.fullmatch(r"(\d+)[.,]0+", key):
        key = number[1]
    return re.sub(r"(?<![\d.,])0+(?=\d)", "", key)


def told_if_joined(patients: Iterable[str]) -> list[str]:
    """The note that patients were spelled in several ways; none if none were."""
    spelled: dict[str, set[str]] = {}
    for one in patients:
        spelled.setdefault(one_spelling(one), set()).add(one)
    joined = sum(len(ways) > 1 for ways in spelled.values())
    if not joined:
        return []
    return [
        f"{joined} patients are spelled in several ways (capitals, blanks or zeros, as "
        "7, 007 and 7.0) and taken as one each"
    ]


def _content(path: Path, most_bytes: int) -> bytes:
    if not path.is_file():
        raise InputError(f"{path}: no such sheet")
    if path.stat().st_size > most_bytes:
        raise InputError(
            f"{path.name}: over {most_bytes >> 20} MiB, which no such sheet is"
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if content.startswith(_OLD_EXCEL):
        raise InputError(
            f"{path.name}: an Excel workbook of the old kind (.xls) or one with a "
            "password; save it as .xlsx, or as csv (UTF-8)"
        )
    return content


def _of_text(path: Path, content: bytes, known: Collection[str]) -> Table:
    text = decoded(content, path.name)
    said = _EXCEL_SEPARATOR.match(text)  # Excel's own first line
    try:
        separators = said[1] if said else _SEPARATORS
        separator = max(separators, key=lambda one: _fit(text, one, known))
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    except csv.Error as error:
        raise InputError(f"{path.name}: not a csv file ({error})") from error
    numbered = [
        (number, cells)
        for number, cells in enumerate(lines, 1)
        if any(cell.strip() for cell in cells) and not (said and number == 1)
    ]
    if not numbered:
        raise InputError(f"{path.name}: the sheet is empty")
    table = _below(numbered, known, {})
    width = len(table.heading)
    long = [
        str(number)
        for number, cells in zip(table.numbers, table.rows, strict=True)
        if any(cell.strip() for cell in cells[width:])
    ]
    if long:
        raise InputError(
            f"{path.name}: row {', '.join(long[:50])}: more cells than the heading's "
            f"{width}; a list of ranges must be one cell, in quotation marks"
        )
    return table


def _fit(text: str, separator: str, known: Collection[str]) -> tuple[int, int]:
    """How well a separator parts the first rows: known headings, then cells."""
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    filled = (cells for cells in lines if any(cell.strip() for cell in cells))
    first = list(islice(filled, HEADING_WITHIN))
    if not first:
        return 0, 0
    best = first[_heading_place(first, known)]
    return _known(best, known), len(best)


def _of_workbook(path: Path, content: bytes, known: Collection[str]) -> Table:
    from ultrasound_jax.runs import workbook  # slow, and few sheets are workbooks

    sheets = workbook.read(content, path.name)
    tables = {}
    for name, sheet in sheets.items():
        if sheet.rows:
            table = _below(sheet.rows, known, sheet.doubts)
            grouped, notes = frozenset(sheet.grouped), workbook.notes_of(sheet)
            tables[name] = replace(table, grouped=grouped, notes=notes)
    if not tables:
        raise InputError(f"{path.name}: the sheet is empty")
    known_in = {n: _known(table.heading, known) for n, table in tables.items()}
    most = max(known_in.values())
    meant = [name for name, count in known_in.items() if count == most]
    if most and len(meant) > 1:
        names = ", ".join(repr(name) for name in meant)
        raise InputError(
            f"{path.name}: the worksheets {names} have the same columns; allowed is one"
        )
    return tables[meant[0]]


def _below(
    numbered: Sequence[tuple[int, list[str]]],
    known: Collection[str],
    doubts: dict[tuple[int, int], str],
) -> Table:
    numbered = [(number, list(map(as_meant, cells))) for number, cells in numbered]
    first = [cells for _, cells in numbered[:HEADING_WITHIN]]
    place = _heading_place(first, known)
    heading = [cell.strip() for cell in first[place]]
    while heading and not heading[-1]:
        heading.pop()
    rest = numbered[place + 1 :]
    rows = [cells + [""] * (len(heading) - len(cells)) for _, cells in rest]
    numbers = [number for number, _ in rest]
    below = set(numbers)
    kept = {spot: why for spot, why in doubts.items() if spot[0] in below}
    return Table(heading, rows, numbers, kept)


def _heading_place(rows: Sequence[Sequence[str]], known: Collection[str]) -> int:
    counts = [_known(cells, known) for cells in rows]
    return counts.index(max(counts))


def _known(cells: Sequence[str], known: Collection[str]) -> int:
    return len({plain(cell) for cell in cells} & set(known))


def decoded(content: bytes, name: str) -> str:
    """The text of a CSV file.

    UTF-8 and UTF-16 show themselves. What else can be Korean (CP949) is Korean if most
    of its letters beyond ASCII are syllables that Korean text is made of (those of KS X
    1001); otherwise it is Windows-1252, in which `Größe` or `Ärztin` are written.

    Raises:
        InputError: it is no text.
    """
    utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    for encoding in ("utf-16",) if utf16 else ("utf-8-sig", "cp949", "cp1252"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text or not _fits(encoding, text):
            continue
        return text
    raise InputError(
        f"{name}: not text in UTF-8, UTF-16, CP949 or Windows-1252; save it as csv "
        "(UTF-8)"
    )


def _fits(encoding: str, text: str) -> bool:
    if encoding == "cp949":
        return _is_korean(text)
    return encoding != "cp1252" or _is_western(text)


def _is_korean(text: str) -> bool:
    beyond = [letter for letter in text if ord(letter) > 127]
    common = sum("가" <= one <= "힣" and _in_ks_x_1001(one) for one in beyond)
    # Signs such as a full-width comma or a dash are in Korean text as well.
    signs = sum(not one.isalpha() for one in beyond)
    return 2 * (common + signs) > len(beyond) and (common > 0 or signs == len(beyond))


def _is_western(text: str) -> bool:
    """Any bytes are Windows-1252; in a sheet most letters of it are plain ones."""
    if any(ord(letter) < 32 and letter not in "\t\r\n\f\v" for letter in text):
        return False
    return 2 * sum(letter.isascii() for letter in text) > len(text)


def _in_ks_x_1001(letter: str) -> bool:
    try:
        return len(letter.encode("euc_kr")) == 2
    except UnicodeEncodeError:
        return False
