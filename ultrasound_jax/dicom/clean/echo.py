"""Which pixels show echoes, as against background, text, rulers and other overlays.

Echoes are textured and, in a cine, flicker; they fill an area densely. Burned-in marks
are thin strokes on background or flat blocks, and stand still. No single one of these
signs is trusted alone.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from ultrasound_jax.dicom.clean.pixel_statistics import Moments

GRID = 256  # the longest side of the grid that areas are judged on
VISIBLE = 5  # grey levels above the background from which something is shown
MARK = 40  # grey levels above the background that marks have, to be legible
LETTER = 110  # the same for text, where nothing else tells it from echoes
FLAT_BELOW = 0.02  # share of the picture with texture; below, flat parts count too
OPEN = 0.2  # share of background around letters
FLICKER = 0.75  # grey levels of standard deviation over time, from which a pixel moves
OFTEN = 4  # changes, in the 32 frames that are looked at, that make a pixel move
AS_OFTEN = 0.4  # of the changes of what moves; letters in lossy films change less
BLOCK = 17  # pixels of a codec's block, which a letter disturbs as a whole
DRIFT = 16  # grey levels to which codecs may lift a black background for a while
MOVING_SHARE = 0.02  # of the picture, from which movement can be relied on
DENSE = 0.55  # share of echo pixels in a neighbourhood that makes it an echo area


@dataclass(frozen=True)
class Echoes:
    """Echoes of a picture.

    pixels: at full resolution. area: the dense part on a grid whose longest side is at
    most `GRID` pixels, free of strokes. background: grey level around the fan. moving:
    whether movement told echoes from overlays; otherwise only texture did.
    """

    pixels: Bool[np.ndarray, "h w"]
    area: Bool[np.ndarray, "y x"]
    background: int
    moving: bool


def find_echoes(moments: Moments) -> Echoes:
    """Tells echoes from everything that is drawn over or beside them."""
    background = _background(moments)
    visible = (
        np.maximum(
            moments.peak.astype(np.int16) - background,
            background - moments.mean.astype(np.int16),
        )
        >= VISIBLE
    )
    textured = visible & ~_flat(moments, background)
    if shrink(textured).mean() < FLAT_BELOW < visible.mean():
        textured = visible  # a drawing, or contrast turned up until nothing is left
    moves = textured & (moments.spread >= FLICKER + 0.01 * moments.mean)
    moves &= _changes_often(moments) & ~_rimmed(moments.fleeting)
    moves &= ~_shivers(moments, moves)
    moving = moments.frames > 1 and float(moves.mean()) >= MOVING_SHARE
    solid = _dense_area(textured & ~_lettered(moments, background), 0.15)
    # The edges of bright tissue look like letters too: they are given back.
    solid = _widened(solid, 1.1 * _window(textured.shape) / max(textured.shape))
    solid &= _dense_area(textured, 0.15)
    if not moving:
        return Echoes(textured, solid, background, False)
    # Skin and near field may stand still: what is solid beside echoes is echo.
    area = _dense_area(moves, 0.02)
    area |= solid & _widened(area, 0.15)
    return Echoes(moves, area, background, True)


def _changes_often(moments: Moments) -> np.ndarray:
    """Echoes change from frame to frame; a mark that comes, or goes, does so once."""
    return moments.changes >= min(OFTEN, max(1, moments.frames // 2))


def _shivers(moments: Moments, moves: np.ndarray) -> np.ndarray:
    """Letters, and the blocks around them, where a codec has changed its mind.

    They do not change with every frame, as echoes do.
    """
    if not moves.any():
        return moves
    seldom = moments.changes < AS_OFTEN * float(np.median(moments.changes[moves]))
    block = np.ones((BLOCK, BLOCK), np.uint8)
    contrast = cv2.dilate(moments.mean, block) - cv2.erode(moments.mean, block)
    return seldom & (contrast >= LETTER)


def _rimmed(marks: np.ndarray) -> np.ndarray:
    return cv2.dilate(marks.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0


def _widened(area: np.ndarray, share: float) -> np.ndarray:
    """An area and its surroundings, as a share of the picture's longest side."""
    side = 2 * round(share * max(area.shape)) + 3
    return cv2.dilate(area.astype(np.uint8), np.ones((side, side), np.uint8)) > 0


