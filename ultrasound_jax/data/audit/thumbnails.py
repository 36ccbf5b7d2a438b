"""Pictures of a dataset as an audit compares them: small, and in fine detail."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, Any

import cv2
import numpy as np
from jaxtyping import Float32, Int, UInt8

from ultrasound_jax.data.source import Source
from ultrasound_jax.media.near_duplicates import (
    CONSTANT,
    SIDE,
    thumbnail,
)

DETAIL_SIDE = 128  # pixels; larger pictures are reduced to it
# Of BUSI's pairs above 0.97, copies all, 89 % agree more than this in their grain; of
# POCUS's pairs of 0.88 to 0.97, other patients on the same machine, less than 1 %.
COPY = 0.25
FRAMES = 16  # of a clip that are compared in detail
# Lung in a CT, for looking at: centre -600, width 1500 HU.
HU_LOW, HU_HIGH = -1350.0, 150.0
_DARK = 8  # grey levels; below it there is nothing but black border
_FINE, _NEAR = 2.0, 4.0  # pixels: what is finer is detail, and where contrast is even


@dataclass(frozen=True, eq=False)
class Samples:
    """One picture of every `step`-th example of each video, and where it is from.

    `empty` counts those left out because nothing is in them.
    """

    thumbnails: Float32[np.ndarray, "n 32 32"]
    example: Int[np.ndarray, " n"]
    step: int
    empty: int


def sample(source: Source, file: IO[bytes], *, most: int, watch: Any = iter) -> Samples:
    """The middle frame of each clip, or each image, as a thumbnail.

    Neighbouring clips lie less than a second apart, so a copy that was cut elsewhere
    still meets a frame near its own. Thumbnails are kept in `file`, not in memory; of
    more than `most` examples every second, third, … of each video is taken. `watch`
    wraps the places that are read, to show progress.
    """
    step = -(-len(source) // most)
    seen: dict[str, int] = {}
    taken = []
    # By video, so that what is compared block by block lies together.
    for place in np.argsort(np.array(source.table.video_id), kind="stable").tolist():
        video = source.table.video_id[place]
        seen[video] = seen.get(video, -1) + 1
        if seen[video] % step == 0:
            taken.append(place)
    thumbnails = np.memmap(file, np.float32, "w+", shape=(len(taken), SIDE, SIDE))
    kept = []
    for place in watch(taken):
        small = thumbnail(middle(source, place))
        if np.ptp(small) >= CONSTANT:
            thumbnails[len(kept)] = small
            kept.append(place)
    return Samples(
        thumbnails=thumbnails[: len(kept)],
        example=np.array(kept, np.int64),
        step=step,
        empty=len(taken) - len(kept),
    )


def middle(source: Source, place: int) -> np.ndarray:
    """An image, or the middle frame of a clip, `h w` or `h w c` as it is stored."""
    pixels = source.records[place][source.pixels]
    return pixels[len(pixels) // 2] if pixels.ndim == 4 else pixels


def grey(picture: np.ndarray) -> UInt8[np.ndarray, "h w"]:
    """A stored picture as grey levels; Hounsfield units through a lung window."""
    if picture.ndim == 3:
        picture = picture[..., 0] if picture.shape[2] == 1 else picture.mean(axis=2)
    if picture.dtype != np.uint8 and picture.dtype.kind == "i":
        unit = (picture - HU_LOW) / (HU_HIGH - HU_LOW)
        return (255 * np.clip(unit, 0, 1)).astype(np.uint8)
    return np.clip(picture, 0, 255).astype(np.uint8)


def detail(source: Source, first: int, second: int) -> float:
    """How far the grain of two examples agrees: the best of all pairs of frames.

    Correlation of what is finer than a few pixels, at even local contrast, without
    black borders and their edges. A copy keeps its grain through contrast, text and
    moderate compression, though not when it is moved or zoomed; another patient on the
    same machine does not have it.
    """
    frames = [_frames(source, place) for place in (first, second)]
    side = min(DETAIL_SIDE, *(min(shown[0].shape) for shown in frames))
    one, other = (_grain(shown, side) for shown in frames)
    return float((one @ other.T).max())


def _frames(source: Source, place: int) -> list[np.ndarray]:
    pixels = source.records[place][source.pixels]
    if pixels.ndim < 4:
        return [grey(pixels)]
    shown = np.unique(np.linspace(0, len(pixels) - 1, FRAMES).round().astype(int))
    return [grey(pixels[frame]) for frame in shown]


def _grain(frames: Iterable[np.ndarray], side: int) -> Float32[np.ndarray, "t d"]:
    squares = (
        cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA)
        for frame in frames
    )
    return np.stack([grain_of(square).ravel() for square in squares])


def grain_of(square: UInt8[np.ndarray, "s s"]) -> Float32[np.ndarray, "s s"]:
    """What is finer than a few pixels, at even contrast and of length one.

    Black borders and their edges are zero, but for the mean that is taken off.
    """
    grey_levels = square.astype(np.float32)
    smooth = cv2.GaussianBlur(grey_levels, (0, 0), _FINE)
    tissue = cv2.erode((smooth > _DARK).astype(np.uint8), np.ones((7, 7), np.uint8))
    fine = grey_levels - smooth
    contrast = np.sqrt(cv2.GaussianBlur(fine * fine, (0, 0), _NEAR)) + 1
    even = fine / contrast * tissue
    even -= even.mean()
    return even / max(float(np.linalg.norm(even)), 1e-6)
