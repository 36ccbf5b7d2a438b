"""The clips that one of the videos is cut into."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ultrasound_jax.datasets import frame_account
from ultrasound_jax.datasets.beam.records import Fact, Made, Skipped
from ultrasound_jax.datasets.decoded import Decoded, decoded
from ultrasound_jax.datasets.videos.contact_sheet import strip
from ultrasound_jax.datasets.videos.options import VideosConfig
from ultrasound_jax.datasets.videos.sheet import Item
from ultrasound_jax.media.cutting import clip_step, clip_windows, pad_tail
from ultrasound_jax.media.geometry import resample_times
from ultrasound_jax.types import InputError

NO_SCALE = 0.0  # pixel_mm of a recording without calibration


def cut_video(config: VideosConfig, item: Item) -> Iterator[Made]:
    """The clips of one video, and a fact that the summary counts it by."""
    name, clips, picture = f"row {item.row}", 0, ""
    try:
        with decoded(item.path, config.cleaning) as video:
            for example in _clips(config, item, video):
                clips += 1
                yield example["example_id"], example
            if item.shown:
                picture = _png(strip(video.frames))
    except InputError as error:
        yield Skipped(name, _reason(error, item, config))
        return
    about = {
        "row": item.row,
        "video_id": item.video_id,
        "patient": item.patient_id,
        "labels": list(item.labels),
        "groups": dict(item.groups),
        "grades": dict(item.grades),
        "clips": clips,
        "picture": picture,
    }
    yield Fact("video", about | frame_account.of_video(video))


def _clips(
    config: VideosConfig, item: Item, video: Decoded
) -> Iterator[dict[str, Any]]:
    shown = _shown(config, video)
    length = config.longest
    step = clip_step(length, config.overlap)
    rate = config.frame_rate or video.frame_rate or 0.0
    windows = clip_windows(len(shown), length, step, contained=config.contained)
    for start, end in windows:
        clip = video.frames[shown[start:end], ..., np.newaxis]
        yield {
            "clip": pad_tail(clip, length) if config.tail == "duplicate" else clip,
            "labels": np.array(item.labels, np.int8),
            "example_id": f"{item.video_id}_{start + 1:05d}_{end:05d}",
            "video_id": item.video_id,
            "patient_id": item.patient_id,
            "start_frame": start,
            "source_start": int(shown[start]) + 1,
            "source_end": int(shown[end - 1]) + 1,
            "frame_rate": rate,
            "pixel_mm": video.pixel_mm[0] or NO_SCALE,
            **dict(item.groups),
            **dict(item.grades),
        }


def _shown(config: VideosConfig, video: Decoded) -> np.ndarray:
    """Which recorded frame each frame of the resampled video shows."""
    count = len(video.frames)
    if count < 2:
        raise InputError("a still: it has one frame")
    if not config.frame_rate:
        return np.arange(count)
    if video.times is None:
        raise InputError(
            "its frames have no usable times, and it states no rate; frame_rate=0 "
            "with clip_frames takes its frames as they are"
        )
    return resample_times(
        video.times, config.frame_rate, frame_seconds=video.frame_seconds
    )


def _reason(error: InputError, item: Item, config: VideosConfig) -> str:
    """Why a video was skipped, without its name: this goes into the metadata."""
    reason = str(error).removeprefix(f"{item.path}: ")
    for name in (item.path, Path(item.path).name):
        reason = reason.replace(name, "the file")
    if config.mask and "a mask" in reason:
        reason += " (mask=False takes every video with what is burned in beside it)"
    return reason


def _png(picture: np.ndarray) -> str:
    return base64.b64encode(cv2.imencode(".png", picture)[1].tobytes()).decode()
