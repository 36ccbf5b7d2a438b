"""Neighbouring grey tone difference (Amadasun and King 1989).

How far each pixel's level is from the mean of its neighbours inside the mask. A pixel
without neighbours counts with a difference of 0 (pyradiomics); IBSI leaves it out.
"""

import numpy as np

from ultrasound_jax.radiomics.region import EIGHT, Region

_ENDLESS = 1e6  # the coarseness of a region without any difference


def ngtdm(region: Region) -> dict[str, float]:
    """The 5 features; of a region of one level all but the coarseness are 0."""
    i, share, difference = _matrix(region)
    size = len(region)
    steps = i[:, None] - i[None, :]
    weighted = share * difference
    both = share[:, None] + share[None, :]
    uneven = np.abs((i * share)[:, None] - (i * share)[None, :]).sum()
    contrast = (share[:, None] * share[None, :] * steps**2).sum()
    pairs = len(i) * (len(i) - 1)
    complexity = np.abs(steps) * (weighted[:, None] + weighted[None, :]) / both
    total = difference.sum()
    found = {
        "Busyness": weighted.sum() / uneven if uneven else 0.0,
        "Coarseness": 1 / weighted.sum() if weighted.sum() else _ENDLESS,
        "Complexity": complexity.sum() / size,
        "Contrast": contrast / pairs * total / size if pairs else 0.0,
        "Strength": (both * steps**2).sum() / total if total else 0.0,
    }
    return {name: float(value) for name, value in found.items()}


def _matrix(region: Region) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The levels, the share of pixels at each, and the sum of their differences."""
    total, there = np.zeros(len(region)), np.zeros(len(region))
    for step in EIGHT:
        other = region.neighbour(*step)
        inside = other >= 0
        total += np.where(inside, region.levels[other], 0.0)
        there += inside
    own = region.levels[region.level]
    away = np.where(there > 0, np.abs(own - total / np.maximum(there, 1)), 0.0)
    share = region.counts() / len(region)
    return region.levels, share, np.bincount(region.level, away)
