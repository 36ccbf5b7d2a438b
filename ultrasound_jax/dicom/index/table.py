"""The index: one row a file, without names, and the sheet that doctors label in.

Two files belong together. `index.csv` may be given away: it has pseudonyms, and the
columns for labels. `index.sources.json` says where each video lies; paths may carry
names, so that it is readable by its owner only and stays with the user.
"""

import csv
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from ultrasound_jax.runs import json_text
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.runs.spreadsheet import people_csv
from ultrasound_jax.runs.table_cells import read_table
from ultrasound_jax.types import InputError

LABEL_COLUMNS = (
    "Point Zone",
    "A-line",
    "B-line",
    "Confluent B-line",
    "Consolidation",
    "Pleural effusion",
    "Lung sliding",
    "Lung Ultrasound Score",
)
STATUSES = ("ok", "skipped")
_MAX_BYTES = 2**30  # of an index: a million files have fewer
_SOURCES_FORMAT = "ultrasound_jax sources 1"
_NOTE = "Private: paths may carry names of patients. This file stays with you."
_INTEGERS = ("data_idx", "frames", "rows", "columns", "region_index", "heart_rate")
_NUMBERS = ("frame_rate", "mm_x", "mm_y", "depth_mm")
# Indices of before these columns came are read as if they were empty.
_LATER = ("sex", "age", "transducer", "depth_mm", "heart_rate", "colour_flow")
_THEIRS = "{} (of the sheet)"  # a user's own column of such a name


@dataclass(frozen=True)
class IndexRow:
    """What the index knows of one file; None and "" where it knows nothing.

    video_id: `<patient_id>_<data_idx, 5 digits>`; of a skipped file `F` and a keyed
        hash of its path. Unique.
    patient_id, study_id: pseudonyms.
    study_date: ISO, shifted, or empty.
    data_idx: the number in the file's name where names are such, else a running one.
    data_type: `video` or `image`; where no calibrated region is 2-D, what they show:
        `spectral`, `m-mode`, `waveform` or `graphics`.
    frame_rate: Hz; frame_rate_source: the DICOM tag that it is from, or `none`.
    frame_times_file: relative to the index; only where the intervals vary.
    regions: the calibrated regions as JSON objects, boxes end-inclusive.
    region_index: of the region that is used by default; mm_x, mm_y: its pixels' size.
    sex: `M`, `F` or `O`; age: whole years, `90+` from 90 on.
    transducer: a probe's name or kind, or a keyed hash.
    depth_mm: of the picture; heart_rate: beats a minute; colour_flow: `yes` or `no`.
    status: `ok` or `skipped`; reason: why skipped, or what to know about an ok file.
    labels: every other column, by its header: those of LABEL_COLUMNS and the user's.
    """

    video_id: str
    patient_id: str = ""
    study_id: str = ""
    study_date: str = ""
    data_idx: int | None = None
    data_type: str = ""
    frames: int | None = None
    rows: int | None = None
    columns: int | None = None
    transfer_syntax: str = ""
    photometric: str = ""
    frame_rate: float | None = None
    frame_rate_source: str = ""
    frame_times_file: str = ""
    regions: tuple[Mapping[str, Any], ...] = ()
    region_index: int | None = None
    mm_x: float | None = None
    mm_y: float | None = None
    manufacturer: str = ""
    model: str = ""
    sex: str = ""
    age: str = ""
    transducer: str = ""
    depth_mm: float | None = None
    heart_rate: int | None = None
    colour_flow: str = ""
    sha256: str = ""
    status: str = "ok"
    reason: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether this is a file to work with."""
        return self.status == "ok"

    @property
    def labelled(self) -> bool:
        """Whether somebody has written anything into its label columns."""
        return any(cell.strip() for cell in self.labels.values())


OWN_COLUMNS = tuple(f.name for f in fields(IndexRow) if f.name != "labels")


_SHOWN = 80  # letters of a cell, in messages


def read_index(path: str | os.PathLike[str]) -> list[IndexRow]:
    """Reads index.csv, also after a spreadsheet program has saved it.

    Semicolons instead of commas, encodings of Windows, an Excel workbook, other orders
    of columns and columns of the user's own are fine (see `runs.table_cells`); rows
    without any text are left out.

    Raises:
        InputError: no such file, no sheet, a column is missing, a cell is not what its
            column holds, or an id stands twice; names the file and its line.
    """
    path = Path(path)
    try:
        table = read_table(path, OWN_COLUMNS, most_bytes=_MAX_BYTES)
    except InputError as error:
        raise InputError(f"{path}: no readable index: {error}") from error
    names = table.heading
    keys = names
    if _LATER[-1] not in names:
        later = {name: _THEIRS.format(name) for name in _LATER}
        keys = [later.get(name, name) for name in names]
    missing = [c for c in OWN_COLUMNS if c not in names and c not in _LATER]
    if missing:
        raise InputError(f"{path}: not an index, it lacks {', '.join(missing)}")
    rows, seen = [], set()
    doubts = {number: why for (number, _), why in table.doubts.items()}
    for number, line in zip(table.numbers, table.rows, strict=True):
        place = f"{path}: line {number}"
        if number in doubts:
            raise InputError(f"{place}: {doubts[number]}")
        row = _parsed_row(dict(zip(keys, line, strict=False)), place)
        if row.video_id in seen:
            raise InputError(f"{path}: {row.video_id} stands there twice")
        seen.add(row.video_id)
        rows.append(row)
    return rows


def _parsed_row(cells: dict[str, str], place: str) -> IndexRow:
    values: dict[str, Any] = dict.fromkeys(_LATER, "")
    values |= {name: cell.strip() for name, cell in cells.items()}
    name = ""
    try:
        for name in _INTEGERS:
            values[name] = int(float(values[name])) if values[name] else None
        for name in _NUMBERS:
            # Where semicolons separate cells, commas may stand in numbers.
            number = values[name].replace(",", ".")
            values[name] = _finite(number) if number else None
        name = "regions"
        values[name] = _regions(values[name])
    except (ValueError, TypeError, OverflowError):
        shown = str(values[name])[:_SHOWN]
        raise InputError(f"{place}: {name} is {shown!r}") from None
    if values["status"] not in STATUSES or not values["video_id"]:
        raise InputError(
            f"{place}: video_id {values['video_id']!r}, status {values['status']!r}; "
            f"allowed are an id and one of {', '.join(STATUSES)}"
        )
    own = {name: values.pop(name) for name in OWN_COLUMNS}
    return IndexRow(**own, labels=values)


def _finite(text: str) -> float:
    """A number; `nan` and `inf`, which Python takes for such, are none here."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


