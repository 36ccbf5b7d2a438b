"""The annotation sheet of the POCUS set: what was seen in which video.

The sheet is a spreadsheet kept by hand: cells are blank, hold remarks in place of 0 and
1 (one Effusion cell is a URL), and copies of it mix UTF-8 with Windows text. A cell
that is not a plain 0 or 1 is "not annotated", never "absent", and is listed.
"""

import csv
import dataclasses
import hashlib
import io
import re
from pathlib import Path

from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.types import UNKNOWN

PATTERN_COLUMNS = {
    "a_line": "A-lines",
    "b_line": "B-lines",
    "consolidation": "Consolidations",
    "pleural_effusion": "Effusion",
}
DIAGNOSES = {"cov": "covid", "pneu": "pneumonia", "reg": "regular", "vir": "viral"}
PROBES = ("convex", "linear")
_SUFFIX = re.compile(r"\.(avi|gif|mp4|mov|mpe?g|mkv|webm|jpe?g|png)$", re.IGNORECASE)

Row = dict[str, str]


@dataclasses.dataclass(frozen=True)
class Recording:
    """One video file and what the set says of it.

    name: path below `pocus_videos`, with forward slashes.
    video_id: eight hex digits of the name's hash: stable, and free of what file names
        tell of patients and times.
    labels: 1, 0 or -1 in the order of `PATTERN_COLUMNS`.
    severity: lung severity score 0-3 (Gare et al. 2022), -1 where not scored.
    notes: one line for each annotation that could not be taken as it stands.
    """

    path: Path
    name: str
    video_id: str
    labels: tuple[int, ...]
    diagnosis: str
    severity: int
    probe: str
    licence: str
    notes: tuple[str, ...]


def key(filename: str) -> str:
    """A file's name as it can be compared: the sheet often drops suffix and case."""
    return _SUFFIX.sub("", filename.strip()).lower()


def read_sheet(path: Path) -> list[Row]:
    """Rows of a csv file, line by line UTF-8 or else Windows-1252.

    Raises:
        DatasetError: the file is absent or lacks a column that labels come from.
    """
    if not path.is_file():
        raise DatasetError(f"{path}: no such file; it holds the labels of the videos")
    text = "\n".join(_decode(line) for line in path.read_bytes().split(b"\n"))
    reader = csv.DictReader(io.StringIO(text.lstrip("\ufeff"), newline=""))
    try:
        columns = reader.fieldnames or []
        rows = [
            {name: cell or "" for name, cell in row.items() if name} for row in reader
        ]
    except csv.Error as error:
        raise DatasetError(f"{path}: not a csv file ({error})") from error
    missing = [c for c in ("Filename", *PATTERN_COLUMNS.values()) if c not in columns]
    if missing:
        raise DatasetError(f"{path}: lacks the columns {', '.join(missing)}")
    return rows


def read_recording(path: Path, videos: Path, rows: list[Row]) -> Recording:
    """What the sheet's rows and the file's name and folder say of one video.

    Several rows for one file are read together; where they contradict each other the
    cell counts as not annotated.

    Raises:
        DatasetError: the file's prefix or folder is not one of the set's.
    """
    name = path.relative_to(videos).as_posix()
    prefix = re.match(r"[a-z]*", path.name.lower())
    diagnosis = DIAGNOSES.get(prefix.group() if prefix else "")
    if diagnosis is None:
        raise DatasetError(f"{name}: starts with none of Cov, Pneu, Reg, Vir")
    probe = name.split("/")[0]
    if probe not in PROBES:
        raise DatasetError(f"{name}: is in none of the folders {', '.join(PROBES)}")
    notes = []
    if not rows:
        notes.append(f"{name}: not in the sheet; no pattern is annotated")
    if "label_uncertain" in name.split("/"):
        notes.append(f"{name}: the set calls its diagnosis uncertain; {diagnosis} used")
    labels = [
        _cell(name, rows, column, ("0", "1"), True, notes)
        for column in PATTERN_COLUMNS.values()
    ]
    severity = _cell(
        name, rows, "Lung Severity Score", ("0", "1", "2", "3"), False, notes
    )
    licences = {_licence(row.get("License", "")) for row in rows} - {""}
    return Recording(
        path=path,
        name=name,
        video_id=hashlib.sha256(name.encode()).hexdigest()[:8],
        labels=tuple(labels),
        diagnosis=diagnosis,
        severity=severity,
        probe=probe,
        licence=" / ".join(sorted(licences)) or "not stated",
        notes=tuple(notes),
    )


def _decode(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("cp1252", errors="replace")


def _cell(
    name: str,
    rows: list[Row],
    column: str,
    allowed: tuple[str, ...],
    blank_is_noted: bool,
    notes: list[str],
) -> int:
    """The cell's number, or -1 with a note of what stands there instead."""
    cells = {row.get(column, "").strip() for row in rows}
    if len(cells) > 1:
        cells.discard("")
    if len(cells) == 1 and (cell := next(iter(cells))) in allowed:
        return int(cell)
    if cells and (cells != {""} or blank_is_noted):
        found = " and ".join(repr(cell[:60]) for cell in sorted(cells))
        notes.append(f"{name}: {column} is {found}, not annotated")
    return UNKNOWN


def _licence(text: str) -> str:
    """One spelling a licence: the sheet also writes `CC BY-NC -SA 4.0`."""
    return re.sub(r"\s+", " ", text.strip()).replace(" -", "-")
