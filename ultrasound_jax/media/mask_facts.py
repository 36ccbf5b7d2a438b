"""What makes a mask implausible, and its size without losing what is small in it."""

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from ultrasound_jax.media.geometry import letterbox

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
    mask: UInt8[np.ndarray, "h w"], size: int
) -> tuple[UInt8[np.ndarray, "H W"], bool]:
    """The mask in a square of `size` (0: as it is), and whether a class was lost.

    By the nearest pixel, as its image's margins are. A class of which that leaves
    nothing keeps the pixel that it covers most of.
    """
    if not size:
        return mask, False
    small = letterbox(mask, size, interpolation=cv2.INTER_NEAREST)
    lost = np.setdiff1d(mask[mask > 0], small).tolist()
    for number in lost:
        _keep_a_pixel(small, mask == number, int(number))
    return small, bool(lost)


def _keep_a_pixel(
    small: UInt8[np.ndarray, "H W"], marked: Bool[np.ndarray, "h w"], number: int
) -> None:
    """Sets the pixel that is covered most, among those that no class has."""
    height, width = marked.shape
    longest, size = max(height, width), len(small)
    sides = max(1, width * size // longest), max(1, height * size // longest)
    share = cv2.resize(marked.astype(np.float32), sides, interpolation=cv2.INTER_AREA)
    top, left = (size - sides[1]) // 2, (size - sides[0]) // 2
    inside = small[top : top + sides[1], left : left + sides[0]]
    share = np.where(inside > 0, share - 2, share)
    inside[np.unravel_index(np.argmax(share), share.shape)] = number


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