def _regions(text: str) -> tuple[dict[str, Any], ...]:
    found = json_text.parsed(text or "[]")
    if not isinstance(found, list) or not all(isinstance(r, dict) for r in found):
        raise ValueError
    return tuple(found)


def write_index(path: str | os.PathLike[str], rows: Iterable[IndexRow]) -> None:
    """Writes index.csv whole: our columns, the label columns, then the user's own.

    Raises:
        InputError: it cannot be written.
    """
    rows = list(rows)
    names: list[str] = list(LABEL_COLUMNS)
    names += dict.fromkeys(
        n for row in rows for n in row.labels if n not in LABEL_COLUMNS
    )
    table = [[*OWN_COLUMNS, *names]]
    for row in rows:
        own = [_cell(getattr(row, name)) for name in OWN_COLUMNS]
        table.append(own + [row.labels.get(name, "") for name in names])
    write_whole(path, people_csv(table))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return json.dumps([dict(entry) for entry in value], separators=(",", ":"))
    if isinstance(value, float):
        return f"{value:.9g}"
    return str(value)


def sources_path(index_path: str | os.PathLike[str]) -> Path:
    """The private file beside an index: `index.csv` has `index.sources.json`."""
    return Path(index_path).with_suffix(".sources.json")


def read_sources(index_path: str | os.PathLike[str]) -> dict[str, Path]:
    """Where each video of an index lies: `video_id` to path, skipped files as well.

    The folder of the recordings is written once in the file (`root`), so that it can be
    corrected where the recordings have moved.

    Raises:
        InputError: the sources file is missing or something else.
    """
    path = sources_path(index_path)
    try:
        tree = json_text.parsed(path.read_bytes())
        if tree["format"] != _SOURCES_FORMAT:
            raise ValueError(f"format is {tree['format']!r}")
        root = Path(tree["root"])
        return {name: root / place for name, place in tree["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: no readable sources file; `index` writes it beside {index_path}: "
            f"{error}"
        ) from error


def read_series(index_path: str | os.PathLike[str]) -> dict[str, tuple[Path, ...]]:
    """The files of each video that is a series of single-frame files, in order.

    `read_sources` has the first of them.

    Raises:
        InputError: as `read_sources`.
    """
    path = sources_path(index_path)
    read_sources(index_path)  # a file that is none is refused there
    tree = json_text.parsed(path.read_bytes())
    try:
        root = Path(tree["root"])
        series = tree.get("series", {}).items()
        return {name: tuple(root / place for place in parts) for name, parts in series}
    except (TypeError, AttributeError) as error:
        raise InputError(f"{path}: no readable series: {error}") from error


def write_sources(
    index_path: str | os.PathLike[str],
    root: Path,
    files: Mapping[str, str],
    not_dicom: Iterable[str] = (),
    *,
    series: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Writes the private file beside an index, readable by its owner only.

    Args:
        index_path: of the index.csv.
        root: folder of the recordings.
        files: `video_id` to the file's path below `root`.
        not_dicom: paths of files that are none; nothing but this list holds them.
        series: `video_id` to the paths of all its files, where it has several.
    """
    tree: dict[str, Any] = {
        "format": _SOURCES_FORMAT,
        "note": _NOTE,
        "root": str(root),
        "files": dict(sorted(files.items())),
        "not_dicom": list(not_dicom),
    }
    if series:
        tree["series"] = {name: list(series[name]) for name in sorted(series)}
    text = json.dumps(tree, indent=1) + "\n"
    write_whole(sources_path(index_path), text, mode=0o600)


def read_frame_times(
    index_path: str | os.PathLike[str], row: IndexRow
) -> np.ndarray | None:
    """Seconds of every frame after the first; None where the intervals do not vary.

    Raises:
        InputError: the file of times that the row names is not there or not such.
    """
    if not row.frame_times_file:
        return None
    path = Path(index_path).parent / row.frame_times_file
    try:
        with open(path, newline="", encoding="utf-8") as file:
            return np.array([float(line["seconds"]) for line in csv.DictReader(file)])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: no readable frame times: {error!r}") from error
