"""Where recordings and labels of a part lie, and which belong together.

    <part>/index.csv   of `python -m ultrasound_jax.dicom index`, made from dicom/ if it
                       is not there; index.sources.json is beside it, pseudonyms.json
                       too or in the manual folder
    <part>/dicom/      the recordings, or
    <part>/avi/        what `convert --to avi` made of them
    <part>/labels/     development: version1.csv and version2.csv (merged sheets; also
                       ignore.csv), or the two annotators' own sheets
                       temporal: expert.csv, reader_1.csv, reader_2.csv

The part's folder is the manual one or a folder in it that is named after the part.
"""

import argparse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.lus_clips.options import LusClipsConfig
from ultrasound_jax.dicom.commands import index as index_command
from ultrasound_jax.dicom.index.table import (
    IndexRow,
    read_frame_times,
    read_index,
    read_series,
    read_sources,
    sources_path,
)
from ultrasound_jax.labels.clip_table import reason_against
from ultrasound_jax.labels.indexed_sheet import read_rows
from ultrasound_jax.labels.merge import merge
from ultrasound_jax.labels.sheet import LabelRow
from ultrasound_jax.media.video import SUFFIXES as VIDEOS

EXPERT, READERS = "expert.csv", ("reader_1.csv", "reader_2.csv")
MERGED = {1: "version1.csv", 2: "version2.csv"}
IGNORE = "ignore.csv"
KEY = "pseudonyms.json"
SERIES = (
    "its frames are files of their own (a series): `convert --to avi --rate native "
    "--out <part>/avi` the index first"
)

Rows = dict[str, LabelRow]
Skip = Callable[[str, str], None]


@dataclass(frozen=True)
class Item:
    """One video to be cut, with all that its clips need.

    path: a DICOM file, or an AVI that `convert` made. times: seconds of each frame
    where their intervals vary. readers: of the temporal part, None where a reader has
    not looked.
    """

    path: str
    video: IndexRow
    times: tuple[float, ...] | None
    row: LabelRow
    ignored: LabelRow | None = None
    readers: tuple[LabelRow | None, ...] = ()


