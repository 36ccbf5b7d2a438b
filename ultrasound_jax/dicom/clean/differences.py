"""How the frames of a cine differ, and which runs of them were put in, not filmed.

Frames are compared as small pictures of the fan.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

COMPARED = 32  # frames that every frame is compared with
COMMON = 0.3  # share of frames that a frame must resemble to belong
FAR, APART = 6.0, 2.2  # grey levels, and times the usual distance, of unlike frames
RELATED = 0.9  # correlation with another frame, above which only brightness differs
SUDDEN, BUSY = 5.0, 2.5  # times usual and large steps, from which it is another picture
JUMP, SLOWLY = 0.5, 0.8  # of its distance, in one step or `FADE`, that a frame comes
FADE = 4  # frames that it may take to come or go
MIXED = 0.12  # share of a foreign picture that is seen
NEAREST = 0.7  # of a jump, that a frame is off all others
BRIEF = 3  # frames that need not stand still at the start or end of a cine
FADED = 12  # frames, over which those beside a foreign picture may be part of it
DARKEST, PALE = 0.05, 60.0  # share of areas, grey levels that no gain lifts them by
LIFTED = 0.5  # of the usual brightness, below which the probe may be lifted
INVERTED = -0.3  # correlation of a picture that is inverted
BACK = 0.6  # of its distance, below which frames before and after a run are alike
STILL = 0.3  # of the usual step, below which frames stand still
RARE = 0.3  # share of frames that may be unlike the others; more is another scene
CHUNK = 256  # frames that are computed with together


@dataclass(frozen=True)
class Differences:
    """Small pictures of a cine's frames, and how they differ.

    steps: how much each differs from the one before. jump: a step from which it is
    another picture. far: of each, the distance to those that it must resemble.
    candidates: frames that are far. main: some that are not.
    """

    cells: Float32[np.ndarray, "t n"]
    steps: Float32[np.ndarray, " t"]
    lively: float
    jump: float
    far: Float32[np.ndarray, " t"]
    candidates: Bool[np.ndarray, " t"]
    main: Float32[np.ndarray, "m n"]

    @classmethod
    def of(cls, cells: Float32[np.ndarray, "t n"]) -> "Differences":
        """Of small pictures of every frame."""
        count = len(cells)
        chosen = np.linspace(0, count - 1, min(count, COMPARED)).round().astype(int)
        apart = np.stack([_apart(cells, cells[index]) for index in chosen], 1)
        place = min(int(COMMON * len(chosen)), len(chosen) - 1)
        far = np.partition(apart, place, axis=1)[:, place]
        candidates = far > max(FAR, APART * float(np.median(far)))
        main = cells[chosen[~candidates[chosen]]]
        steps = np.zeros(count, np.float32)
        for start in range(1, count, CHUNK):
            end = min(start + CHUNK, count)
            change = cells[start:end] - cells[start - 1 : end - 1]
            steps[start:end] = np.abs(change).mean(axis=1)
        lively = float(np.percentile(steps[1:], 75))
        busy = float(np.percentile(steps[1:], 95))
        jump = max(FAR, min(SUDDEN * lively, BUSY * busy))
        return cls(cells, steps, lively, jump, far, candidates, main)

    def excursions(self) -> Iterator[tuple[int, int]]:
        """Runs between two jumps, after which the cine goes on as before."""
        jumps, done = self._jumps(), 0
        for start in jumps:
            if start < done:
                continue
            for end in (jump for jump in jumps if jump > start):
                if end - start > RARE * len(self.cells):
                    break
                change = float(min(self.steps[start], self.steps[end]))
                back = self._back(start, end) <= BACK * change
                if (back or self._stands(start, end)) and self._new(start, end):
                    yield start, end
                    done = end
                    break

    def ends(self) -> Iterator[tuple[int, int]]:
        """What stands before or after a jump, if it is brief or still."""
        jumps = self._jumps()
        count = len(self.cells)
        runs = [(0, jump, jump, range(jump + 1, jump + FADE)) for jump in jumps]
        runs += [(jump, count, jump, range(jump - 3, jump)) for jump in jumps]
        for start, end, at, beside in runs:
            calm = [self.steps[index] for index in beside if 0 < index < count]
            change = float(self.steps[at])
            if change >= 2 * max(calm, default=0) and self._alone(start, end, change):
                yield start, end

    def _jumps(self) -> list[int]:
        return np.flatnonzero(self.steps >= self.jump).tolist()

    def parts(self, start: int, end: int) -> list[tuple[int, int]]:
        """A run, cut where it jumps."""
        distance = float(np.median(self.far[start:end]))
        cuts = (
            start + 1 + np.flatnonzero(self.steps[start + 1 : end] >= JUMP * distance)
        )
        edges = [start, *map(int, cuts), end]
        return list(zip(edges, edges[1:], strict=False)) if len(edges) > 2 else []

    def is_foreign(self, start: int, end: int) -> bool:
        """Whether a run of unlike frames was put in, rather than filmed."""
        if not self._new(start, end):
            return False
        if self._is_inverted(start, end):
            return True
        distance = float(np.median(self.far[start:end]))
        comes = self._changes(start, distance) if start > 0 else 0
        goes = self._changes(end, distance) if end < len(self.cells) else 0
        if start > 0 and end < len(self.cells):
            if not comes or not goes or self._back(start, end) > BACK * distance:
                return False
            # What takes some frames to come may have been filmed, unless it stands.
            sudden = comes == goes == 1 or end - start <= BRIEF
            return sudden or self._stands(start + FADE, end - FADE)
        return bool(comes or goes) and self._alone(start, end, distance)

    def with_fades(self, start: int, end: int) -> tuple[int, int]:
        """The run with the frames before and after in which it fades in and out."""
        first, last, count = start, end, len(self.cells)
        # In a short cine the fade itself may be a quarter of all steps.
        middle = float(np.median(self.steps[1:]))
        unusual = max(1.0, 1.5 * min(self.lively, 1.5 * middle))
        before = [self.cells[max(0, start - lag - 1)] for lag in (FADE, FADED)]
        while first > max(1, start - FADED) and self.steps[first - 1] >= unusual:
            if not any(self._mixed(one, start, first - 1) for one in before):
                break
            first -= 1
        after = self.cells[min(count - 1, end + FADE)]
        if end + FADE < count:  # before the first frames nothing usual stands
            full = float(np.abs(self.cells[start] - after).mean())
            while 0 < first <= FADE and self.steps[first] <= SLOWLY * full:
                if not self._mixed(after, start, first - 1):
                    break
                first -= 1
        later = [self.cells[min(count - 1, end + lag)] for lag in (FADE, FADED)]
        while last < min(count - 1, end + FADED) and self.steps[last + 1] >= unusual:
            if not any(self._mixed(one, end - 1, last) for one in later):
                break
            last += 1
        return first, last

    def _mixed(self, usual: np.ndarray, foreign: int, index: int) -> bool:
        """Whether a frame is a mixture of a usual and a foreign one."""
        towards = self.cells[foreign] - usual
        change = self.cells[index] - usual
        part = float(change @ towards / max(float(towards @ towards), 1e-6))
        rest = float(np.abs(change - part * towards).mean())
        return part >= MIXED and rest <= max(0.35 * float(np.abs(towards).mean()), 2.0)

    def _new(self, start: int, end: int) -> bool:
        """Whether it is neither just brighter nor as dark as of a lifted probe."""
        run = self.cells[start:end]
        if not len(self.main):
            return False
        usual = np.median(self.main, axis=0)
        brighter = float(np.median((run > usual + 10).mean(axis=1)))
        dark = float(np.median(run.mean(axis=1))) < LIFTED * float(usual.mean())
        if dark and brighter < 0.03:
            return False
        # Gain leaves black what is black; a page that shines through does not.
        pale = np.quantile(run[len(run) // 2], DARKEST) - np.quantile(usual, DARKEST)
        if pale >= PALE:
            return True
        return _related(run[len(run) // 2], self.main) < RELATED

    def _is_inverted(self, start: int, end: int) -> bool:
        """Whether what is usually dark is bright."""
        middle = self.cells[(start + end) // 2]
        usual = np.median(self.main, axis=0)
        return bool(_related(middle, usual[None]) <= INVERTED)

    def _back(self, start: int, end: int) -> float:
        """How alike the frames before and after a run are."""
        before = self.cells[max(0, start - FADE) : start]
        after = self.cells[end : end + FADE]
        return min(float(_apart(after, one).min()) for one in before)

    def _alone(self, start: int, end: int, distance: float) -> bool:
        """Whether a run at either end of the cine is brief or stands still."""
        length, count = end - start, len(self.cells)
        if length > RARE * count or not self._new(start, end):
            return False
        rest = np.r_[self.cells[:start], self.cells[end:]]
        nearest = float(_apart(rest, self.cells[(start + end) // 2]).min())
        if nearest < NEAREST * distance:
            return False
        inner = self.steps[start + 1 : end]
        still = len(inner) > 0 and float(np.median(inner)) <= STILL * self.lively
        torn = len(inner) > 0 and float(np.median(inner)) >= JUMP * distance
        return length <= BRIEF or still or torn

    def _stands(self, start: int, end: int) -> bool:
        """Whether frames stand still in a cine that moves from frame to frame."""
        inner = self.steps[start + 1 : end]
        moves = float(np.median(self.steps[1:])) >= 0.5 * self.lively > 0
        return (
            moves and len(inner) > 0 and float(np.median(inner)) <= STILL * self.lively
        )

    def _changes(self, at: int, distance: float) -> int:
        """In how many frames the picture changes about frame `at`; 0 if it does not."""
        count = len(self.cells)
        for lag in range(1, FADE + 1):
            for begin in range(max(0, at - lag), min(at, count - lag - 1) + 1):
                change = self.cells[begin + lag] - self.cells[begin]
                limit = JUMP if lag == 1 else SLOWLY
                if float(np.abs(change).mean()) >= limit * distance:
                    return lag
        return 0


def _apart(
    pictures: Float32[np.ndarray, "t n"], one: Float32[np.ndarray, " n"]
) -> Float32[np.ndarray, " t"]:
    """How many grey levels each picture differs by."""
    found = [
        np.abs(pictures[start : start + CHUNK] - one).mean(axis=1)
        for start in range(0, len(pictures), CHUNK)
    ]
    return np.concatenate(found)


def _related(one: np.ndarray, others: np.ndarray) -> float:
    """The highest correlation with any of some pictures."""
    one = one - one.mean()
    others = others - others.mean(axis=1, keepdims=True)
    size = np.linalg.norm(one) * np.linalg.norm(others, axis=1)
    return float((others @ one / np.maximum(size, 1e-6)).max())


def stretches(flags: Bool[np.ndarray, " t"]) -> list[tuple[int, int]]:
    """First and last (not included) of each run of flags."""
    edges = np.flatnonzero(np.diff(np.r_[False, flags, False].astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]
