"""Frames of a cine that would spoil what is measured over time: flat and foreign ones.

Scanners and editors leave a blank picture, a report or a colour from edge to edge among
the frames. One of them makes every pixel of the cine brighter once, text as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8

FLAT = 2.0  # grey levels of standard deviation over a frame, below which it is flat
THUMB = 24  # side of the small picture in which frames are compared
FAR, APART = 8.0, 4.0  # grey levels, and times the usual distance, from the median
JUMP = 0.7  # of that distance, in one step; a probe that is moved takes several
RARE = 0.3  # share of frames that may be unlike the others; more is another scene


@dataclass(frozen=True)
class Selection:
    """Which frames to measure: indices of the alike, numbers of the others."""

    alike: tuple[int, ...]
    flat: int
    unlike: int


def select_frames(greys: Sequence[UInt8[np.ndarray, "h w"]]) -> Selection:
    """Leave out flat frames, and the few that are unlike the median of the others.

    Those must come or go at once: where a probe is moved, frames grow unlike little by
    little, and belong to the cine. Where all frames are flat, none is left out.
    """
    shaped = [i for i, grey in enumerate(greys) if _deviation(grey) >= FLAT]
    if not shaped:
        return Selection(tuple(range(len(greys))), 0, 0)
    thumbs = np.stack([_thumb(greys[index]) for index in shaped])
    far = np.abs(thumbs - np.median(thumbs, axis=0)).mean(axis=(1, 2))
    usual = float(np.median(far))
    unlike = _abrupt((far > FAR) & (far > APART * usual), far, thumbs)
    if unlike.sum() > RARE * len(shaped):
        unlike[:] = False
    alike = tuple(i for i, foreign in zip(shaped, unlike, strict=True) if not foreign)
    return Selection(alike, len(greys) - len(shaped), int(unlike.sum()))


def _abrupt(unlike: np.ndarray, far: np.ndarray, thumbs: np.ndarray) -> np.ndarray:
    """Those of the rows of unlike frames that a jump begins or ends."""
    steps = np.abs(np.diff(thumbs, axis=0)).mean(axis=(1, 2))
    edges = np.flatnonzero(np.diff(np.r_[False, unlike, False].astype(np.int8)))
    kept = np.zeros_like(unlike)
    for start, end in edges.reshape(-1, 2):
        begins = start > 0 and steps[start - 1] >= JUMP * far[start]
        ends = end < len(far) and steps[end - 1] >= JUMP * far[end - 1]
        kept[start:end] = begins or ends
    return kept


def _deviation(grey: np.ndarray) -> float:
    return float(cv2.meanStdDev(grey)[1][0, 0])


def _thumb(grey: np.ndarray) -> np.ndarray:
    small = cv2.resize(grey, (THUMB, THUMB), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32)
