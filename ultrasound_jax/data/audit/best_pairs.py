"""The best pairs of a set in which nearly everything may be like everything."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

# Key of the two videos, the two pictures, their correlation, how many pictures it
# stands for, and what it is ranked by.
Rows = tuple[np.ndarray, ...]
_CROSSES = 2.0  # added to a correlation across sides, so that these come first


class BestPairs:
    """Pairs of videos by their most alike pictures, at most so many.

    Where there are more, those across sides come first, then the most alike. Pairs that
    join what nothing before them has joined across sides are always kept, so that
    groups stay whole. Work is in proportion to what is added; memory is to `most`.

    Args:
        video: the video of each picture, as numbers from 0.
        side: the side of each picture.
        most: pairs that are kept.
    """

    def __init__(
        self, video: Int[np.ndarray, " n"], side: Int[np.ndarray, " n"], *, most: int
    ) -> None:
        self.dropped = 0
        self._video, self._side, self._most = video, side, most
        self._videos = int(video.max(initial=0)) + 1
        self._group = np.arange(self._videos)
        self._joins: list[Rows] = []
        self._others: list[Rows] = []
        self._floor = -np.inf

    def add(
        self,
        first: Int[np.ndarray, " p"],
        second: Int[np.ndarray, " p"],
        correlation: Float[np.ndarray, " p"],
    ) -> None:
        """Takes pairs of pictures of different videos."""
        one, other = self._video[first], self._video[second]
        crosses = self._side[first] != self._side[second]
        rank = correlation + _CROSSES * crosses
        times = np.ones(len(first), np.int64)
        rows = (one * self._videos + other, first, second, correlation, times, rank)
        joins = np.zeros(len(first), bool)
        apart = np.flatnonzero(crosses & (self._group[one] != self._group[other]))
        if len(apart):
            joins[apart[self._joining(one[apart], other[apart], rank[apart])]] = True
            self._joins.append(tuple(column[joins] for column in rows))
        worth = np.flatnonzero(~joins & (rank > self._floor))
        self.dropped += int((~joins).sum()) - len(worth)
        self._others.append(self._top(tuple(c[worth] for c in rows), self._most))
        if sum(len(part[0]) for part in self._others) > 4 * self._most:
            merged = _merged(self._others)
            self._others = [self._top(merged, self._most)]
            if len(merged[0]) > self._most:
                self._floor = float(self._others[0][5].min())

    def rows(self) -> Iterator[tuple[int, int, float, int]]:
        """Two pictures, their correlation, and how many of their videos are alike."""
        if not self._others:
            return
        joining = [part[0] for part in self._joins]
        rows = _merged([*self._joins, *self._others])
        if len(rows[0]) > self._most:
            always = np.isin(rows[0], np.concatenate([np.zeros(0, np.int64), *joining]))
            forest = tuple(column[always] for column in rows)
            room = max(self._most - len(forest[0]), 0)
            rest = self._top(tuple(column[~always] for column in rows), room)
            rows = _merged([forest, rest])
        _, first, second, correlation, times, _ = (column.tolist() for column in rows)
        yield from zip(first, second, correlation, times, strict=True)

    def _joining(
        self, one: np.ndarray, other: np.ndarray, rank: np.ndarray
    ) -> np.ndarray:
        """The places of the best pairs that join groups, which are then one."""
        groups = self._group[one], self._group[other]
        low, high = np.minimum(*groups), np.maximum(*groups)
        order = np.argsort(-rank, kind="stable")
        links, place = np.unique((low * self._videos + high)[order], return_index=True)
        place = order[place]
        length = _CROSSES + 2.0 - rank[place].astype(np.float64)  # never zero
        shape = (self._videos, self._videos)
        graph = coo_array((length, (low[place], high[place])), shape)
        tree = minimum_spanning_tree(graph).tocoo()
        _, label = connected_components(tree, directed=False)
        self._group = label[self._group].astype(np.int64)
        found = tree.row.astype(np.int64) * self._videos + tree.col
        return place[np.searchsorted(links, found)]

    def _top(self, rows: Rows, most: int) -> Rows:
        """The best of some rows; the others are counted as dropped."""
        count = len(rows[0])
        if count <= most:
            return rows
        self.dropped += count - most
        best = np.sort(np.argpartition(-rows[5], most)[:most])
        return tuple(column[best] for column in rows)


def _merged(parts: list[Rows]) -> Rows:
    """Each pair of videos once, by its best pictures."""
    rows = tuple(np.concatenate([part[k] for part in parts]) for k in range(6))
    key, first, second, correlation, times, rank = rows
    order = np.lexsort((second, first, -correlation, key))
    key, begins = np.unique(key[order], return_index=True)
    summed = np.add.reduceat(times[order], begins) if len(key) else times
    best = order[begins]
    return key, first[best], second[best], correlation[best], summed, rank[best]
