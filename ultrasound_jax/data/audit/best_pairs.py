"""The best pairs of a set in which nearly everything may be like everything."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree

Rows = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


class BestPairs:
    """Pairs of videos by their most alike pictures, at most so many.

    Where there are more, those across sides come first, then the most alike. A pair
    that alone joins two videos across sides is always kept, so that groups stay whole.

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
        self._waiting: list[Rows] = []
        self._count = 0

    def add(
        self,
        first: Int[np.ndarray, " p"],
        second: Int[np.ndarray, " p"],
        correlation: Float[np.ndarray, " p"],
    ) -> None:
        """Takes pairs of pictures of different videos."""
        key = self._video[first] * self._videos + self._video[second]
        times = np.ones(len(key), np.int64)
        one = self._merged([(key, first, second, correlation, times)])
        self._waiting.append(one)
        self._count += len(one[0])
        if self._count > 4 * self._most:
            self._compact()

    def rows(self) -> Iterator[tuple[int, int, float, int]]:
        """Two pictures, their correlation, and how many of their videos are alike."""
        self._compact()
        for _, *columns in self._waiting:
            yield from zip(*(column.tolist() for column in columns), strict=True)

    @staticmethod
    def _merged(parts: list[Rows]) -> Rows:
        """Each pair of videos once, by its best pictures."""
        key, first, second, correlation, times = (
            np.concatenate([part[k] for part in parts]) for k in range(5)
        )
        order = np.lexsort((second, first, -correlation, key))
        key, begins = np.unique(key[order], return_index=True)
        summed = np.add.reduceat(times[order], begins) if len(key) else times
        best = order[begins]
        return key, first[best], second[best], correlation[best], summed

    def _compact(self) -> None:
        if not self._waiting:
            return
        rows = self._merged(self._waiting)
        if len(rows[0]) > self._most:
            kept = self._chosen(rows)
            self.dropped += len(rows[0]) - int(kept.sum())
            key, first, second, correlation, times = rows
            rows = (
                key[kept],
                first[kept],
                second[kept],
                correlation[kept],
                times[kept],
            )
        self._waiting, self._count = [rows], len(rows[0])

    def _chosen(self, rows: Rows) -> np.ndarray:
        key, first, second, correlation, _ = rows
        crosses = self._side[first] != self._side[second]
        ends = self._video[first[crosses]], self._video[second[crosses]]
        shape = (self._videos, self._videos)
        length = 2.0 - correlation[crosses].astype(np.float64)  # never zero
        tree = minimum_spanning_tree(coo_array((length, ends), shape)).tocoo()
        joins = np.isin(key, tree.row.astype(np.int64) * self._videos + tree.col)
        order = np.lexsort((-correlation, ~crosses, ~joins))
        kept = np.zeros(len(key), bool)
        kept[order[: max(self._most, int(joins.sum()))]] = True
        return kept
