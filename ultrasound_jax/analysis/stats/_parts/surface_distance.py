"""How far the edges of two masks are from each other.

The surface of a mask is those of its pixels with a neighbour (along an axis) that is
outside; the picture's border is outside. Distances are between centres of pixels, both
ways together, as MedPy and DeepMind's surface-distance have it for equal weights.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

NAMES = ("hd95", "assd")


def surface_distances(
    found: Bool[np.ndarray, "*space k"],
    truth: Bool[np.ndarray, "*space k"],
    spacing: Sequence[float] | None = None,
) -> Float[np.ndarray, "k 2"]:
    """The 95th percentile of the distances and their mean, a row a structure.

    NaN where either mask is empty: there is no edge to be far from.

    Args:
        found: what the network gives to each structure.
        truth: what belongs to each structure.
        spacing: of pixels along each axis, e.g. mm; without, distances are in pixels.
    """
    rows = []
    for k in range(found.shape[-1]):
        rows.append(_one(found[..., k], truth[..., k], spacing))
    return np.array(rows, float).reshape(found.shape[-1], len(NAMES))


def _one(
    found: np.ndarray, truth: np.ndarray, spacing: Sequence[float] | None
) -> tuple[float, float]:
    if not found.any() or not truth.any():
        return (np.nan, np.nan)
    one, other = _surface(found), _surface(truth)
    there = _far_from(other, spacing)[one]
    back = _far_from(one, spacing)[other]
    both = np.concatenate([there, back])
    return (float(np.percentile(both, 95)), float(both.mean()))


def _far_from(
    surface: np.ndarray, spacing: Sequence[float] | None
) -> Float[np.ndarray, "*space"]:
    return np.asarray(ndimage.distance_transform_edt(~surface, sampling=spacing))


def _surface(mask: np.ndarray) -> np.ndarray:
    return mask & ~ndimage.binary_erosion(mask)
