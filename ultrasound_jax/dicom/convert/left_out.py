"""Frames that are not shown: where they stand among the frames that are written.

They keep their place, so that numbers, times and labelled ranges stay true: they are
black in films and clips, and have no file where every frame is one.
"""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Int


def places(order: Int[np.ndarray, " n"], frames: Iterable[int]) -> frozenset[int]:
    """The numbers, from 1, under which frames of the source are written.

    Args:
        order: which frame of the source, from 0, each written frame is.
        frames: numbers of frames of the source, from 1.
    """
    among = np.isin(order, [number - 1 for number in frames])
    return frozenset((np.flatnonzero(among) + 1).tolist())
