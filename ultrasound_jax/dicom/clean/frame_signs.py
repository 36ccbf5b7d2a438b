"""What is kept of every frame of a cine, to tell afterwards which do not belong to it.

A few kilobytes a frame: how bright and how textured each cell of a small picture is,
and in finer tiles the hard edges that came with the frame, or went. Hard edges are what
letters have and echoes, blurred by the machine's spot, hardly do.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from ultrasound_jax.types import InputError

TILES = 60  # about how many there are along the longest side
EDGE = 40  # grey levels between direct neighbours, above which an edge is hard
NEAR = 3  # side of the neighbourhood, in pairs of pixels, that an edge may move in
DARK = (
    8  # grey level of the middle of a frame, up to which its brightest pixels are kept
)
BLANK = 16  # grey level that nothing is above in frames that show nothing at all
CELLS = 32  # about how many there are along the longest side of the small picture


@dataclass(frozen=True)
class Signs:
    """What was kept of all frames.

    light: mean of each cell. texture: mean of its edges. fresh: mean excess over `EDGE`
    of those of a tile's edges that were not there in the frame before. gone: the same
    of those that were, and are no longer. inside, cells_inside: share of each tile, and
    each cell, that will be seen. blank: whether there is nothing at all in a frame; the
    frame behind it is compared with the one before it.
    """

    light: UInt8[np.ndarray, "t v u"]
    texture: UInt8[np.ndarray, "t v u"]
    fresh: UInt8[np.ndarray, "t y x"]
    gone: UInt8[np.ndarray, "t y x"]
    inside: Float32[np.ndarray, "y x"]
    cells_inside: Float32[np.ndarray, "v u"]
    blank: Bool[np.ndarray, " t"]

    def of_frames(self, chosen: Bool[np.ndarray, " t"]) -> "Signs":
        """The signs of some frames."""
        names = "light", "texture", "fresh", "gone", "blank"
        return replace(self, **{name: getattr(self, name)[chosen] for name in names})


class SignsBuilder:
    """Takes every frame of a cine, one by one, and keeps its signs."""

    def __init__(self) -> None:
        self.frames = 0
        self._shape: tuple[int, ...] = ()
        self._before: tuple[np.ndarray, np.ndarray] | None = None
        self._blank: list[bool] = []
        names = "light", "texture", "fresh", "gone"
        self._kept = {name: bytearray() for name in names}

    def add(
        self,
        grey: UInt8[np.ndarray, "h w"],
        legible: UInt8[np.ndarray, "h w"] | None = None,
    ) -> None:
        """Takes one frame.

        Args:
            grey: the frame.
            legible: where colours will be seen, the brightest of each pixel's three.

        Raises:
            InputError: the frame's size differs from that of the frames before.
        """
        if self._shape and grey.shape != self._shape:
            (height, width), (rows, columns) = grey.shape, self._shape
            raise InputError(
                f"a frame of {width} x {height} pixels among others of {columns} x "
                f"{rows}, allowed is one size"
            )
        self._shape = grey.shape
        fine, coarse = _halvings(grey.shape)
        grey = _padded(grey, 2**coarse)
        edges = _edges(grey)
        brightest = grey
        if legible is not None:
            brightest = _padded(legible, 2**coarse)
            edges = cv2.max(edges, _edges(brightest))
        # From here on pairs of pixels will do: strokes keep their sum.
        hard = _halved(cv2.subtract(edges, np.full((1, 1), EDGE, np.float64)), 1)
        near = cv2.dilate(hard, np.ones((NEAR, NEAR), np.uint8))
        blank = int(brightest.max()) <= BLANK
        self._blank.append(blank)
        old_hard, old_near = self._before or (hard, near)
        if blank:
            old_hard, old_near = hard, near
        else:
            self._before = hard, near
        signs = {
            "light": _halved(grey, coarse),
            "texture": _halved(edges, coarse),
            "fresh": _halved(cv2.subtract(hard, old_near), fine - 1),
            "gone": _halved(cv2.subtract(old_hard, near), fine - 1),
        }
        for name, sign in signs.items():
            self._kept[name] += sign.tobytes()
        self.frames += 1

    def finish(self, mask: Bool[np.ndarray, "h w"] | None) -> Signs:
        """The signs of all frames.

        Args:
            mask: what will be seen of them; None is all.
        """
        if mask is None:
            mask = np.ones(self._shape, bool)
        fine, coarse = _halvings(self._shape)
        share = _padded(mask.astype(np.float32), 2**coarse, cv2.BORDER_CONSTANT)
        inside, cells = _halved(share, fine), _halved(share, coarse)
        light, texture, fresh, gone = (
            np.frombuffer(kept, np.uint8).reshape(self.frames, *grid.shape)
            for kept, grid in zip(
                self._kept.values(), (cells, cells, inside, inside), strict=True
            )
        )
        blank = np.array(self._blank, bool)
        return Signs(light, texture, fresh, gone, inside, cells, blank)


def _edges(picture: np.ndarray) -> np.ndarray:
    return cv2.subtract(picture, cv2.erode(picture, np.ones((3, 3), np.uint8)))


def _halvings(shape: tuple[int, ...]) -> tuple[int, int]:
    """How often the picture is halved to become tiles, from 8 pixels on, and cells."""
    longest = max(shape)
    fine = max(3, round(np.log2(longest / TILES)))
    return fine, max(fine, round(np.log2(longest / CELLS)))


def _padded(
    picture: np.ndarray, side: int, border: int = cv2.BORDER_REPLICATE
) -> np.ndarray:
    below, right = (-length % side for length in picture.shape)
    if not below and not right:
        return picture
    return cv2.copyMakeBorder(picture, 0, below, 0, right, border, value=(0,))


def _halved(picture: np.ndarray, times: int) -> np.ndarray:
    for _ in range(times):
        height, width = picture.shape
        size = (width // 2, height // 2)
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return picture