def _background(moments: Moments) -> int:
    """The level that most of the picture's border has, or 0 where it shows tissue."""
    mean = np.rint(moments.mean).astype(np.uint8)
    still = moments.spread < 2
    ring = np.zeros(mean.shape, bool)
    ring[:2], ring[-2:], ring[:, :2], ring[:, -2:] = True, True, True, True
    values = mean[ring & still]
    if values.size < 0.25 * ring.sum():  # it drifts: the brightest that it was
        values = moments.peak[ring & (moments.peak <= DRIFT)]
    if values.size == 0:
        return 0
    counts = np.bincount(values, minlength=256)
    near = np.convolve(counts, np.ones(3, int), "same")
    level = int(near.argmax())
    # A background brighter than this is a white frame around a darker picture.
    return level if near[level] >= 0.25 * ring.sum() and level <= 96 else 0


def _flat(moments: Moments, background: int) -> np.ndarray:
    """Blocks of one grey level (bars, filled boxes), which speckle never makes."""
    mean = moments.mean
    kernel = np.ones((5, 5), np.uint8)
    contrast = cv2.dilate(mean, kernel) - cv2.erode(mean, kernel)
    flat = (contrast <= 1) & (mean - background >= MARK)
    flat &= moments.spread < FLICKER
    return cv2.dilate(flat.astype(np.uint8), kernel) > 0


def _lettered(moments: Moments, background: int) -> np.ndarray:
    """Surroundings of white strokes with background between them, as text has.

    Bright tissue has dark gaps as well, but rarely down to the background.
    """
    side = _window(moments.peak.shape)
    black = (moments.peak < background + VISIBLE).astype(np.float32)
    open_ = cv2.blur(black, (2 * side + 1, 2 * side + 1)) >= OPEN
    bright = cv2.dilate(moments.peak, np.ones((side, side), np.uint8))
    return open_ & (bright >= background + LETTER)


def _window(shape: tuple[int, ...]) -> int:
    """About the height of a small letter, odd."""
    return max(5, max(shape) // 60 | 1)


def _dense_area(pixels: np.ndarray, share_of_largest: float) -> np.ndarray:
    """The large areas that echoes fill, without the strokes beside them."""
    density = shrink(pixels)
    for share in (DENSE, 0.6 * DENSE, 0.35 * DENSE):
        side = max(3, round(0.02 * max(density.shape)) | 1)
        dense = (cv2.blur(density, (side, side)) > share).astype(np.uint8)
        ball = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
        dense = cv2.morphologyEx(dense, cv2.MORPH_OPEN, ball)
        area = _largest(dense, density, share_of_largest)
        if area.mean() >= 0.03:
            break
    return area


def shrink(pixels: Bool[np.ndarray, "h w"]) -> Float32[np.ndarray, "y x"]:
    """Share of set pixels in each cell of the grid."""
    height, width = pixels.shape
    scale = min(1.0, GRID / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(pixels.astype(np.float32), size, interpolation=cv2.INTER_AREA)


def _largest(dense: np.ndarray, density: np.ndarray, share: float) -> np.ndarray:
    """The heaviest connected part and others of at least `share` of its weight."""
    _, parts = cv2.connectedComponents(dense, connectivity=8)
    weights = np.bincount(parts.ravel(), density.ravel())
    weights[0] = 0
    if weights.max(initial=0) == 0:
        return np.zeros(dense.shape, bool)
    return (weights >= share * weights.max())[parts] & (parts > 0)
