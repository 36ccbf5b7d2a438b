"""Which images show nearly the same picture, in a set of any size.

Sets without patient ids hold one patient's lesion under several numbers: saved twice,
at another zoom or with calipers. Two images are near duplicates if the Pearson
correlation of their grey 32 x 32 thumbnails is above 0.97. On BUSI that finds 198
pairs, 9 of them across labels, and 615 groups in 780 images.

How a thumbnail is made decides what is found: on BUSI area averages give 196 pairs and
OpenCV's bilinear sampling 70. Ours is a Lanczos-3 filter whose width follows the scale.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, Float32, Int, Int16, UInt8, UInt64

from ultrasound_jax.media.grouping import join
from ultrasound_jax.types import InputError

SIDE = 32
THRESHOLD = 0.97
# With 63 bits this misses none of BUSI's 198 pairs and leaves 0.2 % of all pairs to
# correlate; at 8 bits one is missed.
HASH_RADIUS = 16
BLOCK = 1024  # rows of the correlation matrix held at a time: 4 MB
CONSTANT = 0.5  # grey levels; thumbnails that vary by less have no picture in them
_LOBES = 3
_NEARLY = 1e-4  # about the threshold, where rounding could decide
_MANY = 20  # a block of which that part is close is multiplied out as a whole
_RED, _GREEN, _BLUE = 0.299, 0.587, 0.114


@dataclass(frozen=True, eq=False)
class NearDuplicates:
    """Groups and the pairs that made them, `first < second`, in order.

    group: int32 `n`; images joined by any chain of pairs share a number. Numbers follow
    the first image of each group. correlation: float32, 1 for equal constant images.
    """

    group: Int[np.ndarray, " n"]
    first: Int[np.ndarray, " p"]
    second: Int[np.ndarray, " p"]
    correlation: Float[np.ndarray, " p"]

    @property
    def groups(self) -> int:
        """How many groups there are, those of one image counted too."""
        return int(self.group.max()) + 1 if len(self.group) else 0


def thumbnail(
    image: UInt8[np.ndarray, "h w"]
    | UInt8[np.ndarray, "h w 1"]
    | UInt8[np.ndarray, "h w 3"]
    | Int16[np.ndarray, "h w"]
    | Int16[np.ndarray, "h w 1"],
) -> Float32[np.ndarray, "32 32"]:
    """Shrinks an image to 32 x 32 grey values of its own range, sides unconstrained.

    Colour becomes luminance. Not rounded: rounding loses one of BUSI's pairs.

    Raises:
        InputError: the image is empty.
    """
    if image.size == 0:
        raise InputError(f"an image of shape {image.shape} has no thumbnail")
    grey = image.astype(np.float32)
    if grey.ndim == 3:
        weights = np.array([_RED, _GREEN, _BLUE], np.float32)
        grey = grey @ weights if grey.shape[2] == 3 else grey[..., 0]
    return _lanczos(grey.shape[0]) @ grey @ _lanczos(grey.shape[1]).T


@lru_cache(maxsize=256)
def _lanczos(side: int) -> Float32[np.ndarray, "32 {side}"]:
    scale = side / SIDE
    stretch = max(scale, 1.0)  # when shrinking, the filter covers all that is merged
    centres = (np.arange(SIDE)[:, None] + 0.5) * scale
    offsets = (np.arange(side) + 0.5 - centres) / stretch
    weights = np.sinc(offsets) * np.sinc(offsets / _LOBES)
    weights[np.abs(offsets) >= _LOBES] = 0
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def perceptual_hash(
    thumbnails: Float32[np.ndarray, "n 32 32"],
) -> UInt64[np.ndarray, " n"]:
    """Signs of the 63 lowest cosine frequencies about their median (pHash).

    The mean grey and any positive contrast leave it as it is.
    """
    bits = np.zeros((len(thumbnails), 64), bool)
    for row, picture in zip(bits, thumbnails, strict=True):
        waves = cv2.dct(picture)[:8, :8].ravel()[1:]
        row[1:] = waves > np.median(waves)
    return np.packbits(bits, axis=1).view(np.uint64).reshape(-1)


def near_pairs(
    thumbnails: Float32[np.ndarray, "n 32 32"],
    *,
    threshold: float = THRESHOLD,
    apart: Int[np.ndarray, " n"] | None = None,
    hash_radius: int | None = None,
    watch: Callable[[Sequence[Any]], Iterable[Any]] = iter,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Blocks of pairs above `threshold`: first, second, correlation.

    Memory is the thumbnails once more and a few blocks: never `n * n`. A pair that
    comes near the threshold is computed again in float64, so that every machine finds
    the same ones. Images without a picture (constant) correlate with nothing; those
    of equal grey are linked in a chain, each to the next.

    Args:
        thumbnails: as `thumbnail` makes them.
        threshold: a pair's correlation is above it.
        apart: pairs with the same number here are left out, such as both in one split.
        hash_radius: correlate only pairs whose perceptual hashes differ in at most so
            many bits; None correlates all. Of 20,000 images that is 8 s of one core,
            with a radius of 16 it is 1 s; both grow with the square of the number.
        watch: wraps the blocks of pairs, to show progress.

    Raises:
        InputError: a threshold outside 0..1, or values that are not finite.
    """
    if not 0 < threshold < 1:
        raise InputError(f"near-duplicate threshold={threshold}, allowed: 0 to 1")
    if not np.isfinite(thumbnails).all():
        raise InputError("a thumbnail has values that are not finite")
    pixels = thumbnails.reshape(len(thumbnails), SIDE * SIDE)
    units, constant = _unit_vectors(pixels)
    hashes = None if hash_radius is None else perceptual_hash(thumbnails)
    starts = range(0, len(units), BLOCK)
    for start, other in watch([(s, o) for s in starts for o in starts if o >= s]):
        rows, columns = slice(start, start + BLOCK), slice(other, other + BLOCK)
        product = None
        if hashes is None:
            product = units[rows] @ units[columns].T
            close = product > threshold - _NEARLY
        else:
            bits = np.bitwise_count(hashes[rows, None] ^ hashes[None, columns])
            close = bits <= hash_radius
        first, second = np.nonzero(close)
        kept = (first + start < second + other) & ~constant[rows][first]
        kept &= ~constant[columns][second]
        if apart is not None:
            kept &= apart[rows][first] != apart[columns][second]
        first, second = first[kept], second[kept]
        if product is None and len(first) > BLOCK * len(units[columns]) // _MANY:
            product = units[rows] @ units[columns].T
        if product is None:
            found = _correlation(units, first + start, second + other)
        else:
            found = product[first, second].astype(np.float64)
            unsure = np.flatnonzero(np.abs(found - threshold) < _NEARLY)
            found[unsure] = _correlation(
                units, first[unsure] + start, second[unsure] + other
            )
        above = found > threshold
        if above.any():
            correlation = found[above].astype(np.float32)
            yield first[above] + start, second[above] + other, correlation
    yield from _equal_constants(pixels, np.flatnonzero(constant), apart)


