"""A region of interest: its pixels, their places and their grey levels."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from ultrasound_jax.radiomics.errors import RadiomicsError

# Steps to a neighbour, down and right; the other half of the eight are their opposites.
DIRECTIONS = ((0, 1), (1, -1), (1, 0), (1, 1))
EIGHT = (*DIRECTIONS, *((-down, -right) for down, right in DIRECTIONS))
EPSILON = float(np.spacing(1.0))  # within logarithms and divisions, as in pyradiomics
MOST_BINS = 4096  # beyond which matrices of level by level do not fit a machine


@dataclass(frozen=True, eq=False)
class Region:
    """Pixels inside a mask, row by row, with their values in one image.

    values: as the image has them.
    level: place of each pixel's grey level in `levels`.
    levels: the grey levels that occur, ascending; 1 is the lowest bin.
    """

    rows: Int[np.ndarray, " n"]
    columns: Int[np.ndarray, " n"]
    values: Float[np.ndarray, " n"]
    level: Int[np.ndarray, " n"]
    levels: Float[np.ndarray, " g"]

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def _grid(self) -> Int[np.ndarray, "h w"]:
        """`level` + 1 at each place, 0 outside the mask and in a margin of one."""
        grid = np.zeros((self.rows.max() + 3, self.columns.max() + 3), np.intp)
        grid[self.rows + 1, self.columns + 1] = self.level + 1
        return grid

    def neighbour(self, down: int, right: int) -> Int[np.ndarray, " n"]:
        """The `level` of each pixel's neighbour, -1 where that is outside the mask."""
        return self._grid[self.rows + 1 + down, self.columns + 1 + right] - 1

    def counts(self) -> Int[np.ndarray, " g"]:
        """The pixels of each grey level."""
        return np.bincount(self.level, minlength=len(self.levels))

    def lines(
        self,
    ) -> Iterator[tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]]:
        """For each direction the line that a pixel is on, and its place along it."""
        for down, right in DIRECTIONS:
            line = self.columns * down - self.rows * right
            yield line, self.rows if down else self.columns


def make_region(
    image: Float[np.ndarray, "h w"], mask: Bool[np.ndarray, "h w"], bin_width: float
) -> Region:
    """The region with grey levels of a fixed bin width.

    Edges are multiples of the width (pyradiomics), also where the lowest value is none;
    IBSI's fixed bin size starts at the lowest value, or where one says.

    Raises:
        RadiomicsError: more than `MOST_BINS` bins from the lowest to the highest value.
    """
    rows, columns = np.nonzero(mask)
    values = image[rows, columns].astype(np.float64)
    if (bins := np.ptp(values) / bin_width) > MOST_BINS:
        raise RadiomicsError(
            f"values from {values.min():g} to {values.max():g} are {bins:.0f} bins of "
            f"bin_width={bin_width:g}; allowed are {MOST_BINS}"
        )
    places = np.digitize(values, bin_edges(values, bin_width))
    levels, level = np.unique(places, return_inverse=True)
    return Region(
        rows - rows.min(),
        columns - columns.min(),
        values,
        level.astype(np.intp),
        levels.astype(np.float64),
    )


def bin_edges(
    values: Float[np.ndarray, " n"], bin_width: float
) -> Float[np.ndarray, " e"]:
    """The lower edges of the bins from the lowest value's to beyond the highest."""
    low, high = values.min(), values.max()
    return np.arange(low - low % bin_width, high + 2 * bin_width, bin_width)


def checked_mask(mask: np.ndarray, shape: tuple[int, ...]) -> Bool[np.ndarray, "h w"]:
    """The mask as truth values.

    Raises:
        RadiomicsError: another size than the image's, or a mask on which nothing can be
            measured: empty, of one pixel, or a line along rows or columns.
    """
    if mask.shape != shape:
        raise RadiomicsError(
            f"the mask is {mask.shape}, the image {shape}; allowed is the same size"
        )
    inside = mask != 0
    pixels = int(inside.sum())
    if pixels == 0:
        raise RadiomicsError("the mask is empty; a region has two pixels or more")
    if pixels == 1:
        raise RadiomicsError("the mask has 1 pixel; a region has two pixels or more")
    for axis, name in ((1, "row"), (0, "column")):
        if inside.any(axis=axis).sum() == 1:
            raise RadiomicsError(
                f"the mask's {pixels} pixels lie in one {name}; a region has two rows "
                "and two columns or more"
            )
    return inside
