"""Lines of text drawn over echoes: letters with hard edges, of one height, in a row.

No letter is read. Echoes are blurred by the machine's spot and lie in layers; a drawn
letter steps up to its whole height within a pixel or two, and has upright strokes. Over
the frames of a cine the steps of echoes average out, those of a mark that stays do not,
however much a codec makes its levels flicker: so means are what is looked at.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int, UInt8

STROKE = 9  # pixels; thicker things are no strokes
LARGE = 1100  # pixels of the longest side, from which letters are also sought halved
NEAR = 61  # pixels of the neighbourhood that says how rough echoes are
ROUGH = 4.0  # times that roughness, above which something may be a stroke
LEVELS = (0.5, 1.2)  # of the contrast, likewise: fainter edges may touch a stroke
HEIGHT = (5, 50)  # pixels of a letter
WIDE = 12  # heights that letters which touch each other are long
LONG = 1.5  # heights that a line is long at least: two letters
FILLED = 0.15  # of the box of such letters; frames have less
HARD = 0.5  # of a stroke's contrast, that its steepest step takes
STEEP = 0.4  # of a stroke's contrast, that makes a pixel of it steep
STEEP_SHARE = 0.15  # of a stroke's pixels, that are steep
UPRIGHTS = 2.5  # steep steps from left to right that a line has in each of its rows
CROSSED = 2.8  # strokes that a row of pixels crosses; arcs and frames have two
TILT = 0.35  # of upright steps to level ones; layers of tissue have level ones
COARSE = 8  # pixels that are one when places are told apart
CLUSTER = (21, 41)  # pixels of height and width of a place
SEVERAL = 20  # pixels with hard steps, that a place has in which there is text
MOST = 400  # strokes that are put together to lines


class TextLine(NamedTuple):
    """Where something like a line of text stands.

    box: top, left, bottom, right, end-exclusive. contrast: grey levels that its strokes
    stand out by. rows, columns: of the pixels of its strokes.
    """

    box: tuple[int, int, int, int]
    contrast: float
    rows: Int[np.ndarray, " n"]
    columns: Int[np.ndarray, " n"]


def text_lines(
    picture: UInt8[np.ndarray, "h w"],
    inside: Bool[np.ndarray, "h w"],
    *,
    contrast: float,
) -> Iterator[TextLine]:
    """Lines of bright and of dark letters, as far as they are not hidden in echoes.

    Args:
        picture: one frame, or the mean of several.
        inside: the fan, without its own edge.
        contrast: grey levels that letters stand out by at least.
    """
    for shown in (picture, cv2.bitwise_not(picture)):
        yield from _bright_lines(shown, inside, contrast)
    if max(picture.shape) > LARGE:
        size = picture.shape[1] // 2, picture.shape[0] // 2
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        within = cv2.resize(
            inside.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST
        )
        for line in text_lines(small, within > 0, contrast=contrast):
            top, left, bottom, right = (2 * side for side in line.box)
            box = top, left, bottom, right
            yield line._replace(box=box, rows=2 * line.rows, columns=2 * line.columns)


@dataclass(frozen=True)
class _Strokes:
    """Connected strokes; one entry each, and number 0 is what is none."""

    parts: Int[np.ndarray, "h w"]
    top: np.ndarray
    left: np.ndarray
    bottom: np.ndarray
    right: np.ndarray
    contrast: np.ndarray


def _bright_lines(
    picture: np.ndarray, inside: np.ndarray, contrast: float
) -> Iterator[TextLine]:
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (STROKE, STROKE))
    step = cv2.subtract(picture, cv2.erode(picture, cross))
    near = _near_hard((step >= HARD * contrast) & inside)
    if not near.any():
        return
    usual = _median(step, inside)
    for top, left, bottom, right in _boxes(near):
        place = np.s_[top:bottom, left:right]
        stands_out = cv2.morphologyEx(picture[place], cv2.MORPH_TOPHAT, disk)
        limit = ROUGH * _roughness(step[place], inside[place], usual)
        allowed = inside[place] & near[place]
        for level in LEVELS:
            mask = (stands_out >= np.maximum(limit, level * contrast)) & allowed
            strokes = _strokes(mask, stands_out, step[place])
            for line in _lines_of(strokes, picture[place], contrast):
                y, x, y2, x2 = line.box
                box = y + top, x + left, y2 + top, x2 + left
                yield line._replace(
                    box=box, rows=line.rows + top, columns=line.columns + left
                )


def _boxes(near: np.ndarray) -> Iterator[tuple[int, int, int, int]]:
    """Boxes around separate places, wide enough to judge how rough echoes are there."""
    # OpenCV's count of parts takes as long as everything else, so it is done coarsely.
    rows, columns = near.shape
    small = np.zeros((-(-rows // COARSE), -(-columns // COARSE)), np.uint8)
    for y in range(COARSE):
        part = near[y::COARSE]
        for x in range(COARSE):
            cut = part[:, x::COARSE]
            small[: cut.shape[0], : cut.shape[1]] |= cut
    _, _, stats, _ = cv2.connectedComponentsWithStats(small, connectivity=8)
    for left, top, width, height, _ in np.asarray(stats)[1:] * COARSE:
        yield (
            max(0, int(top) - NEAR // 2),
            max(0, int(left) - NEAR // 2),
            min(rows, int(top + height) + NEAR // 2),
            min(columns, int(left + width) + NEAR // 2),
        )


def _near_hard(hard: np.ndarray) -> np.ndarray:
    """What lies around several hard steps: only there can be text, mostly nowhere."""
    tall, wide = CLUSTER
    count = cv2.boxFilter(
        hard.astype(np.uint8), -1, (wide, tall), normalize=False, borderType=0
    )
    dense = (count >= SEVERAL).astype(np.uint8)
    return cv2.dilate(dense, np.ones((tall, wide), np.uint8)) > 0


def _median(step: np.ndarray, inside: np.ndarray) -> int:
    counts = cv2.calcHist([step], [0], inside.astype(np.uint8), [256], [0, 256])
    total = np.cumsum(counts)
    return int(np.searchsorted(total, total[-1] / 2))


def _roughness(
    step: np.ndarray, inside: np.ndarray, usual: int
) -> Float32[np.ndarray, "h w"]:
    """The usual step between neighbours around each pixel; text hardly adds to it."""
    held = np.minimum(step, np.float32(4 * usual + 2)) * inside
    share = cv2.boxFilter(inside.astype(np.float32), -1, (NEAR, NEAR))
    return cv2.boxFilter(held, -1, (NEAR, NEAR)) / np.maximum(share, 1e-3)


def _strokes(
    strokes: np.ndarray, stands_out: np.ndarray, step: np.ndarray
) -> tuple[_Strokes, np.ndarray]:
    """The parts of a mask, and the numbers of those that have a letter's edges."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(
        strokes.astype(np.uint8), connectivity=8
    )
    parts = np.asarray(parts, np.int32)
    of, steps = parts[strokes], step[strokes]
    contrast, steepest = np.zeros(count), np.zeros(count)
    np.maximum.at(contrast, of, stands_out[strokes])
    np.maximum.at(steepest, of, steps)
    steep = np.bincount(of, steps >= STEEP * contrast[of], count)
    left, top, width, height, area = np.asarray(stats, np.int32).T
    fits = (height >= HEIGHT[0]) & (height <= HEIGHT[1]) & (width <= WIDE * height)
    fits &= (steepest >= HARD * contrast) & (steep >= STEEP_SHARE * area)
    fits &= (width < LONG * height) | (area >= FILLED * width * height)
    fits[0] = False
    kept = np.flatnonzero(fits)
    kept = kept[np.argsort(-contrast[kept], kind="stable")[:MOST]]
    found = _Strokes(parts, top, left, top + height, left + width, contrast)
    return found, kept


