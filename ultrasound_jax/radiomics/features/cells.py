"""What run lengths, zones and dependences have in common: level by size.

A matrix of grey level by size is held by its cells that are not empty. Every feature of
it is written once; the classes differ in what a size is and in the features' names.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from ultrasound_jax.radiomics.region import EPSILON


@dataclass(frozen=True, eq=False)
class Cells:
    """How often each pair of a grey level and a size occurs."""

    level: Float[np.ndarray, " c"]
    size: Float[np.ndarray, " c"]
    count: Float[np.ndarray, " c"]


def counted(
    levels: Float[np.ndarray, " g"],
    level: Int[np.ndarray, " n"],
    size: Int[np.ndarray, " n"],
) -> Cells:
    """The cells of things with a place in `levels` and a size each."""
    keys, count = np.unique(level * (int(size.max()) + 1) + size, return_counts=True)
    place, sizes = np.divmod(keys, int(size.max()) + 1)
    return Cells(levels[place], sizes.astype(np.float64), count.astype(np.float64))


def measures(cells: Cells) -> dict[str, float]:
    """All features of such a matrix, by what they measure."""
    i, j, count = cells.level, cells.size, cells.count
    total = count.sum()
    share = count / total
    level_sums, size_sums = _sums(i, count), _sums(j, count)
    level_mean, size_mean = (share * i).sum(), (share * j).sum()
    found = {
        "small": (share / j**2).sum(),
        "large": (share * j**2).sum(),
        "low": (share / i**2).sum(),
        "high": (share * i**2).sum(),
        "small_low": (share / (i**2 * j**2)).sum(),
        "small_high": (share * i**2 / j**2).sum(),
        "large_low": (share * j**2 / i**2).sum(),
        "large_high": (share * i**2 * j**2).sum(),
        "level_nonuniformity": (level_sums**2).sum() / total,
        "level_nonuniformity_normalized": (level_sums**2).sum() / total**2,
        "size_nonuniformity": (size_sums**2).sum() / total,
        "size_nonuniformity_normalized": (size_sums**2).sum() / total**2,
        "level_variance": (share * (i - level_mean) ** 2).sum(),
        "size_variance": (share * (j - size_mean) ** 2).sum(),
        "entropy": -(share * np.log2(share + EPSILON)).sum(),
        "number": total,
    }
    return {name: float(value) for name, value in found.items()}


def named(found: Mapping[str, float], names: Mapping[str, str]) -> dict[str, float]:
    """The measures that a class has, under its own names."""
    return {name: found[measure] for name, measure in names.items()}


def _sums(key: Float[np.ndarray, " c"], count: Float[np.ndarray, " c"]) -> np.ndarray:
    _, place = np.unique(key, return_inverse=True)
    return np.bincount(place, count)
