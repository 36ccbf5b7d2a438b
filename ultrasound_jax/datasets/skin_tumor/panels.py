"""Removes the colour Doppler panel of a composite and crops around the skin.

No original image was at hand: what is known is that the authors removed the Doppler
panel and cropped "to the skin-centred region" to 224 x 224. The rules here are ours and
were tested on drawn composites only. Look at what they leave of yours.
"""

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from ultrasound_jax.datasets.errors import DatasetError

COLOURED = 48  # between the strongest and the weakest channel; JPEG grey has some 20
FEW = 0.0005  # share of pixels; so little colour is a mark or a logo
TINTED = 0.5  # share of bright pixels; so much colour is a tinted B-mode, not flow
ALIKE = 0.5  # correlation of two panels that show the same section
BLACK = 12
SKIN_AT = 0.1  # where the skin crosses the square, as a share of its height
_OUTLIERS = 0.02  # share of coloured pixels that may lie in the other panel


def without_doppler(
    picture: UInt8[np.ndarray, "h w 3"], *, name: str
) -> UInt8[np.ndarray, "h2 w2 3"]:
    """The B-mode panel of two side by side or one above the other.

    A picture without flow colours is returned whole. Otherwise it must fall into two
    halves of which one holds the colours, and these halves must be divided by a black
    gap or show the same section.

    Raises:
        DatasetError: there are flow colours and no such halves: they are on the picture
            itself, where they cannot be taken off.
    """
    coloured = _coloured(picture)
    if coloured.mean() < FEW or coloured.sum() > TINTED * _bright(picture).sum():
        return picture
    for axis in (1, 0):
        halves = _halves(picture, axis)
        first, second = (half.sum() for half in np.array_split(coloured, 2, axis=axis))
        if min(first, second) > _OUTLIERS * (first + second):
            continue
        if _divided(picture, axis) or _same_section(*halves):
            return halves[0 if second > first else 1]
    raise DatasetError(f"{name}: flow colours and no panel without them")


def skin_crop(picture: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "s s"]:
    """The largest square that fits, the skin at a tenth of its height.

    Black margins go first. Across, the square is centred; down, it starts a tenth of
    its side above the skin or as near as it can. The skin is the first bright row of
    most columns, by Otsu's threshold of the smoothed picture.
    """
    inside = _trimmed(picture)
    side = min(inside.shape)
    smooth = cv2.GaussianBlur(inside, (0, 0), max(1.0, side / 100))
    level, _ = cv2.threshold(smooth, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    bright = smooth > level
    columns = bright.any(axis=0)
    skin = int(np.median(bright.argmax(axis=0)[columns])) if columns.any() else 0
    top = int(np.clip(skin - SKIN_AT * side, 0, inside.shape[0] - side))
    left = (inside.shape[1] - side) // 2
    return inside[top : top + side, left : left + side]


def _coloured(picture: UInt8[np.ndarray, "h w 3"]) -> Bool[np.ndarray, "h w"]:
    return np.ptp(picture, axis=2) > COLOURED


def _bright(picture: UInt8[np.ndarray, "h w 3"]) -> Bool[np.ndarray, "h w"]:
    return picture.max(axis=2) > COLOURED


def _halves(picture: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Two of equal size; an odd middle line belongs to neither."""
    length = picture.shape[axis]
    first, second = np.arange(length // 2), np.arange(length - length // 2, length)
    return picture.take(first, axis), picture.take(second, axis)


def _divided(picture: np.ndarray, axis: int) -> bool:
    """Whether a black line crosses the middle tenth, with a picture on both sides."""
    brightest = picture.max(axis=2)
    lines = np.quantile(brightest, 0.98, axis=1 - axis)
    length = len(lines)
    near = slice(int(0.45 * length), max(int(0.55 * length), int(0.45 * length) + 1))
    sides = lines[: near.start].mean(), lines[near.stop :].mean()
    return bool(lines[near].min() <= BLACK and min(sides) > 2 * BLACK)


def _same_section(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two panels correlate where neither is coloured."""
    grey = ~(_coloured(first) | _coloured(second))
    one, other = (half.max(axis=2)[grey].astype(np.float64) for half in (first, second))
    if len(one) < 2 or one.std() < 1 or other.std() < 1:
        return False
    return bool(np.corrcoef(one, other)[0, 1] > ALIKE)


def _trimmed(picture: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h2 w2"]:
    shown = picture > BLACK
    rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    if not len(rows):
        return picture
    return picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
