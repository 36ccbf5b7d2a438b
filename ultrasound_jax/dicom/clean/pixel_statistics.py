"""What each pixel of a cine does over time, gathered frame by frame."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int, UInt8

from ultrasound_jax.dicom.clean.odd_frames import select_frames
from ultrasound_jax.dicom.clean.passing_marks import fleeting_marks
from ultrasound_jax.types import InputError

LOOKED_AT = 32  # frames that the fan is found from
HELD_BYTES = 128 << 20  # of frames that are measured together
STRETCH = 4  # frames looked at in a row, whose mean shows what stood still meanwhile
CHANGE = 2  # grey levels between two frames looked at, from which a pixel changes


@dataclass(frozen=True)
class Moments:
    """Statistics over the frames that were looked at, at the cine's own resolution.

    Flat frames, and the few that are unlike the others, are left out (`outliers`).

    mean, spread: of each pixel's grey level over time (spread is the standard
    deviation; 0 everywhere for a single frame). peak: its largest grey level. changes:
    how many times it changed from one frame to the next. fleeting: whether a mark stood
    there in some frames only (`fleeting`). colour: its largest distance from grey (the
    larger of |Cb - 128| and |Cr - 128|); None for grey cines. frames: how many were
    measured. flat, unlike: how many were left out. stretches: means of each `STRETCH`
    frames in a row; none where one would be most of the cine.
    """

    mean: Float32[np.ndarray, "h w"]
    spread: Float32[np.ndarray, "h w"]
    peak: UInt8[np.ndarray, "h w"]
    changes: UInt8[np.ndarray, "h w"]
    fleeting: Bool[np.ndarray, "h w"]
    colour: UInt8[np.ndarray, "h w"] | None
    frames: int
    flat: int = 0
    unlike: int = 0
    stretches: tuple[UInt8[np.ndarray, "h w"], ...] = ()


class MomentsBuilder:
    """Takes frames one by one and holds them; see `most_frames` for how many."""

    def __init__(self) -> None:
        self._greys: list[np.ndarray] = []
        self._colours: list[np.ndarray] = []

    def add(self, frame: UInt8[np.ndarray, "h w *c"]) -> None:
        """Count one frame, grey `h w` or RGB `h w 3`.

        Raises:
            InputError: the frame's size differs from that of the frames before.
        """
        grey = luminance(frame)
        if self._greys and grey.shape != self._greys[0].shape:
            raise InputError(
                f"frames of {self._greys[0].shape} and of {grey.shape} pixels in one "
                "cine, allowed is one size"
            )
        self._greys.append(grey.copy() if grey is frame else grey)
        if frame.ndim == 3:
            self._colours.append(_colour(frame))

    def finish(self) -> Moments:
        """The statistics of the frames added so far.

        Raises:
            InputError: no frame was added.
        """
        if not self._greys:
            raise InputError("the cine has no frames, allowed are 1 and more")
        chosen = select_frames(self._greys)
        greys = [self._greys[index] for index in chosen.alike]
        peak, changes = greys[0], np.zeros_like(greys[0])
        total = np.zeros(peak.shape, np.float32)
        squares = np.zeros(peak.shape, np.float32)
        first = greys[0].astype(np.float32)
        for before, grey in zip([greys[0], *greys], greys, strict=False):
            peak = cv2.max(peak, grey)
            # Differences from the first frame keep float32 sums exact enough.
            change = cv2.subtract(grey, first, dtype=cv2.CV_32F)
            cv2.accumulate(change, total)
            cv2.accumulateSquare(change, squares)
            step = cv2.absdiff(grey, before)
            changes = cv2.add(
                changes, cv2.threshold(step, CHANGE - 1, 1, cv2.THRESH_BINARY)[1]
            )
        change = total / len(greys)
        spread = np.sqrt(np.maximum(squares / len(greys) - change**2, 0))
        colour = None
        if len(self._colours) == len(self._greys):
            colour = np.max([self._colours[index] for index in chosen.alike], axis=0)
        return Moments(
            first + change,
            spread,
            peak,
            changes,
            fleeting_marks(greys),
            colour,
            len(greys),
            chosen.flat,
            chosen.unlike,
            _stretches(greys),
        )


def _stretches(greys: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    if len(greys) < 2 * STRETCH:
        return ()
    means = []
    for start in range(0, len(greys) - STRETCH + 1, STRETCH):
        total = np.zeros(greys[0].shape, np.float32)
        for grey in greys[start : start + STRETCH]:
            cv2.accumulate(grey, total)
        means.append(cv2.convertScaleAbs(total, alpha=1 / STRETCH))
    return tuple(means)


def luminance(frame: UInt8[np.ndarray, "h w *c"]) -> UInt8[np.ndarray, "h w"]:
    """BT.601 grey of an RGB frame; a grey frame comes back as it is."""
    return frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)


def _colour(frame: np.ndarray) -> np.ndarray:
    _, red, blue = cv2.split(cv2.cvtColor(frame, cv2.COLOR_RGB2YCrCb))
    grey = np.full_like(red, 128)
    return cv2.max(cv2.absdiff(red, grey), cv2.absdiff(blue, grey))


def most_frames(rows: int, columns: int) -> int:
    """How many frames of this size may be held: 32, fewer of huge pictures."""
    return int(np.clip(HELD_BYTES // max(2 * rows * columns, 1), 2, LOOKED_AT))


def spread_out(frames: int, count: int) -> Int[np.ndarray, " n"]:
    """Indices of at most `count` frames, evenly spread over a cine, first and last."""
    return np.unique(
        np.linspace(0, max(frames - 1, 0), min(frames, count)).round()
    ).astype(int)
