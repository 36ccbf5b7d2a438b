"""index.csv -> de-identified AVI, PNG or clips.

Every file of the index is decoded, cropped to its ultrasound region, blackened outside
the fan, made grey, letterboxed and written under its pseudonymous name:

  avi    OUT/<video_id>.avi
  png    OUT/<video_id>/<video_id>_<frame>.png       frames count from 1
  clips  OUT/<video_id>_<first>_<last>.avi           1-based, inclusive, true frames

Where --region asks for several regions of a video, <video_id>_r<region> takes the place
of <video_id> in these names.

Beside them: OUT/<video_id>.<avi|png|clips>.json (what is known of the pixels; nothing
that is not on the list in dicom/sidecar.py) and OUT/convert_<avi|png|clips>.csv (what
became of every video, with reasons). Nothing else is written. The same command
continues an interrupted run and leaves alone what is complete.

Every frame is looked at before it is written. One that does not belong to its cine (a
screen, a report, a name flashed over the echoes) is black, or has no PNG; the JSON
lists it, the table counts it, and the video is listed for review.

Marks inside the fan (calipers, labels) cannot be masked: videos where some are
suspected are listed for review. No finding does not prove that there are none.

Example:
  python -m ultrasound_jax.dicom convert index.csv --to clips --out clips
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ultrasound_jax.dicom.clean.cleaning import (
    GREYS,
    CleanSettings,
)
from ultrasound_jax.dicom.commands.options import (
    add_run_arguments,
    limits_of,
    positive,
)
from ultrasound_jax.dicom.convert import sidecar
from ultrasound_jax.dicom.convert.choice import (
    Cut,
    asked_regions,
    cuts_of,
    reason_to_skip,
    region_word,
)
from ultrasound_jax.dicom.convert.cine import (
    DEFAULT_RATE,
    TAILS,
    TARGETS,
    Job,
    convert_one,
    outputs_of,
    summary,
)
from ultrasound_jax.dicom.convert.outcome import (
    leftovers,
    lines_of,
    report,
    write_table,
)
from ultrasound_jax.dicom.index.table import (
    IndexRow,
    read_index,
    read_series,
    read_sources,
)
from ultrasound_jax.dicom.read.region_kinds import KINDS
from ultrasound_jax.media.cutting import CONTAINED, clip_step
from ultrasound_jax.media.writers import CODECS
from ultrasound_jax.runs.bar import Progress
from ultrasound_jax.runs.limited_worker import (
    Outcome,
    run_safely,
)
from ultrasound_jax.types import InputError

DAMAGED = "damaged"
# None of these changes what comes out.
_WHERE = ("source", "out", "series", "suffix", "limits")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.add_argument(
        "index", type=Path, help="index.csv; its sources file beside it"
    )
    parser.add_argument("--to", choices=TARGETS, required=True, help="what to write")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument(
        "--size",
        type=_size,
        default=256,
        metavar="N",
        help="letterbox to N x N pixels, 0 keeps the region's own (default: 256)",
    )
    parser.add_argument(
        "--grey",
        choices=GREYS,
        default=GREYS[0],
        help="luminance (default), the red channel, or none to keep colour",
    )
    parser.add_argument(
        "--region",
        type=region_word,
        action="append",
        default=[],
        metavar="N|auto|all",
        help="ultrasound region to cut out, from 0 (default: auto, the largest 2-D "
        "tissue region with a scale); all takes both halves of a dual screen, into "
        "<video_id>_r<N>..., as numbers do that are given several times",
    )
    parser.add_argument(
        "--keep",
        choices=(DAMAGED, *KINDS),
        action="append",
        default=[],
        help=f"convert these too; may be given several times. {DAMAGED}: files with "
        "damaged frames, or without their end: what decodes is written, damaged frames "
        "are black and listed. The others have no 2-D region: what there is is cut "
        "out, and text in it stays",
    )
    parser.add_argument(
        "--rate",
        type=_rate,
        default=argparse.SUPPRESS,
        metavar="HZ|native",
        help="resample to HZ; native keeps the frames (default: 30 for clips, else "
        "native)",
    )
    parser.add_argument(
        "--codec",
        choices=CODECS,
        default=CODECS[0],
        help="of AVI: ffv1 is lossless (default), mjpeg is not",
    )
    parser.add_argument(
        "--remove-others",
        action="store_true",
        help="remove from OUT what earlier runs made of videos that are not, or no "
        "longer, usable in the index (default: they are listed)",
    )
    clips = parser.add_argument_group("clips")
    clips.add_argument(
        "--length", type=positive, default=30, help="frames (default 30)"
    )
    clips.add_argument(
        "--overlap",
        type=float,
        default=0.2,
        help="share of a clip that the next repeats (default 0.2: every 24 frames)",
    )
    clips.add_argument(
        "--tail",
        choices=TAILS,
        default=TAILS[0],
        help="the last, shorter clips: true length (default), padded with their last "
        "frame, or dropped",
    )
    clips.add_argument(
        "--contained",
        choices=CONTAINED,
        default=CONTAINED[0],
        help="a last clip that lies wholly inside the clip before is joined to it "
        "(default), or kept as the original does",
    )
    unmasked = parser.add_argument_group("without a mask")
    unmasked.add_argument(
        "--no-mask", action="store_true", help="do not blacken outside the fan"
    )
    unmasked.add_argument(
        "--keep-burned-in",
        action="store_true",
        help="confirms that text burned into the pixels may stay; --no-mask needs it",
    )
    add_run_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Converts; returns 1 if there was something to convert and nothing came out."""
    if args.no_mask != args.keep_burned_in:
        raise InputError(
            "--no-mask leaves names that are burned into the pixels: it is allowed "
            "together with --keep-burned-in only"
        )
    asked = asked_regions(args.region)
    rows = read_index(args.index)
    sources, series = read_sources(args.index), read_series(args.index)
    reasons = {row.video_id: reason_to_skip(row, args.keep) for row in rows}
    ready = [row for row in rows if not reasons[row.video_id]]
    missing = [row.video_id for row in ready if row.video_id not in sources]
    if missing:
        raise InputError(
            f"{args.index}: {len(missing)} videos ({missing[0]}, …) are not in its "
            "sources file; allowed are the two files of one `index` run"
        )
    _make_folder(args.out)
    jobs = [
        replace(
            _job(row, cut, str(sources[row.video_id]), args),
            series=tuple(map(str, series.get(row.video_id, ()))),
        )
        for row in ready
        for cut in cuts_of(row, asked)
    ]
    results = _finished(jobs)
    done, todo = len(results), [job for job in jobs if job.name not in results]
    _convert_all(todo, results, args, len(jobs))
    names = [(job.video_id, job.name) for job in jobs]
    table = lines_of(reasons, names, results)
    write_table(args.out / f"convert_{args.to}.csv", table)
    print("\n".join(report(table, done)))
    others = leftovers(args.out, args.to, {job.name for job in jobs})
    if others and args.remove_others:
        _remove(others, args)
    elif others:
        print(
            f"in {args.out} from earlier runs, not or no longer usable in this index: "
            f"{len(others)} videos ({', '.join(others)}); --remove-others removes them"
        )
    converted = any(row["status"] == "ok" for row in table)
    return 0 if converted or not jobs else 1


