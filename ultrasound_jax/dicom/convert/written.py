"""Cleaned frames on their way into a film, pictures or clips."""

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Int

from ultrasound_jax.dicom.convert.job import Job
from ultrasound_jax.media.cutting import clip_windows, pad_tail
from ultrasound_jax.media.writers import write_avi, write_png
from ultrasound_jax.types import InputError


class Counted:
    """Counts frames on their way to a writer."""

    def __init__(self, frames: Iterable[np.ndarray]):
        self.frames, self.count, self.shape = frames, 0, (0, 0)

    def __iter__(self) -> Iterator[np.ndarray]:
        for frame in self.frames:
            self.count += 1
            self.shape = frame.shape
            yield frame


def in_order(
    frames: Iterable[np.ndarray], order: Int[np.ndarray, " n"]
) -> Iterator[np.ndarray]:
    """Leaves frames out and repeats them; `order` never goes back."""
    repeats = np.bincount(order)
    for frame, count in zip(frames, repeats, strict=False):
        for _ in range(count):
            yield frame


def write_film(job: Job, frames: Iterable[np.ndarray], rate: float) -> list[str]:
    """One film of all frames."""
    name = f"{job.name}.avi"
    write_avi(Path(job.out) / name, frames, rate, codec=job.codec)
    return [name]


def write_pngs(
    job: Job, frames: Iterable[np.ndarray], left_out: Collection[int]
) -> list[str]:
    """A file for each frame but those left out, whose numbers are missing."""
    files = []
    for number, frame in enumerate(frames, 1):
        if number in left_out:
            continue
        files.append(f"{job.name}/{job.name}_{number:05d}.png")
        write_png(Path(job.out) / files[-1], frame)
    if not files:
        raise InputError("no frame decodes, or none may be shown")
    return files


def write_clips(
    job: Job, frames: Iterable[np.ndarray], rate: float, total: int
) -> list[str]:
    """Clips as they fill; at most `length` frames are held."""
    windows = clip_windows(total, job.length, job.step, contained=job.contained)
    held: dict[int, np.ndarray] = {}
    files, seen = [], 0
    for seen, frame in enumerate(frames, 1):
        held[seen - 1] = frame
        while windows and windows[0][1] <= seen:
            files += _write_clip(job, held, *windows.pop(0), rate)
        first = windows[0][0] if windows else seen
        held = {index: held[index] for index in held if index >= first}
    # What is left are clips that the file, against its header, has not enough for.
    for start, _ in windows:
        if start < seen:
            files += _write_clip(job, held, start, seen, rate)
    if seen == 0:
        raise InputError("no frame decodes")
    return files


def _write_clip(
    job: Job, held: dict[int, np.ndarray], start: int, end: int, rate: float
) -> list[str]:
    if end - start < job.length and job.tail == "drop":
        return []
    clip = np.stack([held[index] for index in range(start, end)])
    if job.tail == "pad":
        clip = pad_tail(clip, job.length)
    name = f"{job.name}_{start + 1:05d}_{end:05d}.avi"
    write_avi(Path(job.out) / name, clip, rate, codec=job.codec)
    return [name]
