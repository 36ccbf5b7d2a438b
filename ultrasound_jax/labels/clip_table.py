"""Clips and their labels, from annotated videos (LUV-Net; specification, 1.2 and 1.5).

Labels are written in frames of the recording, clips are cut after resampling in time:
a clip's label asks which recorded frames the clip shows.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Int8

from ultrasound_jax.dicom.index.table import IndexRow
from ultrasound_jax.labels.findings import (
    FINDINGS,
    NOTHING,
    PARTS,
    PATTERNS,
    SCORES,
)
from ultrasound_jax.labels.sheet import LabelRow
from ultrasound_jax.media.cutting import (
    CONTAINED,
    clip_step,
    clip_windows,
)
from ultrasound_jax.media.geometry import resample_times
from ultrasound_jax.runs.spreadsheet import people_csv
from ultrasound_jax.types import UNKNOWN, InputError

DEFAULT_RATE = 30.0  # Hz, of videos that tell none, as the original has it
COLUMNS = (
    *("clip_id", "video_id", "patient_id", "start", "end"),
    *("source_start", "source_end", "frame_rate"),
    *(f"label_{pattern}" for pattern in PATTERNS),
    "score",
)


@dataclass(frozen=True, kw_only=True)
class ClipSettings:
    """How videos are cut and when a finding counts.

    length: frames. overlap: share that the next clip repeats. rate: Hz after resampling
    in time; None keeps the recorded frames. min_overlap: frames of a clip that must
    show a finding; a shorter clip must show it in all of its frames. contained: see
    `cutting.clip_windows`.

    Raises:
        InputError: a value that is not allowed.
    """

    length: int = 30
    overlap: float = 0.2
    rate: float | None = 30.0
    min_overlap: int = 1
    contained: str = "join"

    def __post_init__(self) -> None:
        clip_step(self.length, self.overlap)
        if self.rate is not None and not 0 < self.rate <= 1000:
            raise InputError(
                f"clip rate is {self.rate} Hz, allowed are 0 < rate <= 1000"
            )
        if not 1 <= self.min_overlap <= self.length:
            raise InputError(
                f"minimum overlap is {self.min_overlap} frames, allowed are 1 to the "
                f"clip length of {self.length}"
            )
        if self.contained not in CONTAINED:
            raise InputError(
                f"contained clips {self.contained!r}, allowed are "
                f"{', '.join(CONTAINED)}"
            )

    def windows(self, frames: int) -> list[tuple[int, int]]:
        """The clips of a video of so many frames, as `clip_windows`."""
        return clip_windows(frames, self.length, self.step, contained=self.contained)

    @property
    def step(self) -> int:
        """Frames from one clip's start to the next one's."""
        return clip_step(self.length, self.overlap)


@dataclass(frozen=True)
class Clip:
    """One clip of a video.

    start, end: of the resampled video, 0-based and half-open; `shown[start:end]` are
    the recorded frames. labels: int8 `4` in the order of `PATTERNS`. score: 0 to 4, or
    -1 where only one annotator's word would decide it. clip_id carries the true range,
    1-based and inclusive, as the original's file names do.
    """

    video_id: str
    start: int
    end: int
    source_start: int
    source_end: int
    labels: Int8[np.ndarray, " 4"]
    score: int

    @property
    def clip_id(self) -> str:
        """`<video_id>_<first frame>_<last frame>`."""
        return f"{self.video_id}_{self.start + 1:05d}_{self.end:05d}"


def shown_frames(
    frames: int,
    *,
    rate: float | None,
    source_rate: float | None = None,
    times: Float[np.ndarray, " n"] | None = None,
) -> Int[np.ndarray, " t"]:
    """Which recorded frame (from 0) each frame of the resampled video shows.

    Args:
        frames: of the recording.
        rate: Hz to resample to; None keeps every frame once.
        source_rate: of the recording; `DEFAULT_RATE` where nobody knows.
        times: seconds of the frames where their intervals vary.

    Raises:
        InputError: fewer times than frames, or times that do not increase.
    """
    if rate is None or frames < 2:
        return np.arange(max(0, frames))
    steady = source_rate or DEFAULT_RATE
    if times is None:
        stamps = np.arange(frames) / steady
    elif len(times) < frames:
        raise InputError(f"{len(times)} frame times for a video of {frames} frames")
    else:
        stamps = np.asarray(times[:frames], np.float64)
    return resample_times(stamps, rate)


def reason_against(
    video: IndexRow,
    row: LabelRow | None,
    doubtful: LabelRow | None = None,
    *,
    blank: str = "skip",
) -> str:
    """Why a file of the index gives no clips, or "".

    Args:
        video: the file.
        row: its labels, None if the sheet has none.
        doubtful: its row in the sheet of frames to be ignored.
        blank: `absent` takes a row without any mark or score as "nothing is there";
            `skip` as "nobody has looked".
    """
    if not video.ok:
        return video.reason or "skipped by the index"
    if video.data_type == "image":
        return "a still image"
    if video.data_type != "video":
        return f"{video.data_type or 'unknown'}: not a 2-D video"
    if row is None:
        return "no row in the labelling sheet"
    unmarked = row.is_blank and (doubtful is None or doubtful.is_blank)
    if unmarked and row.other.get("conflict"):
        # Not in the cell's own words, which anybody may have written.
        return "annotators in conflict, and nothing that both have marked"
    if unmarked and blank == "skip":
        return "not annotated: neither a mark nor a score"
    return ""


def finding_masks(
    row: LabelRow, frames: int
) -> dict[str, Bool[np.ndarray, " {frames}"]]:
    """Whether each recorded frame is marked, for each finding of a sheet's row."""
    masks = {}
    for finding in FINDINGS:
        mask = np.zeros(frames, bool)
        for start, end in row.ranges.get(finding, ()):
            mask[start - 1 : end] = True
        masks[finding] = mask
    return masks


