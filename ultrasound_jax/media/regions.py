"""The region of interest that a mask marks: its box, widened, cut out and resized.

PU2756 crops to the box around the largest outline without a margin and stretches it to
a square of 256 pixels; its own code does so with outlines that people drew.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from ultrasound_jax.types import InputError

WHOLE, ROI, MASKED, TRUE = "whole", "roi", "masked_roi", "true_roi"
KINDS = (WHOLE, ROI, MASKED, TRUE)
LARGEST, UNION = "largest", "union"
PARTS = (LARGEST, UNION)
SQUARE, STRETCHED = "square", "stretched"
SHAPES = (SQUARE, STRETCHED)


@dataclass(frozen=True)
class Box:
    """Rows from `top` to before `bottom`, columns from `left` to before `right`."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.bottom - self.top, self.right - self.left


@dataclass(frozen=True)
class Cut:
    """How a region is cut out.

    kind: the box of a mask (`roi`), the same with black outside of the mask
        (`masked_roi`), the box of the true mask (`true_roi`), or the picture (`whole`).
    margin: what each edge of the box is moved out by, in percent of the side that it
        closes; the box ends with the picture.
    part: of the mask: its `largest` piece (8-connected, by pixels), or the `union`.
    shape: `square` widens the shorter side to the longer one, so that the aspect is
        kept; `stretched` takes the box as it is.
    size: side of the square that it is resized to.

    Raises:
        InputError: a word or number that is not allowed.
    """

    kind: str
    margin: int = 0
    part: str = LARGEST
    shape: str = SQUARE
    size: int = 224

    def __post_init__(self) -> None:
        words = (("kind", KINDS), ("part", PARTS), ("shape", SHAPES))
        for name, allowed in words:
            if getattr(self, name) not in allowed:
                raise InputError(
                    f"{name}={getattr(self, name)!r} of a region, allowed: "
                    f"{', '.join(allowed)}"
                )
        if not 0 <= self.margin <= 400 or self.size < 1:
            raise InputError(
                f"margin={self.margin}, size={self.size} of a region, allowed: a "
                "margin of 0 to 400 percent, a size of 1 or more"
            )


def part_of(mask: Bool[np.ndarray, "h w"], part: str) -> Bool[np.ndarray, "h w"]:
    """The pixels that count: the largest piece of a mask, the first of equals; or all.

    The original takes the outline that encloses most, holes included.
    """
    if part == UNION or not mask.any():
        return mask
    _, labels, stats, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=8
    )
    return labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())


def box_of(mask: Bool[np.ndarray, "h w"]) -> Box | None:
    """The smallest box that holds a mask; None where it is empty."""
    if not mask.any():
        return None
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)


def widened(box: Box, cut: Cut, height: int, width: int) -> Box:
    """The box with its margin, squared if that is asked for, within the picture.

    A square that would stick out is moved in; one that is larger than the picture ends
    with it.
    """
    spans = [(box.top, box.bottom), (box.left, box.right)]
    moved = []
    for first, last in spans:
        by = round((last - first) * cut.margin / 100)
        moved.append((first - by, last + by))
    whole = (height, width)
    if cut.shape == SQUARE:
        side = max(last - first for first, last in moved)
        moved = [
            _side(first, last, side, limit)
            for (first, last), limit in zip(moved, whole, strict=True)
        ]
    (top, bottom), (left, right) = (
        (max(0, first), min(limit, last))
        for (first, last), limit in zip(moved, whole, strict=True)
    )
    return Box(top, left, bottom, right)


def _side(first: int, last: int, side: int, limit: int) -> tuple[int, int]:
    """A stretch of `side` pixels around the middle of another, within 0 to `limit`."""
    start = first - (side - (last - first)) // 2
    start = max(0, min(start, limit - side)) if side <= limit else 0
    return start, start + side


def cut_out(
    picture: UInt8[np.ndarray, "h w"], mask: Bool[np.ndarray, "h w"], cut: Cut
) -> tuple[UInt8[np.ndarray, "{cut.size} {cut.size}"], Box, bool]:
    """The region as a square, its box in the picture, and whether there was a mask.

    Without one, and of kind `whole`, it is the whole picture.

    Args:
        picture: grey.
        mask: of the structure, true or found as the kind asks.
        cut: how.
    """
    height, width = picture.shape
    whole = Box(0, 0, height, width)
    marked = part_of(mask, cut.part)
    found = box_of(marked)
    box = (
        whole
        if found is None or cut.kind == WHOLE
        else widened(found, cut, height, width)
    )
    if cut.kind == MASKED and found is not None:
        picture = np.where(marked, picture, 0).astype(np.uint8)
    inside = picture[box.top : box.bottom, box.left : box.right]
    return resized(inside, cut.size), box, found is not None


def resized(
    picture: UInt8[np.ndarray, "h w"], size: int
) -> UInt8[np.ndarray, "{size} {size}"]:
    """The picture as a square: means over areas where a side shrinks, else bilinear."""
    shrinks = max(picture.shape) > size
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(picture, (size, size), interpolation=how)


def scaled_mask(
    mask: UInt8[np.ndarray, "h w"], height: int, width: int
) -> UInt8[np.ndarray, "{height} {width}"]:
    """A mask on a picture of another size that shows the same."""
    if mask.shape == (height, width):
        return mask
    return cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
