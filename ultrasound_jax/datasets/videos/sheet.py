"""A sheet and a folder brought together: which video shows what in whom.

Everything that is wrong is said at once, in one line that names the sheet's rows; what
may be left out is counted and listed.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.videos.columns import (
    ALLOWED,
    FILE,
    PATIENT,
    Column,
    Columns,
    label_of,
    says_signs,
    sort_columns,
    tidy,
)
from ultrasound_jax.datasets.videos.files import (
    KEY,
    SOURCES,
    Names,
    kind_or_reason,
    list_files,
)
from ultrasound_jax.datasets.videos.grades import grades_of, highest
from ultrasound_jax.datasets.videos.options import VideosConfig, renames
from ultrasound_jax.dicom.deid.pseudonyms import Pseudonyms
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.runs.spreadsheet import people_csv
from ultrasound_jax.runs.table_cells import (
    Table,
    one_spelling,
    read_table,
    told_if_joined,
)
from ultrasound_jax.types import UNKNOWN, InputError

NOBODY = ("", "?", "-", "nd", "n/a", "na", "none", "unknown", "anonymous", "anonymized")
MOST = 100  # problems in one message
_SHORTENED = re.compile(r"\d([.,]\d+)?E\+\d+", re.IGNORECASE)


@dataclass(frozen=True)
class Item:
    """One video to be cut, under names that tell nobody.

    row: of the sheet, by which a person finds the file again. labels: 1, 0 or -1 in the
    order of the findings. groups: by column. grades: levels by column, -1 not known.
    shown: whether it is on the contact sheet.
    """

    path: str
    row: int
    video_id: str
    patient_id: str
    labels: tuple[int, ...]
    groups: tuple[tuple[str, str], ...]
    grades: tuple[tuple[str, int], ...] = ()
    shown: bool = False


@dataclass
class OwnVideos:
    """What a folder and its sheet hold.

    levels: of each grade, the highest one. skipped: what gives no clips, by row or as a
    count, with the reason. notes: what a person may want otherwise.
    """

    findings: list[Column]
    groups: list[Column]
    levels: dict[str, int] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class _Rows:
    """The sheet's rows as they are understood, each list as long as the rows."""

    numbers: list[int]
    paths: list[Path | None]
    patients: list[str]
    labels: list[list[int]]
    groups: list[list[str]]
    grades: list[dict[str, int]]


def read_study(folder: Path, sheet: Path, config: VideosConfig) -> OwnVideos:
    """The videos of the folder that the sheet tells of.

    Raises:
        DatasetError: anything in the sheet or between sheet and folder that can mean
            two things or nothing; all of it in one line.
        InputError: the sheet cannot be read as a table.
    """
    called = [old for old, _ in renames(config.rename)]
    table = read_table(sheet, (*FILE, *PATIENT, *called))
    columns = sort_columns(table, config)
    problems = columns.problems
    _doubts(table, columns, problems)
    notes = [*table.notes, *columns.notes]
    study = OwnVideos(columns.findings, columns.groups, notes=notes)
    names = _names(folder, sheet, study)
    rows = _Rows(
        table.numbers,
        _paths(table, columns, names, study, config, problems),
        [],
        _labels(table, columns, problems),
        [[tidy(row[c.place]) for c in columns.groups] for row in table.rows],
        grades_of(table, columns.grades, problems),
    )
    study.levels = highest(columns.grades, rows.grades, problems)
    rows.patients = _patients(table, columns, rows, names, config, study, problems)
    if not table.rows:
        problems.append("there is no row below the heading")
    if problems:
        raise DatasetError(f"{sheet.name}: {together(problems)}")
    _without_row(rows, names, study)
    study.items = _items(rows, folder, config, study)
    return study


def together(problems: Sequence[str]) -> str:
    """Problems as one line."""
    more = len(problems) - MOST
    return "; ".join(problems[:MOST]) + (f"; and {more} more" if more > 0 else "")


def _doubts(table: Table, columns: Columns, problems: list[str]) -> None:
    used = {columns.file, columns.patient}
    columns_used = (*columns.findings, *columns.groups, *columns.grades)
    used |= {column.place for column in columns_used}
    for (number, place), why in sorted(table.doubts.items()):
        if place in used:
            problems.append(f"row {number}: {why}")


def _names(folder: Path, sheet: Path, study: OwnVideos) -> Names:
    recordings, strange = [], 0
    for path in list_files(folder):
        if path in (sheet, folder / KEY, folder / SOURCES):
            continue
        if kind_or_reason(path)[0]:
            recordings.append(path)
        else:
            strange += 1
    if strange:
        study.notes.append(f"{strange} files in the folder are no recordings")
    return Names.of(folder, recordings)


