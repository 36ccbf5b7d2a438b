"""Makes the index of a folder of DICOM files: one row a file, without names.

What it writes, and nothing else:
  index.csv           one row a file: pseudonyms, frames, rate, calibrated regions,
                      hash, and empty columns to label in. Files that are skipped stand
                      there too, with the reason.
  index_times/        seconds of every frame, of those videos whose intervals vary
  index.sources.json  PRIVATE: where each video lies; with --series cine, all the files
                      of a series. Stays with you.
  pseudonyms.json     PRIVATE: the key of the pseudonyms. Stays with you; keep it, or
                      later runs give other pseudonyms.

While it runs there is a private .index.csv.journal too; after an interrupt the same
command continues. Run it again whenever files are added: ids stay, and what was
labelled stays. A file may take --max-seconds, and one more for every 10 MB.

example:
  python -m ultrasound_jax.dicom index /data/lung --out study/index.csv
  python -m ultrasound_jax.dicom index /data/lung --out study/index.csv \\
      --patient-from folder        # <date>/<patient>/00001.dcm, PatientID is ANONYMIZED
"""

import argparse
import dataclasses
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

from ultrasound_jax.dicom.commands.options import (
    add_run_arguments,
    limits_of,
)
from ultrasound_jax.dicom.deid.pseudonyms import Pseudonyms
from ultrasound_jax.dicom.index.describe import describe_file
from ultrasound_jax.dicom.index.rows import (
    DUPLICATE,
    REGIONLESS,
    UNREADABLE,
    Assembled,
    assemble,
    category,
    facts_of,
    skipped_facts,
)
from ultrasound_jax.dicom.index.rules import DATES, Rules, rules_as_data
from ultrasound_jax.dicom.index.table import (
    IndexRow,
    read_index,
    sources_path,
    write_index,
    write_sources,
)
from ultrasound_jax.dicom.index.walk import (
    Found,
    walk,
)
from ultrasound_jax.dicom.read.region_kinds import KINDS
from ultrasound_jax.runs.bar import Progress
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.runs.journal import Journal
from ultrasound_jax.runs.limited_worker import (
    Outcome,
    run_safely,
)
from ultrasound_jax.runs.limits import Limits
from ultrasound_jax.types import InputError

_KEEP = {
    "regionless": "keep_regionless",
    "duplicates": "keep_duplicates",
    "damaged": "keep_damaged",
    "captures": "keep_captures",
    "videos": "keep_videos",
}
SERIES = ("stills", "cine")
# To hash a file, read its header and decode a frame. Larger files get more.
_SECONDS, _BYTES_A_SECOND = 5.0, 10e6
_HINTS = {
    REGIONLESS: " (--keep regionless uses them)",
    DUPLICATE: " (--keep duplicates uses them)",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    parser.add_argument("root", type=Path, help="folder of DICOM files, any depth")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="INDEX.csv", help="the index"
    )
    parser.add_argument(
        "--key-file",
        type=Path,
        metavar="FILE",
        help="key of the pseudonyms, made if it is not there "
        "(default: pseudonyms.json beside the index)",
    )
    parser.add_argument(
        "--patient-from",
        default="tag",
        metavar="tag|folder|folder:N",
        help="the patient is PatientID (default), or the folder N above the file",
    )
    parser.add_argument(
        "--dates",
        choices=DATES,
        default="shift",
        help="study dates: shifted by days that are secret and the same for all dates "
        "of a patient (default), or dropped",
    )
    parser.add_argument(
        "--keep",
        choices=_KEEP,
        action="append",
        default=[],
        help="use files without ultrasound regions (often screens that name the "
        "patient), every file of one SOPInstanceUID, files whose first frame is "
        "damaged or whose end is missing, Secondary Captures of ultrasound, or videos "
        "that are no DICOM files (MP4, AVI, GIF, ...; their scale is unknown), instead "
        "of skipping them; may be given several times",
    )
    parser.add_argument(
        "--series",
        choices=SERIES,
        default=SERIES[0],
        help="single-frame files of one SeriesInstanceUID are stills (default), or the "
        "frames of one cine in the order of their InstanceNumber; a series whose order "
        "is not certain, or whose files differ or lie over a second apart, stays "
        "stills",
    )
    parser.add_argument(
        "--join-patients",
        action="store_true",
        help="patients of the same name and birth date are one, under one pseudonym "
        "(default: they are warned of); of all but one the study dates are left out",
    )
    parser.add_argument(
        "--headers-only",
        action="store_true",
        help="do not decode the first frame of each file; faster, but files with "
        "damaged pixels are then found by `convert` only",
    )
    add_run_arguments(parser, seconds=_SECONDS)