def _lines_of(
    found: tuple[_Strokes, np.ndarray], picture: np.ndarray, least: float
) -> Iterator[TextLine]:
    strokes, kept = found
    for line in _in_rows(strokes, kept):
        contrast = float(np.median(strokes.contrast[line]))
        top, left = int(strokes.top[line].min()), int(strokes.left[line].min())
        bottom, right = int(strokes.bottom[line].max()), int(strokes.right[line].max())
        tall = float(np.median(strokes.bottom[line] - strokes.top[line]))
        if contrast < least or right - left < LONG * tall:
            continue
        box = top, left, bottom, right
        uprights, tilt = _uprights(picture, box, STEEP * contrast)
        if uprights < UPRIGHTS or tilt < TILT:
            continue
        part = np.isin(strokes.parts[top:bottom, left:right], line)
        if _crossed(part) >= CROSSED:
            rows, columns = np.nonzero(part)
            yield TextLine(box, contrast, rows + top, columns + left)


def _in_rows(strokes: _Strokes, kept: np.ndarray) -> Iterator[np.ndarray]:
    """Strokes side by side: of like height and contrast, on a line, close together."""
    if not len(kept):
        return
    top, bottom = strokes.top[kept], strokes.bottom[kept]
    left, right = strokes.left[kept], strokes.right[kept]
    contrast, tall = strokes.contrast[kept], bottom - top
    taller, least = _larger(tall), _smaller(tall)
    gap, slack = _larger(left) - _smaller(right), np.maximum(1, 0.15 * taller)
    joined = _smaller(bottom) - _larger(top) >= 0.7 * least
    joined &= (gap <= taller) & (gap >= -0.2 * taller) & (taller <= 1.8 * least)
    level = _larger(bottom) - _smaller(bottom) <= slack
    joined &= level | (_larger(top) - _smaller(top) <= slack)
    joined &= _smaller(contrast) >= 0.5 * _larger(contrast)
    rows = _first_joined(joined)
    for row in np.unique(rows):
        yield kept[rows == row]


def _first_joined(joined: np.ndarray) -> np.ndarray:
    """The smallest number that each one is joined with, directly or over others."""
    first = np.arange(len(joined))
    while True:
        lower = np.where(joined, first, len(joined)).min(axis=1)
        lower = np.minimum(first, lower)
        if (lower == first).all():
            return first
        first = lower


def _larger(values: np.ndarray) -> np.ndarray:
    return np.maximum(values[:, None], values)


def _smaller(values: np.ndarray) -> np.ndarray:
    return np.minimum(values[:, None], values)


def _crossed(part: np.ndarray) -> float:
    """How many strokes a row of pixels crosses, on average."""
    begins = part.astype(np.int8)
    begins[:, 1:] = part[:, 1:] & ~part[:, :-1]
    return float(begins.sum(axis=1).mean())


def _uprights(
    picture: np.ndarray, box: tuple[int, int, int, int], least: float
) -> tuple[float, float]:
    """Steep steps from left to right in a row of a box, and as against level ones."""
    top, left, bottom, right = box
    cut = picture[max(0, top - 1) : bottom, max(0, left - 1) : right].astype(np.int16)
    across = int((np.abs(np.diff(cut, axis=1)) >= least).sum())
    down = int((np.abs(np.diff(cut, axis=0)) >= least).sum())
    return across / (bottom - top), across / max(1, down)
