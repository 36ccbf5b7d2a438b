"""What each pixel of a cine does over time, gathered frame by frame."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, Int, UInt8

from ultrasound_jax.dicom.errors import CineError


@dataclass(frozen=True)
class Moments:
    """Statistics over the frames that were looked at, at the cine's own resolution.

    mean, spread: of each pixel's grey level over time (spread is the standard
    deviation; 0 everywhere for a single frame). peak: its largest grey level. colour:
    its largest distance from grey (the larger of |Cb - 128| and |Cr - 128|); None for
    grey cines. frames: how many were looked at.
    """

    mean: Float32[np.ndarray, "h w"]
    spread: Float32[np.ndarray, "h w"]
    peak: UInt8[np.ndarray, "h w"]
    colour: UInt8[np.ndarray, "h w"] | None
    frames: int


class MomentsBuilder:
    """Adds frames one by one; what it holds does not grow with their number."""

    def __init__(self) -> None:
        self._frames = 0
        self._peak: np.ndarray | None = None
        self._colour: np.ndarray | None = None

    def add(self, frame: UInt8[np.ndarray, "h w *c"]) -> None:
        """Count one frame, grey `h w` or RGB `h w 3`.

        Raises:
            CineError: the frame's size differs from that of the frames before.
        """
        grey = luminance(frame)
        if self._peak is None:
            self._peak = grey.copy()
            self._first = grey.astype(np.float32)
            self._sum = np.zeros(grey.shape, np.float32)
            self._squares = np.zeros(grey.shape, np.float32)
        if grey.shape != self._peak.shape:
            raise CineError(
                f"frames of {self._peak.shape} and of {grey.shape} pixels in one cine, "
                "allowed is one size"
            )
        np.maximum(self._peak, grey, out=self._peak)
        # Differences from the first frame keep float32 sums exact enough.
        change = grey.astype(np.float32) - self._first
        self._sum += change
        self._squares += change * change
        if frame.ndim == 3:
            colour = _colour(frame)
            if self._colour is None:
                self._colour = colour
            np.maximum(self._colour, colour, out=self._colour)
        self._frames += 1

    def finish(self) -> Moments:
        """The statistics of the frames added so far.

        Raises:
            CineError: no frame was added.
        """
        if self._peak is None:
            raise CineError("the cine has no frames, allowed are 1 and more")
        change = self._sum / self._frames
        spread = np.sqrt(np.maximum(self._squares / self._frames - change**2, 0))
        mean = self._first + change
        return Moments(mean, spread, self._peak, self._colour, self._frames)


def luminance(frame: UInt8[np.ndarray, "h w *c"]) -> UInt8[np.ndarray, "h w"]:
    """BT.601 grey of an RGB frame; a grey frame comes back as it is."""
    return frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)


def _colour(frame: np.ndarray) -> np.ndarray:
    _, red, blue = cv2.split(cv2.cvtColor(frame, cv2.COLOR_RGB2YCrCb))
    grey = np.full_like(red, 128)
    return cv2.max(cv2.absdiff(red, grey), cv2.absdiff(blue, grey))


def spread_out(frames: int, count: int) -> Int[np.ndarray, " n"]:
    """Indices of at most `count` frames, evenly spread over a cine, first and last."""
    return np.unique(
        np.linspace(0, max(frames - 1, 0), min(frames, count)).round()
    ).astype(int)
