"""Frames of a cine that show something else than the others: screens, reports, stills.

They are unlike most of the cine, and come and go at once. So does a cine that was cut,
or whose depth was changed, but that does not come back; and a probe that is lifted, but
then the picture is dark.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from ultrasound_jax.dicom.clean.frame_signs import Signs

BLACK = 16  # grey level that is black still, in films
FLAT = 2.0  # grey levels of standard deviation over a frame, below which it is flat
COMPARED = 64  # frames that every frame is compared with
COMMON = 0.3  # share of frames that a frame must resemble to belong
FAR, APART = 6.0, 2.2  # grey levels, and times the usual distance, of unlike frames
RELATED = 0.9  # correlation with another frame, above which only brightness differs
JUMP = 0.5  # of its distance, in one step, that a frame comes or goes with
FADE = 4  # frames that it may take to come or go
BACK = 0.6  # of its distance, below which frames before and after a run are alike
STILL = 0.3  # of the usual step, below which frames stand still
RARE = 0.3  # share of frames that may be unlike the others; more is another scene


@dataclass(frozen=True)
class Foreign:
    """Which frames do not belong.

    black: nothing is there. flat: one grey from edge to edge. drawn: nearly black, with
    little that is not. unlike: another picture. scenes: unlike most others, but so many
    or so alive that they are scenes of the cine.
    """

    black: Bool[np.ndarray, " t"]
    flat: Bool[np.ndarray, " t"]
    drawn: Bool[np.ndarray, " t"]
    unlike: Bool[np.ndarray, " t"]
    scenes: Bool[np.ndarray, " t"]


def find_foreign_frames(signs: Signs) -> Foreign:
    """The frames that are unlike their neighbours and most of the cine."""
    seen = signs.cells_inside >= 0.5
    if not seen.any():
        seen = signs.cells_inside >= signs.cells_inside.max()
    cells = signs.light[:, seen].astype(np.float32)
    peak = signs.peak[:, signs.cells_inside > 0]
    black = peak.max(axis=1) <= BLACK
    flat = ~black & (cells.std(axis=1) < FLAT)
    drawn = _drawn(cells, peak, ~black & ~flat)
    alive = np.flatnonzero(~black & ~flat & ~drawn)
    unlike, scenes = np.zeros_like(black), np.zeros_like(black)
    if len(alive) >= 3:
        unlike[alive], scenes[alive] = _unlike(cells[alive])
    if flat.mean() > RARE:
        flat = np.zeros_like(flat)
    return Foreign(black, flat, drawn, unlike, scenes)


def _drawn(cells: np.ndarray, peak: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Frames that are black but for some strokes, in a cine that is not dark."""
    mean = cells.mean(axis=1)
    usual = float(np.median(mean[shown])) if shown.any() else 0.0
    some = (peak > BLACK).mean(axis=1) < 0.25
    return shown & (mean < 2) & some & (usual >= 8)


def _unlike(cells: Float32[np.ndarray, "t n"]) -> tuple[np.ndarray, np.ndarray]:
    """Foreign frames, and those that are unlike but belong."""
    count = len(cells)
    compared = np.unique(np.linspace(0, count - 1, min(count, COMPARED)).round())
    others = cells[compared.astype(int)]
    apart = np.stack([np.abs(cells - other).mean(axis=1) for other in others], 1)
    place = min(int(COMMON * len(others)), len(others) - 1)
    far = np.partition(apart, place, axis=1)[:, place]
    usual = float(np.median(far))
    candidates = far > max(FAR, APART * usual)
    main = others[~candidates[compared.astype(int)]]
    if not candidates.any() or not len(main):
        return np.zeros(count, bool), np.zeros(count, bool)
    steps = np.r_[0.0, np.abs(np.diff(cells, axis=0)).mean(axis=1)]
    foreign = np.zeros(count, bool)
    for start, end in _stretches(candidates):
        if _is_foreign(cells, start, end, far, steps, main):
            first, last = _with_fades(start, end, steps, far)
            foreign[first:last] = True
    if foreign.sum() > RARE * count:
        return np.zeros(count, bool), foreign
    return foreign, np.zeros(count, bool)


def _is_foreign(
    cells: np.ndarray,
    start: int,
    end: int,
    far: np.ndarray,
    steps: np.ndarray,
    main: np.ndarray,
) -> bool:
    """Whether a run of unlike frames was put in, rather than filmed."""
    run = cells[start:end]
    middle = run[len(run) // 2]
    distance = float(np.median(far[start:end]))
    if _darker(run, main) or _related(middle, main) >= RELATED:
        return False
    comes = start > 0 and _jumps(cells, start, distance)
    goes = end < len(cells) and _jumps(cells, end, distance)
    if start > 0 and end < len(cells):
        before, after = cells[max(0, start - 8) : start], cells[end : end + 8]
        back = min(float(np.abs(after - one).mean(axis=1).min()) for one in before)
        return comes and goes and back <= BACK * distance
    if not comes and not goes:
        return False
    inner = steps[start + 1 : end]
    lively = float(np.percentile(steps[1:], 75))
    still = len(inner) > 0 and float(np.median(inner)) <= STILL * lively
    torn = len(inner) > 0 and float(np.median(inner)) >= JUMP * distance
    return len(run) <= 2 or still or torn


def _jumps(cells: np.ndarray, at: int, distance: float) -> bool:
    """Whether the picture changes about frame `at`, within `FADE` frames."""
    for lag in range(1, FADE + 1):
        for begin in range(max(0, at - lag), min(at, len(cells) - lag - 1) + 1):
            change = float(np.abs(cells[begin + lag] - cells[begin]).mean())
            if change >= (JUMP if lag == 1 else 0.8) * distance:
                return True
    return False


def _darker(run: np.ndarray, main: np.ndarray) -> bool:
    """Whether nothing is brighter than it usually is: no picture was put there."""
    usual = np.median(main, axis=0)
    brighter = (run > usual + 10).mean(axis=1)
    return bool(np.median(brighter) < 0.03)


def _related(one: np.ndarray, main: np.ndarray) -> float:
    """The highest correlation with any of the frames that belong."""
    one = one - one.mean()
    others = main - main.mean(axis=1, keepdims=True)
    size = np.linalg.norm(one) * np.linalg.norm(others, axis=1)
    return float((others @ one / np.maximum(size, 1e-6)).max())


def _with_fades(
    start: int, end: int, steps: np.ndarray, far: np.ndarray
) -> tuple[int, int]:
    """The run with the frames before and after in which it fades in and out."""
    unusual = max(1.0, 2.5 * float(np.percentile(steps[1:], 75)))
    first, last = start, end
    while first > 1 and start - first < 2 * FADE and steps[first - 1] > unusual:
        first -= 1
    while last < len(steps) - 1 and last - end < 2 * FADE and steps[last + 1] > unusual:
        last += 1
    return first, last


def _stretches(flags: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.r_[False, flags, False].astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]
