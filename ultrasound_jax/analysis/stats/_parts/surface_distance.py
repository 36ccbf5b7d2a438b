"""How far the edges of two masks are from each other.

The surface of a mask is those of its pixels with a neighbour (along an axis) that is
outside; the picture's border is outside. Distances are between centres of pixels, by
SciPy's Euclidean distance transform.

* HD95 is the larger one of the two directed 95th percentiles, from the found surface to
  the true one and back. (MedPy and older tables of this project take one percentile of
  both directions together, which is smaller where one surface has most of the pixels.)
* ASSD is the mean of the distances of both directions together.
* NSD, the normalised surface distance (Nikolov et al. 2018, surface Dice), is the share
  of both surfaces that lies within a tolerance of the other. A surface is counted in
  pixels here, in that paper by the area of its elements.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

NAMES = ("hd95", "assd", "nsd")
_ROUNDING = 1e-6  # of a distance that is the tolerance itself, and of a float32 spacing


def surface_distances(
    found: Bool[np.ndarray, "*space k"],
    truth: Bool[np.ndarray, "*space k"],
    spacing: Sequence[float] | None = None,
    *,
    tolerance: float,
) -> Float[np.ndarray, "k 3"]:
    """HD95, ASSD and NSD, a row a structure.

    NaN where either mask is empty: there is no edge to be far from. What such an
    example counts as is said where tables are judged (`mask_figures`).

    Args:
        found: what the network gives to each structure.
        truth: what belongs to each structure.
        spacing: of pixels along each axis, e.g. mm; without, distances are in pixels.
        tolerance: of NSD, in the same unit.
    """
    rows = []
    for k in range(found.shape[-1]):
        apart = directed_distances(found[..., k], truth[..., k], spacing)
        rows.append(surface_figures(apart, tolerance=tolerance))
    return np.array(rows, float).reshape(found.shape[-1], len(NAMES))


def directed_distances(
    found: Bool[np.ndarray, "*space"],
    truth: Bool[np.ndarray, "*space"],
    spacing: Sequence[float] | None = None,
) -> tuple[Float[np.ndarray, " f"], Float[np.ndarray, " t"]] | None:
    """How far each pixel of either surface is from the other surface.

    From the found one first; None where either mask is empty.
    """
    if not found.any() or not truth.any():
        return None
    # Both surfaces, and so all nearest pixels, are in the box around both masks.
    box = _box(found | truth)
    one, other = _surface(found[box]), _surface(truth[box])
    return _far_from(other, spacing)[one], _far_from(one, spacing)[other]


def surface_figures(
    apart: tuple[Float[np.ndarray, " f"], Float[np.ndarray, " t"]] | None,
    *,
    tolerance: float,
) -> tuple[float, float, float]:
    """HD95, ASSD and NSD of what `directed_distances` gives; NaN of None."""
    if apart is None:
        return (np.nan, np.nan, np.nan)
    both = np.concatenate(apart)
    near = both <= tolerance * (1 + _ROUNDING)
    far = max(np.percentile(one, 95) for one in apart)
    return float(far), float(both.mean()), float(near.mean())


def _box(mask: np.ndarray) -> tuple[slice, ...]:
    sides = []
    for axis in range(mask.ndim):
        others = tuple(a for a in range(mask.ndim) if a != axis)
        places = np.flatnonzero(mask.any(axis=others))
        sides.append(slice(int(places[0]), int(places[-1]) + 1))
    return tuple(sides)


def _far_from(
    surface: np.ndarray, spacing: Sequence[float] | None
) -> Float[np.ndarray, "*space"]:
    return np.asarray(ndimage.distance_transform_edt(~surface, sampling=spacing))


def _surface(mask: np.ndarray) -> np.ndarray:
    return mask & ~ndimage.binary_erosion(mask)