@dataclass
class Labels:
    """The sheets of a part, by video; `notes` is what merging them found."""

    rows: Rows
    ignored: Rows = field(default_factory=dict)
    readers: tuple[Rows, ...] = ()
    dropped: Mapping[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def gather(
    manual_dir: Path, config: LusClipsConfig, skip: Skip
) -> tuple[list[Item], list[str]]:
    """The videos to be cut, in the index's order, and notes about their labels.

    `skip(name, reason)` is told of every file of the index that gives no clips and of
    every label without a file.

    Raises:
        DatasetError: a folder or sheet is missing.
        InputError: an index or a sheet is not one.
    """
    _check_videos(manual_dir, config.part)
    folder = find_part(manual_dir, config.part)
    index_file = index_of(manual_dir, config.part)
    if not index_file.is_file():
        _make_index(folder, index_file, manual_dir / KEY)
    index = read_index(index_file)
    paths = _recordings(folder, index_file)
    series = () if (folder / "avi").is_dir() else read_series(index_file)
    labels = _labels(folder, index, config, _key_file(folder, manual_dir))
    known = {video.video_id for video in index}
    if not labels.rows.keys() & known:
        raise DatasetError(
            f"lus_clips {config.part}: none of {len(labels.rows)} labelled videos is "
            "in the index; sheets that hold PatientIDs need its pseudonyms.json"
        )
    items = []
    for video in index:
        name = video.video_id
        row, doubtful = labels.rows.get(name), labels.ignored.get(name)
        reason = labels.dropped.get(name) or reason_against(video, row, doubtful)
        if not reason and not (name in paths and paths[name].is_file()):
            reason = "its recording is not there"
            if any(stem.startswith(f"{name}_r") for stem in paths):
                reason = "several regions of it are there, allowed is one"
        if not reason and name in series:
            reason = SERIES
        if reason or row is None:
            skip(name, reason)
            continue
        times = read_frame_times(index_file, video)
        readers = tuple(rows.get(name) for rows in labels.readers)
        items.append(
            Item(
                str(paths[name]),
                video,
                None if times is None else tuple(times.tolist()),
                row,
                doubtful,
                readers,
            )
        )
    strangers = sorted((labels.rows.keys() | labels.dropped.keys()) - known)
    if strangers:
        # A sheet without pseudonyms would put its own names here.
        labels.notes.append(f"{len(strangers)} labelled videos are not in the index")
    return items, labels.notes


def _check_videos(manual_dir: Path, part: str) -> None:
    """Refuses at once videos that nobody has made of DICOM files.

    Raises:
        DatasetError: names the dataset that takes them.
    """
    parts = (manual_dir / part, manual_dir)
    folder = next((one for one in parts if (one / "labels").is_dir()), manual_dir)
    index, where = folder / "index.csv", folder
    if (folder / "avi").is_dir():
        where = folder / "avi"  # takes the place of DICOM files, wherever these are
    elif index.is_file() and any(row.ok for row in read_index(index)):
        return
    files = [path for path in sorted(where.rglob("*")) if path.is_file()]
    videos = [path for path in files if path.suffix.lower() in VIDEOS]
    made = [p for p in videos if p.with_suffix(f"{p.suffix}.json").is_file()]
    dicom = [p for p in files if folder / "dicom" in p.parents and p not in videos]
    if videos and not made and not dicom:
        raise DatasetError(
            f"lus_clips: {where} has {len(videos)} videos ({videos[0].suffix}) and no "
            "DICOM files; lus_clips takes DICOM files, or AVIs with the .avi.json that "
            "`convert` writes beside them. Videos of other origin and a sheet with a "
            "row each are the dataset `videos`: docs/own_videos.md"
        )


def find_part(manual_dir: Path, part: str) -> Path:
    """The folder with this part's labels.

    Raises:
        DatasetError: there is none.
    """
    for folder in (manual_dir / part, manual_dir):
        if (folder / "labels").is_dir():
            return folder
    raise DatasetError(
        f"lus_clips: no such folder: {manual_dir / part / 'labels'} nor "
        f"{manual_dir / 'labels'}; the set's README shows what goes where"
    )


def index_of(manual_dir: Path, part: str) -> Path:
    """Where this part's index is, or is made."""
    return find_part(manual_dir, part) / "index.csv"


def _make_index(folder: Path, index_file: Path, key_file: Path) -> None:
    """Runs `index` as its user would; what it keeps secret stays in the folder."""
    if not (folder / "dicom").is_dir():
        raise DatasetError(
            f"lus_clips: neither {index_file} nor {folder / 'dicom'} to make it from"
        )
    parser = argparse.ArgumentParser()
    index_command.add_arguments(parser)
    words = [str(folder / "dicom"), "--out", str(index_file)]
    # One key for both parts: a patient of both is the same patient.
    words += ["--key-file", str(key_file)]
    index_command.run(parser.parse_args(words))


def _key_file(folder: Path, manual_dir: Path) -> str | None:
    for path in (folder / KEY, manual_dir / KEY):
        if path.is_file():
            return str(path)
    return None


def _recordings(folder: Path, index_file: Path) -> dict[str, Path]:
    if (folder / "avi").is_dir():
        return {path.stem: path for path in sorted((folder / "avi").glob("*.avi"))}
    if not sources_path(index_file).is_file():
        raise DatasetError(
            f"lus_clips: neither {folder / 'avi'} nor {sources_path(index_file)}, "
            "which says where the DICOM files lie"
        )
    return read_sources(index_file)


def _labels(
    folder: Path, index: list[IndexRow], config: LusClipsConfig, key_file: str | None
) -> Labels:
    sheets = folder / "labels"

    def read(path: Path) -> list[LabelRow]:
        return read_rows(path, index=index, key_file=key_file)

    if config.part == "temporal":
        missing = [n for n in (EXPERT, *READERS) if not _either(sheets / n)]
        if missing:
            raise DatasetError(f"lus_clips: {sheets} lacks {', '.join(missing)}")
        expert, *readers = (
            _by_video(read(_either(sheets / name) or sheets / name))
            for name in (EXPERT, *READERS)
        )
        return Labels(expert, readers=tuple(readers))
    if merged := _either(sheets / MERGED[config.label_version]):
        rows = _by_video(read(merged))
        if config.one_sided == "absent":
            return Labels(rows)
        ignored = _either(sheets / IGNORE)
        if ignored is None:
            raise DatasetError(
                f"lus_clips: one_sided='ignore' needs {sheets / IGNORE}, which `labels "
                "merge --ignore-out` writes"
            )
        return Labels(rows, _by_video(read(ignored)))
    own = {Path(name).stem for name in (*MERGED.values(), IGNORE)}
    annotators = sorted(
        path
        for path in sheets.iterdir()
        if path.suffix.lower() in (".csv", ".xlsx")
        and path.stem not in own
        and not path.name.startswith((".", "~$"))  # what Excel keeps beside a sheet
    )
    if len(annotators) != 2:
        raise DatasetError(
            f"lus_clips: {sheets} has no {MERGED[config.label_version]} and "
            f"{len(annotators)} other sheets, allowed are the two annotators' sheets"
        )
    return _merged(read(annotators[0]), read(annotators[1]), config)


def _either(sheet: Path) -> Path | None:
    """The sheet as csv or as a workbook; None where there is neither.

    Raises:
        DatasetError: both are there.
    """
    found = [p for p in (sheet, sheet.with_suffix(".xlsx")) if p.is_file()]
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise DatasetError(f"lus_clips: {sheet.parent} has {names}, allowed is one")
    return found[0] if found else None


def _merged(
    first: list[LabelRow], second: list[LabelRow], config: LusClipsConfig
) -> Labels:
    """Version 1 or 2 of two annotators' sheets.

    What their common frames cannot tell is left out of version 1, as the original's
    authors did, unless the frames in question are ignored anyway.
    """
    both, ignore = config.label_version == 1, config.one_sided == "ignore"
    merged = merge(
        first,
        second,
        logic="and" if both else "or",
        conflicts="drop" if both and not ignore else "keep",
    )
    dropped = {name: f"in the {side} sheet only" for name, side in merged.unpaired}
    notes = []
    for conflict in merged.conflicts:
        reason = f"annotators in conflict: {conflict.reason}"
        if not merged.kept_conflicts:
            dropped[conflict.video_id] = reason
        else:
            notes.append(f"{conflict.video_id}: {reason}")
    ignored = _by_video(merged.ignored) if ignore else {}
    return Labels(_by_video(merged.rows), ignored, dropped=dropped, notes=notes)


def _by_video(rows: Iterable[LabelRow]) -> Rows:
    return {row.video_id: row for row in rows}
