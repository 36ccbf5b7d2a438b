"""Grey level size zones (Thibault 2009): pixels of one level that hang together."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ultrasound_jax.radiomics.features.cells import counted, measures, named
from ultrasound_jax.radiomics.region import DIRECTIONS, Region

NAMES = {
    "GrayLevelNonUniformity": "level_nonuniformity",
    "GrayLevelNonUniformityNormalized": "level_nonuniformity_normalized",
    "GrayLevelVariance": "level_variance",
    "HighGrayLevelZoneEmphasis": "high",
    "LargeAreaEmphasis": "large",
    "LargeAreaHighGrayLevelEmphasis": "large_high",
    "LargeAreaLowGrayLevelEmphasis": "large_low",
    "LowGrayLevelZoneEmphasis": "low",
    "SizeZoneNonUniformity": "size_nonuniformity",
    "SizeZoneNonUniformityNormalized": "size_nonuniformity_normalized",
    "SmallAreaEmphasis": "small",
    "SmallAreaHighGrayLevelEmphasis": "small_high",
    "SmallAreaLowGrayLevelEmphasis": "small_low",
    "ZoneEntropy": "entropy",
    "ZonePercentage": "percentage",
    "ZoneVariance": "size_variance",
}


def glszm(region: Region) -> dict[str, float]:
    """The 16 features; neighbours are the eight around a pixel."""
    zones = _zones(region)
    sizes = np.bincount(zones)
    level = np.empty(len(sizes), np.intp)
    level[zones] = region.level
    found = measures(counted(region.levels, level, sizes))
    return named(found | {"percentage": found["number"] / len(region)}, NAMES)


def _zones(region: Region) -> np.ndarray:
    """The number of each pixel's zone, from 0."""
    number = np.full((region.rows.max() + 3, region.columns.max() + 3), -1)
    number[region.rows + 1, region.columns + 1] = np.arange(len(region))
    first, second = [], []
    for down, right in DIRECTIONS:
        same = np.flatnonzero(region.neighbour(down, right) == region.level)
        rows, columns = region.rows[same] + 1 + down, region.columns[same] + 1 + right
        first.append(same)
        second.append(number[rows, columns])
    one, other = np.concatenate(first), np.concatenate(second)
    graph = coo_array((np.ones(len(one), bool), (one, other)), (len(region),) * 2)
    return connected_components(graph, directed=False)[1]
