"""Groups of what belongs together, from pairs: SciPy's connected components."""

from collections.abc import Hashable, Iterable
from typing import TypeVar

import numpy as np
from jaxtyping import Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Name = TypeVar("Name", bound=Hashable)


def join(
    count: int, first: Int[np.ndarray, " p"], second: Int[np.ndarray, " p"]
) -> Int[np.ndarray, " n"]:
    """The group of each of `count` items that pairs make, numbered by its first."""
    pairs = coo_array((np.ones(len(first), bool), (first, second)), (count, count))
    _, found = connected_components(pairs, directed=False)
    _, begins, group = np.unique(found, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(begins))[group].astype(np.int32)


def join_names(
    names: Iterable[Name], pairs: Iterable[tuple[Name, Name]]
) -> dict[Name, int]:
    """The group of each name, numbered in the order of `names`, then of the pairs'.

    A pair may have names of its own, which hold others together.
    """
    pairs = list(pairs)
    every = dict.fromkeys([*names, *(name for pair in pairs for name in pair)])
    place = {name: number for number, name in enumerate(every)}
    ends = np.array([[place[name] for name in pair] for pair in pairs], np.int64)
    first, second = ends.reshape(-1, 2).T
    return dict(zip(every, join(len(every), first, second).tolist(), strict=True))
