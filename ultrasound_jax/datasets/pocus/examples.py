"""The clips that a POCUS video is cut into."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ultrasound_jax.datasets import frame_account
from ultrasound_jax.datasets.beam.records import Fact, Made, Skipped
from ultrasound_jax.datasets.decoded import Decoded, decoded
from ultrasound_jax.datasets.pocus.options import PocusConfig
from ultrasound_jax.datasets.pocus.sheet import Recording
from ultrasound_jax.media.cutting import (
    clip_step,
    clip_windows,
    pad_tail,
)
from ultrasound_jax.media.geometry import resample_times
from ultrasound_jax.types import InputError


@dataclass(frozen=True)
class Item:
    """One video to be cut, and the group that it belongs to."""

    recording: Recording
    patient: str


def cut_video(config: PocusConfig, item: Item) -> Iterator[Made]:
    """The clips of one video, and a fact that the summary counts it by."""
    recording, clips = item.recording, 0
    try:
        with decoded(recording.path, config.cleaning) as video:
            for example in _clips(config, item, video):
                clips += 1
                yield example["example_id"], example
    except InputError as error:
        reason = str(error).removeprefix(f"{recording.path}: ")
        yield Skipped(recording.name, reason)
        return
    about = {
        "name": recording.name,
        "video_id": recording.video_id,
        "patient": item.patient,
        "labels": list(recording.labels),
        "clips": clips,
    }
    yield Fact("video", about | frame_account.of_video(video))


def _clips(config: PocusConfig, item: Item, video: Decoded) -> Iterator[dict[str, Any]]:
    recording = item.recording
    if video.times is None:
        raise InputError("its frames have no usable times, and it states no rate")
    shown = resample_times(
        video.times, config.frame_rate, frame_seconds=video.frame_seconds
    )
    length = config.clip_frames
    step = clip_step(length, config.overlap)
    for start, end in clip_windows(len(shown), length, step):
        clip = video.frames[shown[start:end], ..., np.newaxis]
        yield {
            "clip": pad_tail(clip, length) if config.tail == "duplicate" else clip,
            "labels": np.array(recording.labels, np.int8),
            "example_id": f"{recording.video_id}_{start:04d}",
            "video_id": recording.video_id,
            "patient_id": item.patient,
            "start_frame": start,
            "frame_rate": config.frame_rate,
            "diagnosis": recording.diagnosis,
            "severity": recording.severity,
            "probe": recording.probe,
            "licence": recording.licence,
        }
