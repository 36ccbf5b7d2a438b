"""What stands on two sides of a split: names, equal pixels, and nearly equal pictures.

A side is a part of a manifest or, without one, a patient: whoever looks the same as
another patient can end up on the other side of any split.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ultrasound_jax.data.audit.best_pairs import BestPairs
from ultrasound_jax.data.audit.moved import Moved, moved_copies
from ultrasound_jax.data.audit.thumbnails import (
    COPY,
    Samples,
    detail,
)
from ultrasound_jax.data.examples import ExampleTable
from ultrasound_jax.data.manifest import Manifest, crossing
from ultrasound_jax.data.source import Source
from ultrasound_jax.media.grouping import join_names
from ultrasound_jax.media.near_duplicates import (
    HASH_RADIUS,
    near_pairs,
)
from ultrasound_jax.types import UNKNOWN

HASHED_FROM = 20_000  # pictures, from which on only those of like hashes are correlated
MOST_PAIRS = 100_000  # of videos, held in memory; of more the best are kept
MOST_DETAIL = 2_000  # pairs whose grain is compared


@dataclass(frozen=True)
class Pair:
    """Two videos that look alike, by the examples that look most alike.

    first, second: places in the table. correlation: of their thumbnails. times: how
    many pairs of pictures of the two are above the threshold. detail: agreement of
    the grain, None where it was not looked at. how: what was done to the first one, as
    "mirrored", where the second is no plain copy.
    """

    first: int
    second: int
    correlation: float
    times: int
    crosses: bool
    labels_differ: bool
    detail: float | None = None
    how: str = ""


@dataclass(frozen=True)
class Leaks:
    """Everything found; `names` by kind and `same_pixels` only hold what crosses."""

    sides: Sequence[str] = field(repr=False)
    names: dict[str, list[str]]
    same_pixels: list[list[int]]
    pairs: list[Pair] = field(repr=False)
    least_detail: float
    dropped: int = 0  # pairs that are alike and were too many to keep
    viewed: int = 0  # pictures of which mirrored and cropped copies were looked for
    not_viewed: int = 0  # likely ones of these that were too many to look at

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
    watch: Callable[[str], Any] = lambda what: iter,
) -> Leaks:
    """Compares all examples' names and pixels and all samples' pictures.

    `watch` makes of a name what wraps a sequence to show progress. Of more pairs than
    MOST_PAIRS the best are kept, and those that join patients.
    """
    table = source.table
    kinds = ("patient_id", "video_id", "study_id")
    same = [
        [i for i, name in enumerate(table.pixel_hash) if name == equal]
        for equal in sorted(crossing(table.pixel_hash, sides))
    ]
    pairs, dropped = _pairs(
        table, samples, sides, threshold, watch("blocks of pictures")
    )
    # The grain of what matters most: what crosses, then what has two labels.
    pairs.sort(key=lambda p: (not p.crosses, not p.labels_differ, -p.correlation))
    looked = [p for p in pairs if p.crosses or p.labels_differ][:MOST_DETAIL]
    grain = [detail(source, pair.first, pair.second) for pair in watch("pairs")(looked)]
    pairs[: len(looked)] = [
        replace(pair, detail=one) for pair, one in zip(looked, grain, strict=True)
    ]
    moved, viewed, not_viewed = moved_copies(
        source,
        samples.example,
        sides,
        known={(min(p.first, p.second), max(p.first, p.second)) for p in pairs},
        threshold=threshold,
        least_detail=max(COPY, least_detail),
        watch=watch,
    )
    pairs += [_moved_pair(table, sides, one) for one in moved]
    pairs.sort(key=lambda p: (not p.crosses, -(p.detail or 0), -p.correlation))
    return Leaks(
        sides=sides,
        names={kind: sorted(crossing(getattr(table, kind), sides)) for kind in kinds},
        same_pixels=same,
        pairs=pairs,
        least_detail=least_detail,
        dropped=dropped,
        viewed=viewed,
        not_viewed=not_viewed,
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
    table: ExampleTable,
    samples: Samples,
    sides: Sequence[str],
    threshold: float,
    watch: Any,
) -> tuple[list[Pair], int]:
    """The pairs of videos that are alike, and how many more were not kept."""
    names = np.array([table.video_id[i] for i in samples.example])
    video = np.unique(names, return_inverse=True)[1].astype(np.int64)
    side = np.unique([sides[i] for i in samples.example], return_inverse=True)[1]
    radius = HASH_RADIUS if len(samples.example) > HASHED_FROM else None
    kept = BestPairs(video, side, most=MOST_PAIRS)
    blocks = near_pairs(
        samples.thumbnails,
        threshold=threshold,
        apart=video,
        hash_radius=radius,
        watch=watch,
    )
    for block in blocks:
        kept.add(*block)
    example = samples.example.tolist()
    return [
        _pair(table, sides, example[one], example[other], correlation, times)
        for one, other, correlation, times in kept.rows()
    ], kept.dropped


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


def _moved_pair(table: ExampleTable, sides: Sequence[str], one: Moved) -> Pair:
    plain = _pair(table, sides, one.first, one.second, one.correlation, 1)
    return replace(plain, detail=one.detail, how=str(one.view))
