"""Checks a labelling sheet, or merges the sheets of two annotators.

  labels check sheet.csv --index index.csv
  labels merge a.csv b.csv --logic and --out merged.csv \\
      --ignore-out ignore.csv --report report.md --index index.csv

A sheet is the index with its label columns filled in, as csv or xlsx: frame ranges such
as 5_30 or 5-30, 1-based and inclusive, separated by commas; an empty cell is an absent
finding, ? one that is not annotated in this video. `check --index` also lists rows of
videos that the index lacks, and ends with 1 if there are any.
`merge` writes OUT, a sheet of the same form, and nothing else but the files that
--ignore-out and --report name. With --logic and, frames that one annotator has marked
are negative in OUT; the sheet of --ignore-out holds them, so that `clips --ignore` can
leave them out of training instead.
"""

import argparse
from pathlib import Path

from ultrasound_jax.dicom.index.table import IndexRow, read_index
from ultrasound_jax.labels.disagreement import (
    FORMATS,
    Report,
    compare,
    summary,
)
from ultrasound_jax.labels.indexed_sheet import (
    check_outputs,
    read_rows,
    warn_of_names,
)
from ultrasound_jax.labels.merge import (
    CONFLICTS,
    LOGICS,
    UNPAIRED,
    merge,
    sheet_text,
)
from ultrasound_jax.labels.sheet import LabelRow
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.types import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds `check` and `merge` with their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="action")
    check = actions.add_parser(
        "check", help="list wrong cells and strange rows of a sheet"
    )
    check.add_argument("sheet", help="csv or xlsx")
    merging = actions.add_parser("merge", help="make one sheet of two")
    merging.add_argument("first", help="csv of one annotator")
    merging.add_argument("second", help="csv of the other")
    merging.add_argument(
        "--logic",
        choices=LOGICS,
        required=True,
        help="frames that both have marked, or that at least one has",
    )
    merging.add_argument("--out", required=True, metavar="CSV", help="merged sheet")
    merging.add_argument(
        "--ignore-out",
        metavar="CSV",
        help="with --logic and: a sheet of the frames that only one has marked",
    )
    merging.add_argument(
        "--report", metavar="FILE", help="agreement and conflicts, .md or .json"
    )
    merging.add_argument(
        "--conflicts",
        choices=CONFLICTS,
        default="keep",
        help="videos whose labels differ, or whose ranges have no frame in common: "
        "keep what the logic makes of them (default), drop them as LUV-Net did, or "
        "stop and name them",
    )
    merging.add_argument(
        "--unpaired",
        choices=UNPAIRED,
        default="drop",
        help="videos in one sheet only: drop (default), or keep that one's word",
    )
    for action in (check, merging):
        action.add_argument(
            "--index", metavar="CSV", help="tells the frame count of each video"
        )
        action.add_argument(
            "--key-file",
            metavar="FILE",
            help="the key of `index`, where a sheet names patients by PatientID",
        )


def run(args: argparse.Namespace) -> int:
    """Runs the action; 1 if `check` finds strange rows or scores against the marks."""
    return _check(args) if args.action == "check" else _merge(args)


def _read(path: str, args: argparse.Namespace) -> list[LabelRow]:
    index = read_index(args.index) if args.index else ()
    return read_rows(path, index=index, key_file=args.key_file)


def _check(args: argparse.Namespace) -> int:
    rows = _read(args.sheet, args)
    blank = sum(row.is_blank for row in rows)
    unknown = sum(len(row.unknown) for row in rows)
    conflicts = [row.score_conflict for row in rows if row.score_conflict]
    print(
        f"{args.sheet}: {len(rows)} rows, every cell is readable; {blank} are blank"
        + (f", {unknown} cells say not annotated" if unknown else "")
    )
    for conflict in conflicts:
        print(f"score: {conflict}")
    strange = _compare_with_index(rows, read_index(args.index)) if args.index else 0
    return 1 if conflicts or strange else 0


def _compare_with_index(rows: list[LabelRow], index: list[IndexRow]) -> int:
    """Names rows of videos that the index lacks or skipped; how many they are."""
    known = {video.video_id: video for video in index}
    strange = 0
    for row in rows:
        video = known.get(row.video_id)
        if video is None or not video.ok:
            strange += 1
            why = "lacks it" if video is None else f"skipped it: {video.reason}"
            print(f"row {row.line}: {row.video_id}: the index {why}")
    if strange == len(rows) and rows:
        print("hint: no row names a video of the index; PatientIDs need --key-file")
    named = {row.video_id for row in rows}
    videos = [v for v in index if v.ok and v.data_type in ("", "video")]
    missing = [v.video_id for v in videos if v.video_id not in named]
    if missing:
        more = f" and {len(missing) - 20} more" if len(missing) > 20 else ""
        listed = ", ".join(missing[:20])
        print(f"note: {len(missing)} videos of the index have no row: {listed}{more}")
    return strange


def _merge(args: argparse.Namespace) -> int:
    if args.ignore_out and args.logic == "or":
        raise InputError(
            "--ignore-out goes with --logic and: under or, frames that one annotator "
            "has marked are positive"
        )
    form = FORMATS.get(Path(args.report).suffix.lower()) if args.report else None
    if args.report and form is None:
        raise InputError(f"--report {args.report}: allowed is a name in .md or .json")
    check_outputs(
        (args.out, args.ignore_out, args.report),
        (args.first, args.second, args.index, args.key_file),
    )
    first, second = _read(args.first, args), _read(args.second, args)
    merged = merge(
        first,
        second,
        logic=args.logic,
        conflicts=args.conflicts,
        unpaired=args.unpaired,
    )
    report = compare(merged)
    write_whole(args.out, sheet_text(merged.rows))
    if args.ignore_out:
        write_whole(args.ignore_out, sheet_text(merged.ignored))
    if form is not None:
        write_whole(args.report, form(report))
    _say(report)
    warn_of_names(merged.rows)
    return 0


def _say(report: Report) -> None:
    merged = report.merged
    print(summary(report))
    for conflict in merged.conflicts:
        print(f"conflict: {conflict.video_id}: {conflict.reason}")
    for name, side in merged.unpaired:
        print(f"in the {side} sheet only: {name}")
    for score in report.scores:
        print(f"score: {score}")
