"""Marks that are drawn over some frames only: labels and names that come and go.

Over the whole cine their pixels move, as echoes do. While they are there, they stand
still with hard edges, which echoes never do.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

HELD = 3  # frames in a row that show a mark
STILL = 2  # grey levels that it may change meanwhile
EDGE = 80  # grey levels from a stroke's pixel to a direct neighbour
WHITE = 235  # what does not move at all cannot be told from marks but by this
MOVES = 2.0  # grey levels that what is visible changes within these frames
APPEARS = 40  # grey levels between a mark and what is there without it
VISIBLE = 20  # grey level
JOINED = 6  # pixels of a stroke; fewer are speckle that happened to hold


def fleeting_marks(
    greys: Sequence[UInt8[np.ndarray, "h w"]],
) -> Bool[np.ndarray, "h w"]:
    """Pixels on hard edges that stood still for `HELD` of the frames, but not in all.

    Marks that are shown for a shorter time are not found.
    """
    found = np.zeros(greys[0].shape, bool)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    edges = [cv2.subtract(grey, cv2.erode(grey, cross)) for grey in greys]
    for start in range(len(greys) - HELD + 1):
        end = start + HELD
        low, high = _range(greys[start:end])
        edge, _ = _range(edges[start:end])
        change = cv2.subtract(high, low)
        marks = (edge >= EDGE) & (change <= STILL)
        marks &= _comes_or_goes(low, [*greys[:start][-1:], *greys[end : end + 1]])
        if marks.any() and not _moves(change, high):
            marks &= low >= WHITE
        found |= marks
    return _joined(found)


def _comes_or_goes(low: np.ndarray, beside: Sequence[np.ndarray]) -> np.ndarray:
    """Whether it is not there in the frame before or after: echoes only drift away."""
    apart = np.zeros(low.shape, bool)
    for grey in beside:
        apart |= cv2.subtract(low, grey) >= APPEARS
    return apart


def _moves(change: np.ndarray, high: np.ndarray) -> bool:
    visible = (high >= VISIBLE).astype(np.uint8)
    return cv2.mean(change, visible)[0] >= MOVES


def _range(greys: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    low = high = greys[0]
    for grey in greys[1:]:
        low, high = cv2.min(low, grey), cv2.max(high, grey)
    return low, high


def _joined(marks: np.ndarray) -> np.ndarray:
    """Without groups of fewer than `JOINED` pixels."""
    if not marks.any():
        return marks
    _, labels = cv2.connectedComponents(marks.astype(np.uint8), connectivity=8)
    parts = np.asarray(labels, np.int32)
    large = np.bincount(parts.ravel()) >= JOINED
    large[0] = False
    return large[parts]
