"""Pictures of one dataset that nearly show what pictures of another do."""

import tempfile
from dataclasses import dataclass
from typing import Any

import numpy as np

from ultrasound_jax.data.audit.thumbnails import sample
from ultrasound_jax.data.source import Source
from ultrasound_jax.media.near_duplicates import HASH_RADIUS, THRESHOLD, near_pairs

HASHED_FROM = 20_000  # pictures, from which on only those of like hashes are correlated
MOST_PICTURES = 20_000  # of each dataset


@dataclass(frozen=True)
class Alike:
    """Two examples of two datasets, and how far their thumbnails correlate."""

    example: str
    other: str
    correlation: float


def alike(
    source: Source,
    other: Source,
    *,
    places: np.ndarray | None = None,
    threshold: float = THRESHOLD,
    watch: Any = iter,
) -> list[Alike]:
    """For each example of `source` that has a near copy in `other`, the nearest one.

    Args:
        source: the examples that are asked about.
        other: where copies of them are looked for.
        places: the examples of `other` that matter, all by default.
        threshold: correlation of 32 x 32 thumbnails from which on pictures are alike.
        watch: wraps the places that are read, to show progress.
    """
    with tempfile.TemporaryFile() as file, tempfile.TemporaryFile() as second:
        here = sample(source, file, most=MOST_PICTURES, watch=watch)
        there = sample(other, second, most=MOST_PICTURES, watch=watch)
        matters = np.isin(there.example, places) if places is not None else slice(None)
        others = there.example[matters]
        pictures = np.concatenate([here.thumbnails, there.thumbnails[matters]])
    count = len(here.example)
    side = (np.arange(len(pictures)) >= count).astype(np.int64)
    radius = HASH_RADIUS if len(pictures) > HASHED_FROM else None
    best = np.zeros(count, np.float32)
    nearest = np.zeros(count, np.int64)
    pairs = near_pairs(pictures, threshold=threshold, apart=side, hash_radius=radius)
    for first, second, correlation in pairs:  # of two sides, so first is here
        order = np.argsort(correlation, kind="stable")
        order = order[correlation[order] > best[first[order]]]
        best[first[order]], nearest[first[order]] = correlation[order], second[order]
    found = np.flatnonzero(best)
    return [
        Alike(
            source.table.example_id[int(here.example[one])],
            other.table.example_id[int(others[nearest[one] - count])],
            float(best[one]),
        )
        for one in found.tolist()
    ]


def not_all(source: Source, other: Source) -> str:
    """What to say where `alike` takes a part of the pictures only; "" for all."""
    steps = [(one.name, -(-len(one) // MOST_PICTURES)) for one in (source, other)]
    return ", ".join(
        f"of {name} every {step}. picture of a video"
        for name, step in steps
        if step > 1
    )
