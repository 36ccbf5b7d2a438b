"""Frames of a cine that show something else than the others: screens, reports, stills.

They are unlike most of the cine, and come and go at once. So does a cine that was cut,
or whose depth was changed, but that does not come back; and a probe that is lifted, but
then the picture is dark.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from ultrasound_jax.dicom.clean.differences import (
    FADE,
    FAR,
    RARE,
    Differences,
    stretches,
)
from ultrasound_jax.dicom.clean.frame_signs import Signs

BLACK = 16  # grey level that is black still, in films
GHOST = 3, 2  # light and texture that films leave of the picture before
FLAT = 2.0  # grey levels of standard deviation over a frame, below which it is flat
PAPER = 0.25  # share of areas without texture, above the usual, in pages
# Edges for light, of which letters have 0.4 to 1 and echoes 0.1 to 0.2; and the share
# of a screen that is empty.
STROKES, USUAL_STROKES, EMPTY = 0.4, 0.3, 0.4
EVEN, GREY = 1, 24  # mean of their edges, and their least brightness


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
    texture = signs.texture[:, seen]
    paper = _paper(signs.light[:, seen], texture)
    lightest, roughest = cells.max(axis=1), texture.max(axis=1)
    black = (lightest <= BLACK) & (roughest <= EVEN)
    black |= signs.blank | (lightest <= GHOST[0]) & (roughest <= GHOST[1])
    flat = ~black & (cells.std(axis=1) < FLAT)
    drawn = _drawn(cells, texture, ~black & ~flat)
    drawn |= _written_after_black(cells, texture, black, ~black & ~flat)
    alive = np.flatnonzero(~black & ~flat & ~drawn)
    unlike, scenes = np.zeros_like(black), np.zeros_like(black)
    if len(alive) >= 3:
        unlike[alive], scenes[alive] = _unlike(cells[alive])
        for start, end in stretches(paper & (paper.mean() <= RARE)):
            if _breaks(cells, start) or _breaks(cells, end):
                first, last = Differences.of(cells).with_fades(start, end)
                unlike[first:last] = True
    if flat.mean() > RARE:
        flat = np.zeros_like(flat)
    return Foreign(black, flat, drawn, unlike, scenes)


def _paper(light: np.ndarray, texture: np.ndarray) -> np.ndarray:
    """Frames with areas without any texture, as of a page, in a cine that has none."""
    even = ((texture <= EVEN) & (light >= GREY)).mean(axis=1)
    usual = float(np.quantile(even, 1 - RARE))
    return even >= usual + PAPER


def _breaks(cells: np.ndarray, at: int) -> bool:
    """Whether another picture begins at frame `at`, at once or within `FADE` frames."""
    if not 0 < at < len(cells):
        return False
    before, after = cells[max(0, at - FADE)], cells[min(at + FADE, len(cells)) - 1]
    changes = cells[at] - cells[at - 1], cells[at] - before, after - cells[at - 1]
    return max(float(np.abs(change).mean()) for change in changes) >= FAR


def _drawn(cells: np.ndarray, texture: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Frames that are black but for some strokes, in a cine that is not dark."""
    mean = cells.mean(axis=1)
    usual = float(np.median(mean[shown])) if shown.any() else 0.0
    some = (texture > EVEN).mean(axis=1) < 0.25
    return shown & (mean < 2) & some & (usual >= 8)


def _written_after_black(
    cells: np.ndarray, texture: np.ndarray, black: np.ndarray, shown: np.ndarray
) -> np.ndarray:
    """Frames of strokes alone that stand directly before or after a black one.

    Nothing there says what changed: all of it did.
    """
    light = np.maximum(cells.sum(axis=1), 1)
    strokes = texture.sum(axis=1, dtype=np.float32) / light
    if not shown.any() or np.median(strokes[shown]) >= USUAL_STROKES:
        return np.zeros_like(black)
    empty = ((cells <= BLACK) & (texture <= EVEN)).mean(axis=1)
    found = np.zeros_like(black)
    for start, end in stretches(shown & (empty >= EMPTY) & (strokes >= STROKES)):
        if black[max(0, start - 1) : end + 1].any():
            found[start:end] = True
    return found


def _unlike(cells: Float32[np.ndarray, "t n"]) -> tuple[np.ndarray, np.ndarray]:
    """Foreign frames; those that are unlike, but so many that they are scenes."""
    cine = Differences.of(cells)
    foreign = np.zeros(len(cells), bool)
    for start, end in cine.excursions():
        foreign[start:end] = True
    for start, end in stretches(cine.candidates & ~foreign):
        parts = [(start, end), *cine.parts(start, end)]
        for first, last in parts:
            if cine.is_foreign(first, last):
                foreign[first:last] = True
                if (first, last) == (start, end):
                    break
    for start, end in cine.ends():
        foreign[start:end] = True
    for start, end in stretches(foreign):
        first, last = cine.with_fades(start, end)
        foreign[first:last] = True
    if foreign.sum() > RARE * len(cells):
        return np.zeros_like(foreign), foreign
    return foreign, np.zeros_like(foreign)
