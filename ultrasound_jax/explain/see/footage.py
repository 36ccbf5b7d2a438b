"""The clips of one video, as a trained network saw them, without their padding."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int8, UInt8

from ultrasound_jax.data.examples import some
from ultrasound_jax.experiment import Experiment
from ultrasound_jax.explain.errors import ExplainError


@dataclass(frozen=True, eq=False)
class Clip:
    """One clip: `start` is the place of its first frame in the video, from 0.

    labels: 1 present, 0 absent, -1 not annotated. marks: the same for each frame, None
    where the dataset knows only whole clips.
    """

    example_id: str
    start: int
    frames: UInt8[np.ndarray, "t h w"] = field(repr=False)
    labels: Int8[np.ndarray, " k"]
    marks: Int8[np.ndarray, "t k"] | None = field(repr=False)

    @property
    def stop(self) -> int:
        """The place behind its last frame."""
        return self.start + len(self.frames)


@dataclass(frozen=True, eq=False)
class Footage:
    """A video's clips in the order of time.

    split: of the run, `train`, `validation` or `test`: what a network was trained on it
    may know by heart. frame_rate: Hz.
    """

    video_id: str
    split: str
    classes: tuple[str, ...]
    frame_rate: float
    clips: tuple[Clip, ...]

    @property
    def length(self) -> int:
        """Frames from the first to the last of any clip."""
        return max(clip.stop for clip in self.clips)


def read_footage(experiment: Experiment, video_id: str) -> Footage:
    """Reads all clips of a video.

    Raises:
        ExplainError: the dataset has no such video.
    """
    table = experiment.source.table
    places = [i for i, video in enumerate(table.video_id) if video == video_id]
    if not places:
        held_out = experiment.indices["test"]
        known = [table.video_id[i] for i in held_out] or table.video_id
        raise ExplainError(
            f"--video {video_id!r}: {experiment.source.name} has no such video; of the "
            f"test split are {some(known)}"
        )
    records = experiment.source.records.__getitems__(places)
    clips = [_clip(record) for record in records]
    clips.sort(key=lambda clip: (clip.start, clip.example_id))
    if _pads_with_copies(experiment):
        clips[-1] = _without_copies(clips[-1])
    return Footage(
        video_id=video_id,
        split=_split_of(experiment, places[0]),
        classes=experiment.source.classes,
        frame_rate=float(records[0]["frame_rate"]),
        clips=tuple(clips),
    )


def _clip(record: dict) -> Clip:
    marks = record.get("pattern_frames")
    return Clip(
        example_id=_text(record["example_id"]),
        start=int(record["start_frame"]),
        frames=np.asarray(record["clip"])[..., 0],
        labels=np.asarray(record["labels"], np.int8),
        marks=None if marks is None else np.asarray(marks, np.int8),
    )


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _pads_with_copies(experiment: Experiment) -> bool:
    options = experiment.config.data.options
    return "tail" in options and options["tail"] == "duplicate"


def _without_copies(clip: Clip) -> Clip:
    """Drops the copies of the last frame that fill up a video's last clip."""
    frames = clip.frames
    real = len(frames)
    while real > 1 and np.array_equal(frames[real - 1], frames[real - 2]):
        real -= 1
    marks = None if clip.marks is None else clip.marks[:real]
    return Clip(clip.example_id, clip.start, frames[:real], clip.labels, marks)


def _split_of(experiment: Experiment, place: int) -> str:
    for name, places in experiment.indices.items():
        if place in places:
            return name
    return "none"


def stitch(
    parts: Sequence[Float[np.ndarray, "*rest _"]], starts: Sequence[int], length: int
) -> Float[np.ndarray, "*rest length"]:
    """Puts clips' values on their video's time axis; where clips overlap, the mean.

    NaN where no clip is.
    """
    total = np.zeros((*parts[0].shape[:-1], length))
    count = np.zeros(length)
    for part, start in zip(parts, starts, strict=True):
        total[..., start : start + part.shape[-1]] += part
        count[start : start + part.shape[-1]] += 1
    with np.errstate(invalid="ignore"):
        return total / count
