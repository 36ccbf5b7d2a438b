"""Grey level run lengths (Galloway 1975): pixels of one level in a row.

One matrix for each of the four directions; a feature is the mean over the directions in
which two pixels of the region lie on one line (IBSI's `2D, averaged`), and NaN where
there is no such direction. IBSI takes all directions.
"""

from collections.abc import Iterator

import numpy as np

from ultrasound_jax.radiomics.features.cells import Cells, counted, measures, named
from ultrasound_jax.radiomics.region import Region

NAMES = {
    "GrayLevelNonUniformity": "level_nonuniformity",
    "GrayLevelNonUniformityNormalized": "level_nonuniformity_normalized",
    "GrayLevelVariance": "level_variance",
    "HighGrayLevelRunEmphasis": "high",
    "LongRunEmphasis": "large",
    "LongRunHighGrayLevelEmphasis": "large_high",
    "LongRunLowGrayLevelEmphasis": "large_low",
    "LowGrayLevelRunEmphasis": "low",
    "RunEntropy": "entropy",
    "RunLengthNonUniformity": "size_nonuniformity",
    "RunLengthNonUniformityNormalized": "size_nonuniformity_normalized",
    "RunPercentage": "percentage",
    "RunVariance": "size_variance",
    "ShortRunEmphasis": "small",
    "ShortRunHighGrayLevelEmphasis": "small_high",
    "ShortRunLowGrayLevelEmphasis": "small_low",
}


def glrlm(region: Region) -> dict[str, float]:
    """The 16 features."""
    each = [measures(cells) for cells in _matrices(region)]
    if not each:
        return dict.fromkeys(NAMES, float("nan"))
    mean = {key: float(np.mean([one[key] for one in each])) for key in each[0]}
    return named(mean | {"percentage": mean["number"] / len(region)}, NAMES)


def _matrices(region: Region) -> Iterator[Cells]:
    for line, along in region.lines():
        order = np.lexsort((along, line))
        line, along, level = line[order], along[order], region.level[order]
        follows = line[1:] == line[:-1]
        if not follows.any():
            continue
        goes_on = follows & (along[1:] == along[:-1] + 1) & (level[1:] == level[:-1])
        starts = np.flatnonzero(np.concatenate([[True], ~goes_on]))
        lengths = np.diff(np.append(starts, len(level)))
        yield counted(region.levels, level[starts], lengths)
