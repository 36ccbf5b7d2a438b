"""Copies that were mirrored or cropped, which thumbnails alone cannot see.

Each picture is compared with views of all others: mirrored, cropped by CROPS of each
side, and both. What a view correlates with is only a candidate, since two empty fans
are alike in any view; it counts if the grain agrees too, after the view is laid over
the other picture. What is not looked for: rotated copies, crops of more than MOST_CROP
a side or much more on one side than on the other, and clips of other moments.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from ultrasound_jax.data.audit.thumbnails import DETAIL_SIDE, grain_of, grey, middle
from ultrasound_jax.data.source import Source

MOST_PICTURES = 20_000  # that are looked at: each view takes a product of all by all
CROPS = (0.0, 0.02, 0.04, 0.06, 0.08)  # of each side
MOST_CROP = 0.09
CANDIDATE = 0.93  # correlation of a view from which on the grain is compared
MOST_CANDIDATES = 2_000
_SIDE, _THUMBNAIL = 64, 32  # pixels: what views are cut of, and what is correlated
_NEAREST = 3  # of each picture and view
_ROWS = 1024
_SHIFT = 8  # pixels of DETAIL_SIDE by which a view may lie off
_NEAR_CROPS = (-0.01, -0.005, 0.0, 0.005, 0.01)  # about a view's own


@dataclass(frozen=True)
class View:
    """How a picture may have been changed: mirrored `lr`, `ud` or both, and cropped."""

    mirror: str = ""
    crop: float = 0.0

    def of(self, picture: np.ndarray, side: int) -> np.ndarray:
        """A picture so changed, as a square of `side` pixels."""
        height, width = picture.shape
        rows, columns = height * (1 - 2 * self.crop), width * (1 - 2 * self.crop)
        scale = np.array([columns / side, rows / side])
        start = np.array([width, height]) * self.crop + scale / 2 - 0.5
        move = np.array([[scale[0], 0, start[0]], [0, scale[1], start[1]]])
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        if max(scale) > 2.5:  # a step would skip pixels: they are merged before
            smaller = [round(2 * side / (1 - 2 * self.crop))] * 2
            picture = cv2.resize(picture, smaller, interpolation=cv2.INTER_AREA)
            return self.of(picture, side)
        square = cv2.warpAffine(
            picture, move, (side, side), flags=how, borderMode=cv2.BORDER_REPLICATE
        )
        square = square[:, ::-1] if "lr" in self.mirror else square
        return square[::-1] if "ud" in self.mirror else square

    def __str__(self) -> str:
        words = {"": "", "lr": "mirrored", "ud": "upside down", "lrud": "turned by 180"}
        cropped = f"cropped by {self.crop:.0%} a side" if self.crop else ""
        return ", ".join(word for word in (words[self.mirror], cropped) if word)


VIEWS = (
    *(View("", crop) for crop in CROPS[1:]),
    *(View("lr", crop) for crop in CROPS),
    View("ud"),
    View("lrud"),
)


@dataclass(frozen=True)
class Moved:
    """Two examples, the second of which is a copy of the first, changed as `view`."""

    first: int
    second: int
    view: View
    correlation: float
    detail: float


def moved_copies(
    source: Source,
    examples: np.ndarray,
    sides: Sequence[str],
    *,
    known: set[tuple[int, int]],
    threshold: float,
    least_detail: float,
    watch: Callable[[str], Callable[[Any], Iterator[Any]]],
) -> tuple[list[Moved], int, int]:
    """Copies across sides, how many pictures were looked at, and candidates left out.

    Args:
        source: the examples.
        examples: places whose pictures are not empty.
        sides: of each example of the source.
        known: pairs of examples that are found already.
        threshold: correlation from which on two are alike as they are.
        least_detail: agreement of the grain from which on a view is a copy.
        watch: of a name, what wraps a sequence to show progress.
    """
    step = -(-len(examples) // MOST_PICTURES) if len(examples) else 1
    places = examples[::step].tolist()
    pictures = np.zeros((len(places), _SIDE, _SIDE), np.uint8)
    for row, place in enumerate(watch("pictures, for mirrored and cropped")(places)):
        small = grey(middle(source, place))
        pictures[row] = cv2.resize(small, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    side = np.unique([sides[i] for i in places], return_inverse=True)[1]
    plain = _units([View().of(one, _THUMBNAIL) for one in pictures])
    best: dict[tuple[int, int], tuple[float, View]] = {}
    for view in watch("views")(VIEWS):
        for one, other, correlation in _candidates(pictures, plain, view, side):
            pair = (places[one], places[other])
            as_they_are = float(plain[one] @ plain[other])
            if tuple(sorted(pair)) in known or as_they_are > threshold:
                continue  # a plain copy is like many views of the other
            if correlation > best.get(pair, (0.0, view))[0]:
                best[pair] = (correlation, view)
    ranked = sorted(best.items(), key=lambda item: -item[1][0])
    looked = ranked[:MOST_CANDIDATES]
    found: dict[tuple[int, int], Moved] = {}
    for (first, second), (correlation, view) in watch("likely copies")(looked):
        detail = aligned_detail(source, first, second, view)
        low, high = sorted((first, second))
        better = (low, high) not in found or found[low, high].detail < detail
        if detail >= least_detail and better:
            found[low, high] = Moved(first, second, view, correlation, detail)
    return list(found.values()), len(places), len(ranked) - len(looked)


def _candidates(
    pictures: UInt8[np.ndarray, "n s s"],
    plain: Float32[np.ndarray, "n d"],
    view: View,
    side: np.ndarray,
) -> Iterator[tuple[int, int, float]]:
    """Pairs of which the view of the first is like the second, a few of each first."""
    seen = _units([view.of(one, _THUMBNAIL) for one in pictures])
    for start in range(0, len(seen), _ROWS):
        rows = slice(start, start + _ROWS)
        product = seen[rows] @ plain.T
        product[side[rows, None] == side[None]] = 0.0
        count = min(_NEAREST, len(pictures))
        nearest = np.argpartition(-product, count - 1, axis=1)[:, :count]
        values = np.take_along_axis(product, nearest, axis=1)
        for row, place in zip(*np.nonzero(values > CANDIDATE), strict=True):
            yield start + int(row), int(nearest[row, place]), float(values[row, place])


def _units(views: Sequence[np.ndarray]) -> Float32[np.ndarray, "n d"]:
    flat = np.stack(views).reshape(len(views), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return flat / np.maximum(length, 1e-3 * flat.shape[1])


def aligned_detail(source: Source, first: int, second: int, view: View) -> float:
    """How far the grain of a view of the first and of the second agree.

    The best of a few crops about the view's own and of shifts by a few pixels.
    """
    one, other = (grey(middle(source, place)) for place in (first, second))
    target = grain_of(View().of(other, DETAIL_SIDE))
    inner = slice(_SHIFT, DETAIL_SIDE - _SHIFT)
    agreement = 0.0
    for off in _NEAR_CROPS:
        crop = view.crop + off
        if not 0 <= crop <= MOST_CROP:
            continue
        seen = grain_of(View(view.mirror, crop).of(one, DETAIL_SIDE))[inner, inner]
        if seen.any():
            found = cv2.matchTemplate(target, seen, cv2.TM_CCORR_NORMED)
            agreement = max(agreement, float(found.max()))
    return agreement
