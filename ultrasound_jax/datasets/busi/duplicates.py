"""Groups BUSI by near-duplicate pictures: the nearest to patients that it has."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ultrasound_jax.datasets.busi.files import Picture
from ultrasound_jax.datasets.image_builder import fitted
from ultrasound_jax.datasets.image_files import Reading, grey_image
from ultrasound_jax.media.near_duplicates import (
    join_views,
    near_duplicates,
)
from ultrasound_jax.media.pictures import by_view, thumbnails_of
from ultrasound_jax.types import InputError


@dataclass(frozen=True)
class Duplicates:
    """What is alike in the set.

    pictures: those that can be read, each with its group as `patient_id`.
    refused: names of the others, with the reason.
    pairs: places in `pictures`, lower first, and the correlation.
    """

    pictures: tuple[Picture, ...]
    refused: tuple[tuple[str, str], ...]
    pairs: tuple[tuple[int, int, float], ...]

    def as_metadata(self) -> dict[str, list[list[str | float]]]:
        """Names of all pairs, and once more of those with different labels."""
        told, across = [], []
        for one, other, correlation in self.pairs:
            first, second = self.pictures[one], self.pictures[other]
            pair = [first.image_id, second.image_id, round(correlation, 4)]
            told.append(pair)
            if first.label != second.label:
                across.append(pair)
        return {"duplicates": told, "cross_label_duplicates": across}

    def dropped(self, *, repeated: bool, cross_label: bool) -> dict[int, str]:
        """Places of pictures to leave out, with the reason.

        repeated: of two near duplicates only the first stays. Pairs count, not chains:
            if a picture is left out, what resembles only it stays.
        cross_label: of two near duplicates with different labels none stays.
        """
        reasons: dict[int, str] = {}
        if cross_label:
            for one, other, _ in self.pairs:
                first, second = self.pictures[one], self.pictures[other]
                if first.label != second.label:
                    reasons[one] = f"near duplicate with another label: {second.name}"
                    reasons[other] = f"near duplicate with another label: {first.name}"
        if repeated:
            for one, other, _ in sorted(self.pairs):
                if one not in reasons and other not in reasons:
                    reasons[other] = f"near duplicate of {self.pictures[one].name}"
        return reasons


def find_duplicates(
    pictures: Sequence[Picture], size: int, how: Reading | None = None
) -> Duplicates:
    """Reads every picture once; a group is named by its first picture.

    Pairs are of the pictures as stored. Groups also join pictures that are alike once
    they are fitted into a square of `size`: black margins raise correlations, and what
    is built must not look as if it crossed a split.
    """
    how = replace(how or Reading(), size=size)
    readable, refused, thumbnails = [], [], []
    found = thumbnails_of(pictures, partial(_views, how))
    for picture, small in zip(pictures, found, strict=True):
        if isinstance(small, InputError):
            reason = str(small).removeprefix(f"{picture.name}: ")
            refused.append((picture.name, reason))
        else:
            readable.append(picture)
            thumbnails.append(small)
    if not readable:
        return Duplicates((), tuple(refused), ())
    stored, *built = [near_duplicates(view) for view in by_view(thumbnails)]
    groups = join_views([stored, *built]).tolist()
    first: dict[int, str] = {}
    owned = tuple(
        replace(picture, patient_id=first.setdefault(group, f"like_{picture.image_id}"))
        for picture, group in zip(readable, groups, strict=True)
    )
    pairs = zip(
        stored.first.tolist(),
        stored.second.tolist(),
        stored.correlation.tolist(),
        strict=True,
    )
    return Duplicates(owned, tuple(refused), tuple(pairs))


def _views(how: Reading, picture: Picture) -> list[np.ndarray]:
    image = grey_image(picture.path, how, name=picture.name)
    return (
        [image, fitted(image, how.size, stretch=how.stretch)] if how.size else [image]
    )
