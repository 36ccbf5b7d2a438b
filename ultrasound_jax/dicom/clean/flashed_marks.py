"""Letters and other strokes that are drawn over some frames of a cine, one or more.

Where they come, hard edges appear from one frame to the next of which there were none
nearby, more than otherwise appear there; and they go as they came. Echoes move, so that
most of their edges were near in the frame before.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from ultrasound_jax.dicom.clean.frame_signs import Signs

WINDOW = (2, 3)  # tiles down and across, that a short word fills
LEAST = 4.0  # sum of tiles' mean excess of edges; a word of small letters has more
USUAL, TIMES = 0.9, 3.0  # quantile of a place's changes, and how far above it words are
FEW = 5  # frames, below which nothing is usual
ALIKE = 0.5  # share of the edges that came, that must go when a mark does
BRIEF = 3  # frames; marks shown for longer have to be clearer
CLEAR, CLEARER, CLEAREST = 4.5, 5.0, 8.0  # for brief ones, others, and those that stay
MOST = 0.5  # share of the frames that may show a mark; more, and it belongs to the cine
BAND = 1 << 19  # numbers that are looked at together


@dataclass(frozen=True)
class Marks:
    """Frames that show marks which others do not.

    shown: whether each frame does. long: whether it shows one that most frames do.
    """

    shown: Bool[np.ndarray, " t"]
    long: Bool[np.ndarray, " t"]


@dataclass(frozen=True)
class Run:
    """Frames `start` to `end` (not included) over which a mark stands at one place.

    clear: how much more came, and went, than usually does. closed: it did both.
    """

    start: int
    end: int
    clear: float
    closed: bool

    @property
    def certain(self) -> bool:
        """Whether it is a mark and not an echo."""
        if not self.closed:
            return self.clear >= CLEAREST
        return self.clear >= (CLEAR if self.end - self.start <= BRIEF else CLEARER)


def find_flashed_marks(signs: Signs) -> Marks:
    """The frames in which strokes stand that come or go within the cine."""
    frames = len(signs.fresh)
    shown, long = np.zeros(frames, bool), np.zeros(frames, bool)
    for run in mark_runs(signs):
        if run.certain:
            flags = long if run.end - run.start > MOST * frames else shown
            flags[run.start : run.end] = True
    return Marks(shown, long & ~shown)


def mark_runs(signs: Signs) -> Iterator[Run]:
    """Every run of frames over which a place may show a mark."""
    fresh, gone = _everywhere(signs.fresh, signs), _everywhere(signs.gone, signs)
    general = np.maximum(fresh - gone, 0), np.maximum(gone - fresh, 0)
    frames, rows, columns = signs.fresh.shape
    down = WINDOW[0]
    most = max(1, BAND // (frames * columns))
    for top in range(0, max(rows - down, 0) + 1, most):
        band = slice(top, min(top + most + down - 1, rows))
        if not signs.inside[band].any():
            continue
        fresh, gone = (
            _windows(edges[:, band], signs.inside[band])
            for edges in (signs.fresh, signs.gone)
        )
        came, went = fresh - gone, gone - fresh
        clear_came, clear_went = (
            _clearness(sums, usual)
            for sums, usual in zip((came, went), general, strict=True)
        )
        places = (clear_came >= 1).any(axis=0) | (clear_went >= 1).any(axis=0)
        for place in np.flatnonzero(places):
            yield from _runs_at(
                came[:, place],
                went[:, place],
                clear_came[:, place],
                clear_went[:, place],
            )


def _everywhere(edges: np.ndarray, signs: Signs) -> Float32[np.ndarray, " t"]:
    """What most windows have in each frame: sharper scenes have more of all edges."""
    seen = signs.inside >= 0.5
    if not seen.any():
        return np.zeros(len(edges), np.float32)
    means = [frame[seen].mean(dtype=np.float32) for frame in edges]
    return WINDOW[0] * WINDOW[1] * np.array(means, np.float32)


def _windows(edges: np.ndarray, inside: np.ndarray) -> Float32[np.ndarray, "t n"]:
    """The sum over every window that lies in some rows of tiles."""
    down, across = WINDOW
    rows = max(1, inside.shape[0] - down + 1)
    sums = [
        cv2.boxFilter(frame * inside, cv2.CV_32F, (across, down), anchor=(1, 0), normalize=False, borderType=cv2.BORDER_CONSTANT)[:rows]
        for frame in edges
    ]
    return np.stack(sums).reshape(len(edges), -1)


def _clearness(sums: np.ndarray, general: np.ndarray) -> Float32[np.ndarray, "t n"]:
    frames = len(sums)
    # The quantile of a few frames must not be that of the mark itself.
    rank = min(int(USUAL * frames), frames - 3) if frames >= FEW else frames - 1
    usual = np.maximum(np.partition(sums, rank, axis=0)[rank], 0)
    return (sums - TIMES * general[:, None]) / (LEAST + TIMES * usual)


def _runs_at(
    came: np.ndarray, went: np.ndarray, clear_came: np.ndarray, clear_went: np.ndarray
) -> Iterator[Run]:
    """Pairs what came at one place with what went; what is left stays, or was there."""
    goes = np.flatnonzero(clear_went >= 1)
    used = set()
    for start in np.flatnonzero(clear_came >= 1):
        ends = [end for end in goes if end > start and went[end] >= ALIKE * came[start]]
        if ends:
            used.add(ends[0])
            clear = float(min(clear_came[start], clear_went[ends[0]]))
            yield Run(int(start), int(ends[0]), clear, True)
        else:
            yield Run(int(start), len(came), float(clear_came[start]), False)
    for end in goes:
        if end not in used:
            yield Run(0, int(end), float(clear_went[end]), False)