def run(args: argparse.Namespace) -> int:
    """Makes or renews the index; returns the exit code."""
    begun, root, out = time.monotonic(), args.root, args.out
    rules = Rules(
        patient_from=Rules.patient_level(args.patient_from),
        dates=args.dates,
        join_patients=args.join_patients,
        join_series=args.series == "cine",
        **{_KEEP[name]: True for name in args.keep},
    )
    if rules.keep_videos and not rules.patient_from:
        raise InputError(
            "--keep videos: a video names no patient; allowed is together with "
            "--patient-from folder or folder:N"
        )
    key_file = args.key_file or out.parent / "pseudonyms.json"
    times_folder = out.parent / f"{out.stem}_times"
    if out.suffix.lower() != ".csv":
        raise InputError(f"{out}: the index is to be a .csv file")
    # What is no index must not be overwritten, hours later.
    if _read_before(out) and not key_file.exists():
        raise InputError(
            f"{key_file}: the key that {out} was made with is gone; a new one would "
            "give every patient and video another name. Put it back, name it with "
            "--key-file, or give another --out"
        )
    own = {out, sources_path(out), key_file, _journal_path(out)}
    found = _without(walk(root), root, own, times_folder)
    if not found:
        raise InputError(f"{root}: there is no file in it")
    pseudonyms = Pseudonyms.open(key_file)
    facts, journal = _gather(args, found, rules, pseudonyms)
    # Only now, as somebody may have labelled in the meantime.
    before = _read_before(out)
    made = assemble(facts, before, rules, pseudonyms, times_folder.name)
    _write(out, root, made, times_folder)
    journal.remove()
    size = sum(entry.size for entry in found)
    print("\n".join(_summary(made, size, time.monotonic() - begun, args)))
    return 0


def _read_before(out: Path) -> list[IndexRow]:
    return read_index(out) if out.exists() else []


def _journal_path(out: Path) -> Path:
    return out.with_name(f".{out.name}.journal")


def _without(
    found: list[Found], root: Path, own: set[Path], times_folder: Path
) -> list[Found]:
    """Leaves out what this verb writes itself, should it lie below the root."""
    base = root.resolve()
    mine = {path.resolve() for path in own}
    times = times_folder.resolve()
    kept = []
    for entry in found:
        path = base / entry.place
        if path not in mine and times not in path.parents:
            kept.append(entry)
    return kept


def _gather(
    args: argparse.Namespace, found: list[Found], rules: Rules, pseudonyms: Pseudonyms
) -> tuple[dict[str, dict[str, Any]], Journal]:
    """The facts of every file, by place; those in the journal are not read again."""
    limits, pixels = limits_of(args), not args.headers_only
    settings = {
        "format": "index 2",
        "rules": rules_as_data(rules),
        "limits": dataclasses.asdict(limits),
        "pixels": pixels,
        "key": pseudonyms.digest("key", "")[:16],
    }
    journal = Journal.open(_journal_path(args.out), settings)
    keys = {e.place: _key(e, pseudonyms) for e in found}
    readable = [e for e in found if not e.problem]
    todo = [e for e in readable if keys[e.place] not in journal.done]
    done = len(found) - len(todo)
    if journal.done:
        print(f"continues: {done} of {len(found)} files were done before")

    def note(outcome: Outcome) -> None:
        place = todo[outcome.index].place
        if outcome.ok:
            fact = facts_of(place, outcome.value, rules, pseudonyms)
        else:
            fact = skipped_facts(outcome.reason)
        journal.record(keys[place], fact)
        progress.advance()

    try:
        with Progress(len(found), "files", done=done) as progress:
            run_safely(
                describe_file,
                (_item(args, entry, limits, rules) for entry in todo),
                limits=limits,
                workers=args.workers,
                on_done=note,
                seconds=lambda item: item["limits"]["seconds"],
            )
    finally:
        journal.close()
    facts = {e.place: skipped_facts(e.problem) for e in found if e.problem}
    return facts | {e.place: journal.done[keys[e.place]] for e in readable}, journal


