"""Pairs of pictures side by side, to look at."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import UInt8

TILE = 192  # pixels
_CAPTION = 44
_GAP = 6


def contact_sheet(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]],
    captions: Sequence[tuple[str, str, str]],
    *,
    columns: int = 3,
) -> UInt8[np.ndarray, "h w"]:
    """One grey picture of all pairs `(h w, h w)`, each above its three captions.

    Captions are the left one's, the right one's and one for both; the pictures are
    fitted into squares, their aspect kept.
    """
    width, height = 2 * TILE + _GAP, TILE + _CAPTION + _GAP
    rows = max(1, -(-len(pairs) // columns))
    sheet = np.full((rows * height + _GAP, columns * (width + _GAP) + _GAP), 40, "u1")
    for number, (pictures, texts) in enumerate(zip(pairs, captions, strict=True)):
        row, column = divmod(number, columns)
        top, left = _GAP + row * height, _GAP + column * (width + _GAP)
        for place, picture in enumerate(pictures):
            start = left + place * TILE
            sheet[top : top + TILE, start : start + TILE] = _fitted(picture)
            _write(sheet, texts[place], start, top + TILE + 14, TILE)
        _write(sheet, texts[2], left, top + TILE + 32, 2 * TILE)
    return sheet


def _fitted(picture: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "s s"]:
    scale = TILE / max(picture.shape)
    height, width = (max(1, round(side * scale)) for side in picture.shape)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    square = np.zeros((TILE, TILE), np.uint8)
    top, left = (TILE - height) // 2, (TILE - width) // 2
    small = cv2.resize(picture, (width, height), interpolation=how)
    square[top : top + height, left : left + width] = small
    return square


def _write(sheet: np.ndarray, text: str, left: int, base: int, room: int) -> None:
    letters = room // 7  # of OpenCV's plain font at this size
    short = text if len(text) <= letters else text[: letters - 2] + ".."
    cv2.putText(
        sheet, short, (left, base), cv2.FONT_HERSHEY_PLAIN, 0.8, 230, 1, cv2.LINE_AA
    )
