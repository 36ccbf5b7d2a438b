"""Grey level dependence (Sun and Wee 1983): how many neighbours are of a pixel's level.

IBSI's neighbouring grey level dependence matrix, with distance 1 and coarseness 0; a
dependence of 1 is a pixel alone.
"""

import numpy as np

from ultrasound_jax.radiomics.features.cells import counted, measures, named
from ultrasound_jax.radiomics.region import EIGHT, Region

NAMES = {
    "DependenceEntropy": "entropy",
    "DependenceNonUniformity": "size_nonuniformity",
    "DependenceNonUniformityNormalized": "size_nonuniformity_normalized",
    "DependenceVariance": "size_variance",
    "GrayLevelNonUniformity": "level_nonuniformity",
    "GrayLevelVariance": "level_variance",
    "HighGrayLevelEmphasis": "high",
    "LargeDependenceEmphasis": "large",
    "LargeDependenceHighGrayLevelEmphasis": "large_high",
    "LargeDependenceLowGrayLevelEmphasis": "large_low",
    "LowGrayLevelEmphasis": "low",
    "SmallDependenceEmphasis": "small",
    "SmallDependenceHighGrayLevelEmphasis": "small_high",
    "SmallDependenceLowGrayLevelEmphasis": "small_low",
}


def gldm(region: Region) -> dict[str, float]:
    """The 14 features."""
    dependence = np.ones(len(region), np.intp)
    for step in EIGHT:
        dependence += region.neighbour(*step) == region.level
    return named(measures(counted(region.levels, region.level, dependence)), NAMES)
