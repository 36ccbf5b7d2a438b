"""The clips that a labelled cine is cut into."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ultrasound_jax.datasets import frame_account
from ultrasound_jax.datasets.beam.records import Fact, Made, Skipped
from ultrasound_jax.datasets.decoded import Decoded, decoded
from ultrasound_jax.datasets.lus_clips import summary
from ultrasound_jax.datasets.lus_clips.layout import Item
from ultrasound_jax.datasets.lus_clips.options import LusClipsConfig
from ultrasound_jax.labels.clip_table import (
    DEFAULT_RATE,
    Clip,
    cut,
    pattern_frames,
    shown_frames,
    stream_clips,
)
from ultrasound_jax.labels.findings import PATTERNS
from ultrasound_jax.media.cutting import pad_tail
from ultrasound_jax.media.open import kind_of
from ultrasound_jax.runs import json_text
from ultrasound_jax.types import UNKNOWN, InputError

CLEANED = ("grey", "mask_fan", "region")  # settings that a sidecar must agree on
NO_SCALE = 0.0  # pixel_mm of a recording without calibration


def cut_video(config: LusClipsConfig, item: Item) -> Iterator[Made]:
    """The clips of one video, and a fact that the summary counts it by."""
    name, clips, note = item.video.video_id, [], ""
    told: dict[str, Any] = {}
    try:
        with _opened(config, item) as (video, pixel_mm):
            told = frame_account.of_video(video)
            for clip, example in _clips(config, item, video.frames, pixel_mm):
                clips.append(clip)
                yield example["example_id"], example
    except InputError as error:
        # The message is for the metadata, where no file name may stand.
        reason = str(error).removeprefix(f"{item.path}: ")
        reason = reason.replace(item.path, "the file")
        if not clips:
            yield Skipped(name, reason)
            return
        note = f"{reason}; the clips before that are used"
    about = {
        "video_id": name,
        "patient_id": item.video.patient_id,
        "labels": [clip.labels.tolist() for clip in clips],
        "scores": [clip.score for clip in clips],
        "known": {name: getattr(item.video, name) for name in summary.KNOWN},
    }
    told["notes"] += [note] if note else []
    yield Fact("video", about | told)


def _clips(
    config: LusClipsConfig, item: Item, frames: np.ndarray, pixel_mm: float
) -> Iterator[tuple[Clip, dict[str, Any]]]:
    video, settings = item.video, config.cutting
    total = video.frames or 0
    shown = shown_frames(
        total,
        rate=settings.rate,
        source_rate=video.frame_rate,
        times=None if item.times is None else np.array(item.times),
    )
    clips = cut(item.row, shown, settings, ignored=item.ignored, frames=total)
    of_readers = [
        None if row is None or row.is_blank else cut(row, shown, settings, frames=total)
        for row in item.readers
    ]
    by_frame = pattern_frames(item.row, item.ignored, total)[shown]
    rate = settings.rate or video.frame_rate or DEFAULT_RATE
    windows = [(clip.start, clip.end) for clip in clips]
    streamed = stream_clips(frames, shown, windows)
    for place, (clip, pixels) in enumerate(zip(clips, streamed, strict=True)):
        marks = by_frame[clip.start : clip.end]
        if config.tail == "duplicate":
            pixels = pad_tail(pixels, settings.length)
            marks = np.pad(marks, ((0, settings.length - len(marks)), (0, 0)), "edge")
        example = {
            "clip": pixels[..., np.newaxis],
            "labels": clip.labels,
            "pattern_frames": marks,
            "score": clip.score,
            "example_id": clip.clip_id,
            "video_id": video.video_id,
            "patient_id": video.patient_id,
            "study_id": video.study_id,
            "sex": video.sex,
            "transducer": video.transducer,
            "start_frame": clip.start,
            "source_start": clip.source_start,
            "source_end": clip.source_end,
            "frame_rate": rate,
            "pixel_mm": pixel_mm,
        }
        for number, found in enumerate(of_readers, 1):
            unknown = np.full(len(PATTERNS), UNKNOWN, np.int8)
            labels = unknown if found is None else found[place].labels
            example[f"labels_reader{number}"] = labels
        yield clip, example


@contextlib.contextmanager
def _opened(config: LusClipsConfig, item: Item) -> Iterator[tuple[Decoded, float]]:
    """The cleaned recording, and mm a pixel."""
    path = Path(item.path)
    if kind_of(path) == "video":
        scale = _converted(path, config)
        settings = dataclasses.replace(config.cleaning, region=None, mask_fan=False)
        # It was looked at when it was converted, and its sidecar tells what was found.
        with decoded(path, settings, withhold=False) as video:
            yield dataclasses.replace(video, review=()), scale
        return
    with decoded(path, config.cleaning) as video:
        yield video, video.pixel_mm[0] or NO_SCALE


def _converted(path: Path, config: LusClipsConfig) -> float:
    """mm a pixel of what `convert --to avi` has cleaned; its sidecar tells, and how."""
    sidecar = path.with_suffix(".avi.json")
    try:
        about = json_text.parsed(sidecar.read_bytes())
        rows, columns = int(about["rows"]), int(about["columns"])
        pixel_mm = float(about["mm_per_pixel_x"] or NO_SCALE)
        cleaned = {name: about["settings"][name] for name in CLEANED}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError("no readable sidecar of `convert` is beside it") from error
    wanted = dataclasses.asdict(config.cleaning)
    for name, value in cleaned.items():
        if value != wanted[name]:
            raise InputError(
                f"it was converted with {name}={value!r}, allowed is {wanted[name]!r} "
                "as this build's options have it"
            )
    if "source_frame_of_frame" in about:
        raise InputError(
            "it was converted to another frame rate, so that labels do not fit its "
            "frames; allowed is `convert --rate native`"
        )
    return pixel_mm * max(rows, columns) / config.size