def _paths(
    table: Table,
    columns: Columns,
    names: Names,
    study: OwnVideos,
    config: VideosConfig,
    problems: list[str],
) -> list[Path | None]:
    found: list[Path | None] = []
    first: dict[Path, int] = {}
    if columns.file < 0:
        return [None] * len(table.rows)
    for number, row in zip(table.numbers, table.rows, strict=True):
        cell = row[columns.file].strip()
        meant = names.meant(cell) if cell else []
        path = meant[0] if len(meant) == 1 else None
        if not cell:
            problems.append(f"row {number}: names no file")
        elif len(meant) > 1:
            several = ", ".join(repr(names.told(one)) for one in meant[:5])
            problems.append(
                f"row {number}: {cell[:60]!r} may be {several}; write the path, or "
                "'./name' for the one in the folder itself"
            )
        elif path is None and config.missing == "refuse":
            problems.append(
                f"row {number}: no recording {cell[:60]!r} in the folder; "
                "missing='skip' leaves such rows out"
            )
        elif path is None:
            study.skipped.append((f"row {number}", "there is no such recording"))
        elif path in first:
            problems.append(f"row {number}: the file of row {first[path]} again")
        if path is not None:
            first.setdefault(path, number)
        found.append(path)
    return found


def _labels(table: Table, columns: Columns, problems: list[str]) -> list[list[int]]:
    signs = [
        says_signs([tidy(row[column.place]) for row in table.rows])
        for column in columns.findings
    ]
    labels = []
    for number, row in zip(table.numbers, table.rows, strict=True):
        found = []
        for column, sign in zip(columns.findings, signs, strict=True):
            label = label_of(tidy(row[column.place]), sign)
            if label is None:
                problems.append(
                    f"row {number}, column {column.heading}: "
                    f"{row[column.place].strip()[:40]!r}: {ALLOWED}"
                )
            found.append(UNKNOWN if label is None else label)
        labels.append(found)
    return labels


def _patients(
    table: Table,
    columns: Columns,
    rows: _Rows,
    names: Names,
    config: VideosConfig,
    study: OwnVideos,
    problems: list[str],
) -> list[str]:
    """Whose each row is, one spelling a patient."""
    spelled: dict[str, str] = {}
    cells, found = [], []
    for place, number in enumerate(rows.numbers):
        path = rows.paths[place]
        if config.patient_from == "sheet":
            cell = (
                tidy(table.rows[place][columns.patient])
                if columns.patient >= 0
                else "x"
            )
        elif path is None:
            cell = "x"
        elif config.patient_from == "file":
            cell = names.told(path)
        else:
            cell = path.parent.relative_to(names.folder).as_posix()
            cell = "" if cell == "." else cell
        if cell.lower() in NOBODY:
            where = "lies in no folder of a patient"
            if config.patient_from == "sheet":
                where = (
                    f"patient {cell!r}: whose it is must be known, or training and "
                    "test may share a patient; allowed are a name or number, or "
                    "patient_from='folder' or 'file' for all videos"
                )
            problems.append(f"row {number}: {where}")
        elif config.patient_from == "sheet" and _SHORTENED.fullmatch(cell):
            problems.append(
                f"row {number}: patient {cell!r}: a number that a spreadsheet program "
                "has shortened, so that several may look the same; format the column "
                "as text and write them again"
            )
        key = cell if config.patient_from == "file" else one_spelling(cell)
        cells.append(cell)
        found.append(spelled.setdefault(key, cell))
    if config.patient_from != "file":
        study.notes += told_if_joined(cells)
    if config.patient_from == "file":
        study.notes.append(
            "every file is taken as a patient of its own: if it is not, intervals are "
            "too narrow and training may have seen who is judged"
        )
    return found


def _without_row(rows: _Rows, names: Names, study: OwnVideos) -> None:
    used = {path for path in rows.paths if path is not None}
    spare = sum(path not in used for path in names.files)
    if spare:
        study.skipped.append((f"{spare} recordings", "no row in the sheet"))


def _items(
    rows: _Rows, folder: Path, config: VideosConfig, study: OwnVideos
) -> list[Item]:
    """Videos numbered by their path within each patient, under pseudonyms."""
    called: Callable[[str], str] = str
    if config.ids == "hashed":
        called = Pseudonyms.open(folder / KEY).patient
    order = sorted(
        (p for p, path in enumerate(rows.paths) if path is not None),
        key=lambda p: str(rows.paths[p]),
    )
    count: dict[str, int] = defaultdict(int)
    items = []
    for place in order:
        patient = called(rows.patients[place])
        count[patient] += 1
        groups = zip([g.name for g in study.groups], rows.groups[place], strict=True)
        items.append(
            Item(
                path=str(rows.paths[place]),
                row=rows.numbers[place],
                video_id=f"{patient}_{count[patient]:05d}",
                patient_id=patient,
                labels=tuple(rows.labels[place]),
                groups=tuple(groups),
                grades=tuple(rows.grades[place].items()),
            )
        )
    if config.ids == "hashed":
        patients = dict(zip(rows.numbers, rows.patients, strict=True))
        _write_sources(items, patients, folder, study)
    return items


def _write_sources(
    items: Sequence[Item], patients: Mapping[int, str], folder: Path, study: OwnVideos
) -> None:
    rows: list[list[Any]] = [["video_id", "row", "file", "patient"]]
    for one in items:
        path = Path(one.path).relative_to(folder).as_posix()
        rows.append([one.video_id, one.row, path, patients[one.row]])
    try:
        write_whole(folder / SOURCES, people_csv(rows), mode=0o600)
    except InputError:
        study.notes.append(f"{SOURCES} could not be written into the folder")