def _convert_all(
    jobs: Sequence[Job],
    results: dict[str, dict[str, Any]],
    args: argparse.Namespace,
    total: int,
) -> None:
    with Progress(total, "videos", done=total - len(jobs)) as progress:

        def on_done(outcome: Outcome) -> None:
            job = jobs[outcome.index]
            if outcome.ok:
                results[job.name] = {"status": "ok"} | outcome.value
            else:
                for path in job.outputs():  # a stopped worker cleans up no longer
                    path.unlink()
                row = {"video_id": job.video_id, "status": outcome.kind}
                results[job.name] = row | {"reason": outcome.reason}
            progress.advance()

        run_safely(
            convert_one,
            [job.to_json() for job in jobs],
            limits=limits_of(args),
            workers=args.workers,
            on_done=on_done,
        )


def _remove(others: Sequence[str], args: argparse.Namespace) -> None:
    for name in others:
        for path in outputs_of(args.out, name, args.to):
            path.unlink()
        folder = args.out / name
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    print(f"removed from {args.out}: {len(others)} videos ({', '.join(others)})")


def _job(row: IndexRow, cut: Cut, source: str, args: argparse.Namespace) -> Job:
    rate = getattr(args, "rate", DEFAULT_RATE if args.to == "clips" else None)
    job = Job(
        video_id=row.video_id,
        source=source,
        out=str(args.out),
        to=args.to,
        suffix=cut.suffix,
        clean=CleanSettings(cut.region, args.size, args.grey, not args.no_mask),
        rate=rate,
        codec=args.codec,
        length=args.length,
        step=clip_step(args.length, args.overlap),
        tail=args.tail,
        contained=args.contained,
        damaged="keep" if DAMAGED in args.keep else "refuse",
        limits=limits_of(args),
        about=sidecar.about(row),
    )
    tree = {k: v for k, v in job.to_json().items() if k not in _WHERE}
    return replace(job, fingerprint=sidecar.fingerprint(tree, row.sha256))


def _finished(jobs: Sequence[Job]) -> dict[str, dict[str, Any]]:
    """What an earlier run has completed with the same settings, by the job's name."""
    found = {}
    for job in jobs:
        fields = sidecar.read_sidecar(job.sidecar_path)
        if not fields or fields.get("fingerprint") != job.fingerprint:
            continue
        if all((Path(job.out) / name).is_file() for name in fields["files"]):
            found[job.name] = {"status": "ok"} | summary(fields)
    return found


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{path}: not a folder to write to: {error.strerror}"
        ) from None


def _size(text: str) -> int:
    return 0 if text == "0" else positive(text)


def _rate(text: str) -> float | None:
    if text == "native":
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= 1000:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither native nor a rate above 0 and to 1000 Hz"
        )
    return rate