def doubtful_masks(
    row: LabelRow, ignored: LabelRow | None, frames: int
) -> dict[str, Bool[np.ndarray, " {frames}"]]:
    """Whether nobody can say of a frame what it shows, for each finding.

    All frames of a finding that is not annotated, and those to be ignored.
    """
    none = LabelRow(row.video_id, row.line, {})
    masks = finding_masks(none if ignored is None else ignored, frames)
    for finding in row.unknown:
        masks[finding][:] = True
    return masks


def pattern_frames(
    row: LabelRow, ignored: LabelRow | None, frames: int
) -> Int8[np.ndarray, "{frames} 4"]:
    """Labels of each recorded frame: 1 marked, -1 nobody can say, 0 neither."""
    marked = finding_masks(row, frames)
    doubtful = doubtful_masks(row, ignored, frames)
    labels = np.zeros((frames, len(PATTERNS)), np.int8)
    for column, parts in enumerate(PARTS.values()):
        labels[np.any([doubtful[part] for part in parts], axis=0), column] = UNKNOWN
        labels[np.any([marked[part] for part in parts], axis=0), column] = 1
    return labels


def cut(
    row: LabelRow,
    shown: Int[np.ndarray, " t"],
    settings: ClipSettings,
    *,
    ignored: LabelRow | None = None,
    frames: int,
) -> list[Clip]:
    """Every clip of a video, tails with their true length (`ClipSettings.windows`).

    A pattern is present if at least `min_overlap` of the clip's frames show it, unknown
    if they do only together with frames to be ignored or if the sheet says that it is
    not annotated, absent otherwise.

    Args:
        row: the video's labels.
        shown: as `shown_frames` gives it.
        settings: how to cut.
        ignored: the row of frames that only one annotator has marked.
        frames: of the recording.
    """
    by_frame = pattern_frames(row, ignored, frames)[shown]
    marked = {name: mask[shown] for name, mask in finding_masks(row, frames).items()}
    masks = doubtful_masks(row, ignored, frames)
    doubtful = {name: mask[shown] for name, mask in masks.items() if mask.any()}
    clips = []
    for start, end in settings.windows(len(shown)):
        needed = min(settings.min_overlap, end - start)
        window = by_frame[start:end]
        labels = np.zeros(len(PATTERNS), np.int8)
        labels[np.sum(window != 0, axis=0) >= needed] = UNKNOWN
        labels[np.sum(window == 1, axis=0) >= needed] = 1
        span = slice(start, end)
        clips.append(
            Clip(
                row.video_id,
                start,
                end,
                int(shown[start]) + 1,
                int(shown[end - 1]) + 1,
                labels,
                _score(marked, doubtful, span, needed),
            )
        )
    return clips


def _score(
    marked: Mapping[str, np.ndarray],
    doubtful: Mapping[str, np.ndarray],
    span: slice,
    needed: int,
) -> int:
    """The largest score of what a clip shows; -1 if a doubtful one would beat it."""
    present = [SCORES[n] for n in FINDINGS if marked[n][span].sum() >= needed]
    maybe = [
        SCORES[name]
        for name, mask in doubtful.items()
        if (mask | marked[name])[span].sum() >= needed
    ]
    certain = max(present, default=UNKNOWN)
    if max(maybe, default=UNKNOWN) > certain:
        return UNKNOWN
    return certain if present else NOTHING


def stream_clips(
    frames: Iterable[np.ndarray],
    shown: Int[np.ndarray, " t"],
    windows: Sequence[tuple[int, int]],
) -> Iterator[np.ndarray]:
    """The frames of each window as they come; about one clip of them is in memory.

    Args:
        frames: the recorded frames, from the first.
        shown: as `shown_frames` gives it; never goes back.
        windows: half-open ranges of the resampled video, in order of start and end.

    Raises:
        InputError: the recording has fewer frames than the windows need.
    """
    repeats = np.bincount(shown)
    held: dict[int, np.ndarray] = {}
    waiting, seen = deque(windows), 0
    for frame, count in zip(frames, repeats, strict=False):
        for _ in range(count):
            held[seen] = frame
            seen += 1
        while waiting and waiting[0][1] <= seen:
            yield np.stack([held[place] for place in range(*waiting.popleft())])
        first = waiting[0][0] if waiting else seen
        held = {place: held[place] for place in held if place >= first}
    if waiting:
        recorded = shown[seen - 1] + 1 if seen else 0
        raise InputError(f"only {recorded} of {len(repeats)} frames decode")


def clips_text(clips: Iterable[tuple[Clip, str, float | None]]) -> str:
    """The table of clips as csv, from clips with their patient and frame rate."""
    rows: list[list[Any]] = [list(COLUMNS)]
    for clip, patient_id, rate in clips:
        rows.append(
            [clip.clip_id, clip.video_id, patient_id, clip.start + 1, clip.end]
            + [clip.source_start, clip.source_end, "" if rate is None else f"{rate:g}"]
            + clip.labels.tolist()
            + [clip.score]
        )
    return people_csv(rows)
