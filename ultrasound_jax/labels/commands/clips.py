"""Lists the clips of labelled videos, with their labels.

  clips index.csv merged.csv --ignore ignore.csv --out clips.csv

Clips of 30 frames start every 24 at 30 Hz, so that one lasts a second at any frame rate
of the recording; each start before the video's end gives a clip, the last ones with
their true length. A pattern is present in a clip that shows it in at least
--min-overlap frames, -1 (unknown) where frames of --ignore would decide. Writes OUT and
nothing else: clip_id, video_id, patient_id, the true range of the resampled video
(start, end) and of the recording (source_start, source_end), both 1-based and
inclusive, frame_rate, label_<pattern>, score (4 is no finding).
"""

import argparse
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from ultrasound_jax.dicom.index.table import (
    IndexRow,
    read_frame_times,
    read_index,
)
from ultrasound_jax.labels.clip_table import (
    Clip,
    ClipSettings,
    clips_text,
    cut,
    reason_against,
    shown_frames,
)
from ultrasound_jax.labels.findings import PATTERNS
from ultrasound_jax.labels.indexed_sheet import (
    check_outputs,
    read_rows,
)
from ultrasound_jax.labels.sheet import LabelRow
from ultrasound_jax.media.cutting import CONTAINED
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.types import InputError

BLANK = ("skip", "absent")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    defaults = ClipSettings()
    parser.add_argument("index", help="index.csv")
    parser.add_argument("labels", help="labelling sheet, such as `labels merge` writes")
    parser.add_argument("--out", required=True, metavar="CSV", help="table of clips")
    parser.add_argument(
        "--ignore", metavar="CSV", help="sheet of frames that are not to count"
    )
    parser.add_argument(
        "--length", type=int, default=defaults.length, help="frames of a clip (30)"
    )
    parser.add_argument(
        "--overlap",
        type=float,
        default=defaults.overlap,
        help="share of a clip that the next one repeats (0.2)",
    )
    parser.add_argument(
        "--rate",
        type=_rate,
        default=defaults.rate,
        metavar="HZ",
        help="frame rate of clips, or `native` (30)",
    )
    parser.add_argument(
        "--min-overlap",
        type=int,
        default=defaults.min_overlap,
        metavar="FRAMES",
        help="frames that must show a pattern (1)",
    )
    parser.add_argument(
        "--contained",
        choices=CONTAINED,
        default=defaults.contained,
        help="a last clip that lies wholly inside the clip before is joined to it "
        "(default), or kept as the original does",
    )
    parser.add_argument(
        "--blank",
        choices=BLANK,
        default="skip",
        help="videos without any mark or score: skip them as not annotated (default), "
        "or take every pattern as absent",
    )
    parser.add_argument(
        "--key-file",
        metavar="FILE",
        help="the key of `index`, where the sheet names patients by PatientID",
    )


def _rate(text: str) -> float | None:
    if text == "native":
        return None
    try:
        return float(text)
    except ValueError:
        message = f"{text!r} is neither a number nor native"
        raise argparse.ArgumentTypeError(message) from None


@dataclass
class Cuts:
    """What was cut: clips with patient and frame rate, and why others were not."""

    clips: list[tuple[Clip, str, float | None]] = field(default_factory=list)
    videos: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)


def run(args: argparse.Namespace) -> int:
    """Writes the table and prints what it holds."""
    settings = ClipSettings(
        length=args.length,
        overlap=args.overlap,
        rate=args.rate,
        min_overlap=args.min_overlap,
        contained=args.contained,
    )
    check_outputs([args.out], (args.index, args.labels, args.ignore, args.key_file))
    index = read_index(args.index)
    labels = read_rows(args.labels, index=index, key_file=args.key_file)
    ignored = []
    if args.ignore:
        ignored = read_rows(args.ignore, index=index, key_file=args.key_file)
    cuts = cut_all(
        args.index,
        index,
        labels,
        settings,
        ignored={row.video_id: row for row in ignored},
        blank=args.blank,
    )
    write_whole(args.out, clips_text(cuts.clips))
    print(_summary(args.out, cuts))
    return 0


def cut_all(
    index_path: str,
    index: list[IndexRow],
    labels: list[LabelRow],
    settings: ClipSettings,
    *,
    ignored: Mapping[str, LabelRow],
    blank: str,
) -> Cuts:
    """Cuts every labelled video of the index, in the index's order.

    Raises:
        InputError: not a single label belongs to a video of the index, which is a
            mistake in the names.
    """
    rows = {row.video_id: row for row in labels}
    known = {row.video_id for row in index}
    if not rows.keys() & known:
        raise InputError(
            f"none of the sheet's {len(rows)} rows names a video of the index; if it "
            "has PatientIDs, give --key-file"
        )
    cuts = Cuts()
    for name in rows.keys() - known:
        cuts.skipped.append((name, "the index has no such video"))
    cuts.skipped.sort()
    for video in index:
        row = rows.get(video.video_id)
        doubtful = ignored.get(video.video_id)
        reason = reason_against(video, row, doubtful, blank=blank)
        if reason or row is None:
            cuts.skipped.append((video.video_id, reason))
            continue
        shown = shown_frames(
            video.frames or 0,
            rate=settings.rate,
            source_rate=video.frame_rate,
            times=read_frame_times(index_path, video),
        )
        rate = settings.rate or video.frame_rate
        clips = cut(row, shown, settings, ignored=doubtful, frames=video.frames or 0)
        cuts.clips += [(clip, video.patient_id, rate) for clip in clips]
        cuts.videos += 1
    return cuts


def _summary(out: str, cuts: Cuts) -> str:
    patients = {patient for _, patient, _ in cuts.clips}
    lines = [
        f"{out}: {len(cuts.clips)} clips of {cuts.videos} videos of {len(patients)} "
        f"patients; {len(cuts.skipped)} files give none"
    ]
    for column, pattern in enumerate(PATTERNS):
        counts = Counter(int(clip.labels[column]) for clip, _, _ in cuts.clips)
        lines.append(
            f"  {pattern:<18}{counts[1]:>7} present{counts[0]:>7} absent"
            f"{counts[-1]:>7} unknown"
        )
    scores = Counter(clip.score for clip, _, _ in cuts.clips)
    listed = ", ".join(f"{score}: {scores[score]}" for score in sorted(scores))
    lines.append(f"  scores {listed or 'none'}")
    by_reason: dict[str, list[str]] = {}
    for name, reason in cuts.skipped:
        by_reason.setdefault(reason, []).append(name)
    for reason, names in by_reason.items():
        lines.append(f"  without clips, {len(names)}: {reason}: {', '.join(names)}")
    return "\n".join(lines)
