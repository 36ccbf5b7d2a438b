"""A labelling sheet as a file: bytes to cells, and which column is which.

Sheets come out of spreadsheet programs of several countries, so separators, encodings
and the spelling of headings vary; what they mean does not.
"""

import csv
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ultrasound_jax.labels.findings import (
    COLUMNS,
    SCORE_COLUMN,
)
from ultrasound_jax.types import InputError

# What a merged sheet may pass on; anything else in a sheet stays there.
KEPT = ("Point Zone", "Lung sliding", "data_type", "frames", "conflict")
NEEDED = tuple(COLUMNS.values())
NAMING = ("video_id", "patient_id", "data_idx", "study_id", "status")
_SEPARATORS = (",", ";", "\t")
_EXCEL_SEPARATOR = re.compile(r'"?sep=([,;\t])"?\r?\n', re.IGNORECASE)
_MAX_BYTES = 64 * 2**20


@dataclass(frozen=True)
class SheetLine:
    """One row: its line number as a spreadsheet shows it, and its cells."""

    number: int
    cells: list[str]


class Heading:
    """Where each known column stands, however its name is spelled.

    twice: the known columns that stand more than once.
    """

    def __init__(self, names: list[str]):
        self._place = {}
        plain = [_plain(name) for name in names]
        for place, name in enumerate(plain):
            self._place.setdefault(name, place)
        known = (*NAMING, *NEEDED, SCORE_COLUMN, *KEPT)
        self.twice = [name for name in known if plain.count(_plain(name)) > 1]

    def __contains__(self, column: str) -> bool:
        return _plain(column) in self._place

    def cell(self, line: SheetLine, column: str) -> str:
        """The cell in this column, "" where the sheet has no such column."""
        place = self._place.get(_plain(column))
        if place is None or place >= len(line.cells):
            return ""
        return line.cells[place]

    def kept(self, line: SheetLine) -> dict[str, str]:
        """The cells of the columns in `KEPT` that are not empty."""
        cells = {column: self.cell(line, column).strip() for column in KEPT}
        return {column: cell for column, cell in cells.items() if cell}

    def is_skipped(self, line: SheetLine) -> bool:
        """Whether the index has left this file out."""
        return self.cell(line, "status").strip() == "skipped"

    @property
    def names_rows(self) -> bool:
        """Whether there is a column that says which video a row is about."""
        pair = "patient_id" in self and "data_idx" in self
        return pair or "video_id" in self or "study_id" in self

    def video_id(
        self,
        line: SheetLine,
        patient_name: Callable[[str], str] | None,
        problems: list[str],
    ) -> str:
        """The video that a row is about; "" and a note in `problems` without one."""
        if given := self.cell(line, "video_id").strip():
            return given
        patient = self.cell(line, "patient_id").strip()
        index = self.cell(line, "data_idx").strip().removesuffix(".0")
        if not (patient and index):
            patient, _, index = self.cell(line, "study_id").strip().rpartition("_")
        if not patient or not re.fullmatch(r"\d{1,9}", index, re.ASCII):
            problems.append(
                f"row {line.number}: names no video; allowed is a video_id, or a "
                "PatientID and a whole-number Data_idx"
            )
            return ""
        return f"{patient_name(patient) if patient_name else patient}_{int(index):05d}"


def read_lines(path: Path) -> tuple[Heading, list[SheetLine]]:
    """The heading and the rows that hold anything.

    Raises:
        InputError: no such file, not a csv, a column missing, or rows longer than the
            heading.
    """
    text = _read_text(path)
    header = text.lstrip("\r\n").partition("\n")[0]
    separator = max(_SEPARATORS, key=header.count)
    if said := _EXCEL_SEPARATOR.match(text):  # Excel's own first line
        separator = said[1]
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    except csv.Error as error:
        raise InputError(f"{path.name}: not a csv file ({error})") from error
    lines = [SheetLine(number, cells) for number, cells in enumerate(rows, 1)]
    lines = lines[1:] if said else lines
    lines = [line for line in lines if any(cell.strip() for cell in line.cells)]
    if not lines:
        raise InputError(f"{path.name}: the sheet is empty")
    heading, width = Heading(lines[0].cells), len(lines[0].cells)
    missing = [column for column in NEEDED if column not in heading]
    if not heading.names_rows:
        missing.insert(0, "video_id (or PatientID and Data_idx)")
    if missing:
        raise InputError(
            f"{path.name}: no column {', '.join(missing)}; a sheet needs video_id, "
            f"{', '.join(NEEDED)}, and may have {SCORE_COLUMN}"
        )
    if heading.twice:
        raise InputError(
            f"{path.name}: the column {', '.join(heading.twice)} stands twice; allowed "
            "is once"
        )
    long = [
        str(line.number)
        for line in lines[1:]
        if any(cell.strip() for cell in line.cells[width:])
    ]
    if long:
        raise InputError(
            f"{path.name}: row {', '.join(long[:50])}: more cells than the heading's "
            f"{width}; a list of ranges must be one cell, in quotation marks"
        )
    # An index is a sheet; its rows of files that cannot be used are not labelled.
    return heading, [one for one in lines[1:] if not heading.is_skipped(one)]


def _read_text(path: Path) -> str:
    if not path.is_file():
        raise InputError(f"{path}: no such sheet")
    if path.stat().st_size > _MAX_BYTES:
        raise InputError(f"{path.name}: over 64 MiB, which no labelling sheet is")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise InputError(
            f"{path.name}: an Excel workbook; save the sheet as csv (UTF-8)"
        )
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ("utf-16",)
    else:
        encodings = ("utf-8-sig", "cp949")
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise InputError(
        f"{path.name}: not text in UTF-8, UTF-16 or CP949; save it as csv (UTF-8)"
    )


def _plain(name: str) -> str:
    """A heading without case, spaces and signs: `Patient ID` is `patient_id`."""
    return re.sub(r"[\W_]+", "", name).lower()