def _item(
    args: argparse.Namespace, entry: Found, limits: Limits, rules: Rules
) -> dict[str, Any]:
    seconds = limits.seconds + entry.size / _BYTES_A_SECOND
    return {
        "path": str(args.root / entry.place),
        "limits": dataclasses.asdict(limits) | {"seconds": seconds},
        "pixels": not args.headers_only,
        "damaged": "keep" if rules.keep_damaged else "refuse",
        "videos": rules.keep_videos,
    }


def _key(entry: Found, pseudonyms: Pseudonyms) -> str:
    """A file in the journal: changes with its content, and does not tell its name."""
    return pseudonyms.digest("journal", f"{entry.place}\0{entry.size}\0{entry.changed}")


def _write(out: Path, root: Path, made: Assembled, times_folder: Path) -> None:
    """The index comes last: what it names is there already."""
    base = root.resolve()
    write_sources(out, base, made.places, made.not_dicom, series=made.parts)
    for video_id, seconds in made.times.items():
        lines = [f"{n},{second:.6f}\n" for n, second in enumerate(seconds, 1)]
        write_whole(
            times_folder / f"{video_id}.csv", "frame,seconds\n" + "".join(lines)
        )
    write_index(out, made.rows)
    if times_folder.is_dir():
        for path in times_folder.glob("*.csv"):
            if path.stem not in made.times:
                path.unlink()


def _summary(
    made: Assembled, size: int, seconds: float, args: argparse.Namespace
) -> list[str]:
    usable = [row for row in made.rows if row.ok]
    kinds = Counter(row.data_type for row in usable)
    others = "".join(f"{kinds[k]} without 2-D ({k}), " for k in KINDS if kinds[k])
    parts = sum(len(places) - 1 for places in made.parts.values())
    files = len(made.places) + parts + len(made.not_dicom)
    lines = [
        f"{files} files, {size / 1e6:,.1f} MB, in {seconds:.1f} s",
        f"{len(usable):7,} in the index: {kinds['video']} videos and "
        f"{kinds['image']} images, {others}"
        f"{sum(row.frames or 0 for row in usable):,} frames, "
        f"of {len({row.patient_id for row in usable})} patients",
    ]
    if made.parts:
        lines.append(
            f"{len(made.parts):7,} of them are series of single-frame files, "
            f"{parts + len(made.parts)} in all"
        )
    for name, count in _skips(made):
        lines.append(f"{count:7,} skipped: {name}{_HINTS.get(name, '')}")
    lines += [f"warning: {warning}" for warning in made.warnings]
    noted = sum(bool(row.reason) for row in usable)
    if noted:
        lines.append(f"{noted} of the files in the index have a note (column reason)")
    kept = sum(row.labelled for row in made.rows)
    if kept:
        lines.append(f"labels of {kept} rows were kept")
    lines.append(f"written: {args.out}; private: {sources_path(args.out)}, key file")
    return lines


def _skips(made: Assembled) -> list[tuple[str, int]]:
    skipped: Counter[str] = Counter(
        category(row) if category(row) != UNREADABLE else _short(row)
        for row in made.rows
        if not row.ok
    )
    if made.not_dicom:
        skipped["not DICOM (listed in the private file only)"] = len(made.not_dicom)
    return skipped.most_common()


def _short(row: IndexRow) -> str:
    """A reason without its numbers, so that equal reasons are counted together."""
    return re.sub(r"\d+", "#", row.reason)[:100]
