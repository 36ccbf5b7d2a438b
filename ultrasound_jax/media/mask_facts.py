"""What makes a mask implausible, and its size without losing what is small in it."""

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from ultrasound_jax.media.geometry import placed

# In the order in which they are told; a mask may be several.
FACTS = {
    "empty": "nothing is marked",
    "full": "everything is marked",
    "touches_all_borders": "what is marked reaches every border",
    "inverted_suspected": "most of the border and of the picture is marked",
    "outline_only": "a line is marked, and not what it encloses",
    "scattered": "more pieces and holes than structures have, as of noise or a picture",
    "lost_by_resizing": "a structure vanished at the size asked for; one pixel is kept",
}
# Pieces and holes; of 355 masks of BUSI and LungSegDB the most are 15, and of pictures
# that were read as masks the fewest 58.
_PIECES = 30
_BORDER = 0.9  # of the border that an inverted mask covers
_HOLLOW = 0.5  # of what a contour encloses that is marked, below which it is a line
_LINE = 2.5  # pixels from the middle of an open line to its edge
_BENT = 4  # times what is marked that an open line's hull holds; crescents hold less


def mask_facts(mask: UInt8[np.ndarray, "h w"]) -> list[str]:
    """Which of `FACTS` hold for a mask of 0 and numbers of classes."""
    marked = mask > 0
    if not marked.any():
        return ["empty"]
    if marked.all():
        return ["full", "touches_all_borders", "inverted_suspected"]
    sides = (marked[0], marked[-1], marked[:, 0], marked[:, -1])
    covered = np.concatenate(sides).mean()
    told = {
        "touches_all_borders": all(side.any() for side in sides),
        "inverted_suspected": covered > _BORDER and marked.mean() > 0.5,
        "outline_only": _is_outline(marked),
        "scattered": _pieces(marked) + _pieces(~marked) > _PIECES,
    }
    return [word for word, is_so in told.items() if is_so]


def fitted_mask(
    mask: UInt8[np.ndarray, "h w"], size: int, *, stretch: bool = False
) -> tuple[UInt8[np.ndarray, "H W"], bool]:
    """The mask in a square of `size` (0: as it is), and whether a structure was lost.

    A pixel of the smaller mask is of what covers most of it, so that areas and places
    stay what they are; the nearest pixel's value would move everything by up to half a
    pixel. A piece of which that leaves nothing keeps the pixel that it covers most of.

    Args:
        mask: 0 and numbers of classes.
        size: side of the square in pixels.
        stretch: as of `media.geometry.letterbox`.
    """
    if not size:
        return mask, False
    height, width = mask.shape
    rows, columns = placed(height, width, size, stretch=stretch)
    sides = columns.stop - columns.start, rows.stop - rows.start
    inside = _covering_most(mask, sides)
    kept = np.zeros(inside.shape, bool)
    for number in np.unique(mask[mask > 0]).tolist():
        _keep_pixels(inside, kept, mask == number, number)
    small = np.zeros((size, size), np.uint8)
    small[rows, columns] = inside
    return small, bool(kept.any())


def _covering_most(
    mask: UInt8[np.ndarray, "h w"], sides: tuple[int, int]
) -> UInt8[np.ndarray, "H W"]:
    """The class, or background, that covers most of each pixel of the new sides."""
    if sides[0] >= mask.shape[1] and sides[1] >= mask.shape[0]:
        scaled = cv2.resize(mask, sides, interpolation=cv2.INTER_NEAREST_EXACT)
        return np.asarray(scaled, np.uint8)
    numbers = np.unique(mask)  # the background first, which a tie is given to
    shares = [
        cv2.resize((mask == n).astype(np.float32), sides, interpolation=cv2.INTER_AREA)
        for n in numbers.tolist()
    ]
    return numbers[np.argmax(np.round(shares, 5), axis=0)].astype(np.uint8)


def _keep_pixels(
    small: UInt8[np.ndarray, "H W"],
    kept: Bool[np.ndarray, "H W"],
    marked: Bool[np.ndarray, "h w"],
    number: int,
) -> None:
    """Sets a pixel for each piece that has none, and notes it in `kept`.

    It is the one that the piece covers most, rather of the background than of another
    class; if all that it covers are kept for other pieces, the nearest that is not.
    """
    pieces, of_piece = cv2.connectedComponents(marked.astype(np.uint8))
    places = np.nonzero(marked)
    there = [
        ((place + 0.5) * new / old).astype(int)
        for place, new, old in zip(places, small.shape, marked.shape, strict=True)
    ]
    of_pixel = np.asarray(of_piece, np.int64)[places]
    stays = np.zeros(pieces, bool)
    stays[of_pixel[small[there[0], there[1]] == number]] = True
    for piece in np.flatnonzero(~stays[1:]) + 1:
        rows, columns = (one[of_pixel == piece] for one in there)
        covered = np.zeros(small.shape)
        np.add.at(covered, (rows, columns), 1)
        order = np.where(covered > 0, covered + 1e6 * (small == 0), 0)
        if not (order * ~kept).any():
            away = (
                np.indices(small.shape) - np.array([rows[0], columns[0]])[:, None, None]
            )
            order = 1 / (1 + np.hypot(*away))
        place = np.unravel_index(np.argmax(np.where(kept, -1, order)), small.shape)
        row, column = (int(one) for one in place)
        small[row, column], kept[row, column] = number, True


def _pieces(marked: Bool[np.ndarray, "h w"]) -> int:
    return cv2.connectedComponents(marked.astype(np.uint8))[0] - 1


def _is_outline(marked: Bool[np.ndarray, "h w"]) -> bool:
    """Whether lines are marked: closed around what is not, or open and bent."""
    plane = np.pad(marked.astype(np.uint8), 1)
    contours, _ = cv2.findContours(plane, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    solid = np.zeros_like(plane)
    cv2.drawContours(solid, contours, -1, 1, cv2.FILLED)
    if plane.sum() < _HOLLOW * solid.sum():
        return True
    thickest = cv2.distanceTransform(plane, cv2.DIST_L2, 3).max()
    hulls = sum(cv2.contourArea(cv2.convexHull(contour)) for contour in contours)
    return bool(thickest <= _LINE and hulls > _BENT * plane.sum())
