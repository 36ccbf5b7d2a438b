"""What stands on two sides of a split: names, equal pixels, and nearly equal pictures.

A side is a part of a manifest or, without one, a patient: whoever looks the same as
another patient can end up on the other side of any split.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ultrasound_jax.data.audit.thumbnails import (
    Samples,
    detail,
)
from ultrasound_jax.data.examples import ExampleTable, SplitError
from ultrasound_jax.data.manifest import Manifest, crossing
from ultrasound_jax.data.source import Source
from ultrasound_jax.media.grouping import join_names
from ultrasound_jax.media.near_duplicates import (
    HASH_RADIUS,
    near_pairs,
)
from ultrasound_jax.types import UNKNOWN

HASHED_FROM = 20_000  # pictures, from which on only those of like hashes are correlated
MOST_PAIRS = 1_000_000  # of videos, held in memory
MOST_DETAIL = 2_000  # pairs whose grain is compared


@dataclass(frozen=True)
class Pair:
    """Two videos that look alike, by the examples that look most alike.

    first, second: places in the table. correlation: of their thumbnails. times: how
    many pairs of pictures of the two are above the threshold. detail: agreement of
    the grain, None where it was not looked at.
    """

    first: int
    second: int
    correlation: float
    times: int
    crosses: bool
    labels_differ: bool
    detail: float | None = None


@dataclass(frozen=True)
class Leaks:
    """Everything found; `names` by kind and `same_pixels` only hold what crosses."""

    sides: Sequence[str] = field(repr=False)
    names: dict[str, list[str]]
    same_pixels: list[list[int]]
    pairs: list[Pair] = field(repr=False)
    least_detail: float

    @property
    def leaking(self) -> list[Pair]:
        """The pairs that cross; those whose grain was not looked at count too."""
        return [p for p in self.pairs if p.crosses and self.counts(p)]

    @property
    def clean(self) -> bool:
        """Whether nothing crosses."""
        return not (any(self.names.values()) or self.same_pixels or self.leaking)

    def counts(self, pair: Pair) -> bool:
        """Whether a pair's grain agrees enough to count."""
        return pair.detail is None or pair.detail >= self.least_detail


def sides_of(table: ExampleTable, manifest: Manifest | None) -> list[str]:
    """The side of each example; raises SplitError for another dataset's manifest."""
    return list(table.patient_id) if manifest is None else manifest.sides(table)


def find_leaks(
    source: Source,
    samples: Samples,
    sides: Sequence[str],
    *,
    threshold: float,
    least_detail: float = -1.0,
    watch: Any = iter,
) -> Leaks:
    """Compares all examples' names and pixels and all samples' pictures.

    Raises:
        SplitError: more pairs of videos above the threshold than fit into memory.
    """
    table = source.table
    kinds = ("patient_id", "video_id", "study_id")
    same = [
        [i for i, name in enumerate(table.pixel_hash) if name == equal]
        for equal in sorted(crossing(table.pixel_hash, sides))
    ]
    pairs = _pairs(table, samples, sides, threshold)
    # The grain of what matters most: what crosses, then what has two labels.
    pairs.sort(key=lambda p: (not p.crosses, not p.labels_differ, -p.correlation))
    looked = [p for p in pairs if p.crosses or p.labels_differ][:MOST_DETAIL]
    grain = [detail(source, pair.first, pair.second) for pair in watch(looked)]
    pairs[: len(looked)] = [
        replace(pair, detail=one) for pair, one in zip(looked, grain, strict=True)
    ]
    pairs.sort(key=lambda p: (not p.crosses, -(p.detail or 0), -p.correlation))
    return Leaks(
        sides=sides,
        names={kind: sorted(crossing(getattr(table, kind), sides)) for kind in kinds},
        same_pixels=same,
        pairs=pairs,
        least_detail=least_detail,
    )


def patients_to_join(table: ExampleTable, leaks: Leaks) -> list[list[str]]:
    """Groups of patients that look like one; splits stay clean if they are kept so."""
    together = [[p.first, p.second] for p in leaks.leaking] + leaks.same_pixels
    patients = [[table.patient_id[i] for i in places] for places in together]
    pairs = [(first, other) for first, *others in patients for other in others]
    groups: dict[int, list[str]] = {}
    for patient, number in sorted(join_names((), pairs).items()):
        groups.setdefault(number, []).append(patient)
    return sorted(group for group in groups.values() if len(group) > 1)


def _pairs(
    table: ExampleTable, samples: Samples, sides: Sequence[str], threshold: float
) -> list[Pair]:
    names = np.array([table.video_id[i] for i in samples.example])
    video = np.unique(names, return_inverse=True)[1].astype(np.int64)
    radius = HASH_RADIUS if len(samples.example) > HASHED_FROM else None
    found: dict[tuple[int, int], tuple[float, int, int, int]] = {}
    none = (0.0, 0, 0, 0)
    blocks = near_pairs(
        samples.thumbnails, threshold=threshold, apart=video, hash_radius=radius
    )
    for block in blocks:
        for one, other, correlation in zip(*(a.tolist() for a in block), strict=True):
            key = (int(video[one]), int(video[other]))
            best, first, second, times = found.get(key, none)
            if correlation > best:
                best, first, second = correlation, one, other
            found[key] = (best, first, second, times + 1)
        if len(found) > MOST_PAIRS:
            raise SplitError(
                f"more than {MOST_PAIRS} pairs of videos correlate above {threshold}; "
                "give a higher --threshold"
            )
    example = samples.example.tolist()
    return [
        _pair(table, sides, example[one], example[other], correlation, times)
        for correlation, one, other, times in found.values()
    ]


def _pair(
    table: ExampleTable,
    sides: Sequence[str],
    first: int,
    second: int,
    correlation: float,
    times: int,
) -> Pair:
    one, other = table.labels[first], table.labels[second]
    known = (one != UNKNOWN) & (other != UNKNOWN)
    return Pair(
        first=first,
        second=second,
        correlation=correlation,
        times=times,
        crosses=sides[first] != sides[second],
        labels_differ=bool((one[known] != other[known]).any()),
    )
