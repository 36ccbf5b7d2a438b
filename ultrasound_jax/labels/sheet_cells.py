"""A labelling sheet's heading: which column is which, however it is spelled."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ultrasound_jax.labels.findings import (
    COLUMNS,
    SCORE_COLUMN,
)
from ultrasound_jax.runs.table_cells import plain, read_table
from ultrasound_jax.types import InputError

# What a merged sheet may pass on; anything else in a sheet stays there.
KEPT = ("Point Zone", "Lung sliding", "data_type", "frames", "conflict")
NEEDED = tuple(COLUMNS.values())
NAMING = ("video_id", "patient_id", "data_idx", "study_id", "status")


@dataclass(frozen=True)
class SheetLine:
    """One row: its line number as a spreadsheet shows it, and its cells.

    doubts: by place, why a cell cannot be taken as it stands (see `table_cells`).
    """

    number: int
    cells: list[str]
    doubts: Mapping[int, str] = field(default_factory=dict)


class Heading:
    """Where each known column stands, however its name is spelled.

    twice: the known columns that stand more than once.
    """

    def __init__(self, names: list[str]):
        self._place = {}
        spelled = [plain(name) for name in names]
        for place, name in enumerate(spelled):
            self._place.setdefault(name, place)
        known = (*NAMING, *NEEDED, SCORE_COLUMN, *KEPT)
        self.twice = [name for name in known if spelled.count(plain(name)) > 1]

    def __contains__(self, column: str) -> bool:
        return plain(column) in self._place

    def cell(self, line: SheetLine, column: str) -> str:
        """The cell in this column, "" where the sheet has no such column.

        Raises:
            InputError: the cell is in doubt.
        """
        place = self._place.get(plain(column))
        if place is None or place >= len(line.cells):
            return ""
        if place in line.doubts:
            raise InputError(line.doubts[place])
        return line.cells[place]

    def places_of(self, columns: Iterable[str]) -> set[int]:
        """Where these columns stand."""
        return {self._place[plain(one)] for one in columns if one in self}

    def kept(self, line: SheetLine) -> dict[str, str]:
        """The cells of the columns in `KEPT` that are not empty."""
        cells = {
            column: self.cell(line, column).strip()
            for column in KEPT
            if self._place.get(plain(column)) not in line.doubts
        }
        return {column: cell for column, cell in cells.items() if cell}

    def is_skipped(self, line: SheetLine) -> bool:
        """Whether the index has left this file out."""
        doubtful = self._place.get("status") in line.doubts
        return not doubtful and self.cell(line, "status").strip() == "skipped"

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
        try:
            return self._video_id(line, patient_name)
        except InputError as error:
            problems.append(f"row {line.number}: {error}")
            return ""

    def _video_id(
        self, line: SheetLine, patient_name: Callable[[str], str] | None
    ) -> str:
        if given := self.cell(line, "video_id").strip():
            return given
        patient = self.cell(line, "patient_id").strip()
        index = self.cell(line, "data_idx").strip().removesuffix(".0")
        if not (patient and index):
            patient, _, index = self.cell(line, "study_id").strip().rpartition("_")
        if not patient or not re.fullmatch(r"\d{1,9}", index, re.ASCII):
            raise InputError(
                "names no video; allowed is a video_id, or a PatientID and a "
                "whole-number Data_idx"
            )
        return f"{patient_name(patient) if patient_name else patient}_{int(index):05d}"


def read_lines(path: Path) -> tuple[Heading, list[SheetLine]]:
    """The heading and the rows that hold anything.

    Raises:
        InputError: as `read_table`; or a column is missing or stands twice.
    """
    table = read_table(path, (*NAMING, *NEEDED, SCORE_COLUMN, *KEPT))
    heading = Heading(table.heading)
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
    doubts: dict[int, dict[int, str]] = {}
    for (number, place), why in table.doubts.items():
        doubts.setdefault(number, {})[place] = why
    for number, place in table.grouped:
        if place in heading.places_of(COLUMNS.values()):
            doubts.setdefault(number, {})[place] = (
                "a number that is shown with a comma, which may have been two frames; "
                "format the cell as text and write it again"
            )
    lines = [
        SheetLine(number, cells, doubts.get(number, {}))
        for number, cells in zip(table.numbers, table.rows, strict=True)
    ]
    # An index is a sheet; its rows of files that cannot be used are not labelled.
    return heading, [one for one in lines if not heading.is_skipped(one)]