def near_duplicates(
    thumbnails: Float32[np.ndarray, "n 32 32"],
    *,
    threshold: float = THRESHOLD,
    apart: Int[np.ndarray, " n"] | None = None,
    hash_radius: int | None = None,
) -> NearDuplicates:
    """Groups images by the pairs of `near_pairs`; arguments and errors are its."""
    blocks = list(
        near_pairs(
            thumbnails, threshold=threshold, apart=apart, hash_radius=hash_radius
        )
    )
    first, second, correlation = (
        np.concatenate([block[part] for block in blocks] or [np.zeros(0)])
        for part in range(3)
    )
    first, second = first.astype(np.int64), second.astype(np.int64)
    order = np.lexsort((second, first))
    return NearDuplicates(
        group=join(len(thumbnails), first, second),
        first=first[order],
        second=second[order],
        correlation=correlation[order].astype(np.float32),
    )


def join_views(views: Sequence[NearDuplicates]) -> Int[np.ndarray, " n"]:
    """Groups of the same images compared in several forms: alike in any is alike."""
    return join(
        len(views[0].group),
        np.concatenate([view.first for view in views]),
        np.concatenate([view.second for view in views]),
    )


def _unit_vectors(
    pixels: Float32[np.ndarray, "n d"],
) -> tuple[Float32[np.ndarray, "n d"], np.ndarray]:
    centred = pixels - pixels.mean(axis=1, keepdims=True)
    constant = np.ptp(pixels, axis=1) < CONSTANT
    length = np.linalg.norm(centred, axis=1)
    length[constant] = np.inf
    centred /= length[:, None]  # in place: a set may fill half the memory
    return centred, constant


def _correlation(
    units: Float32[np.ndarray, "n d"],
    first: Int[np.ndarray, " p"],
    second: Int[np.ndarray, " p"],
) -> Float[np.ndarray, " p"]:
    found = np.empty(len(first))
    for start in range(0, len(first), BLOCK):
        part = slice(start, start + BLOCK)
        found[part] = np.einsum(
            "nd,nd->n", units[first[part]], units[second[part]], dtype=np.float64
        )
    return found


def _equal_constants(
    pixels: Float32[np.ndarray, "n d"],
    constant: Int[np.ndarray, " c"],
    apart: Int[np.ndarray, " n"] | None,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    grey = np.rint(pixels[constant].mean(axis=1))
    sides = np.zeros(len(constant)) if apart is None else apart[constant]
    # Ordered by side too, so that a chain crosses between any two sides it touches.
    order = np.lexsort((constant, sides, grey))
    chain, grey, sides = constant[order], grey[order], sides[order]
    linked = grey[1:] == grey[:-1]
    if apart is not None:
        linked &= sides[1:] != sides[:-1]
    one, other = chain[:-1][linked], chain[1:][linked]
    if len(one):
        ones = np.ones(len(one), np.float32)
        yield np.minimum(one, other), np.maximum(one, other), ones
