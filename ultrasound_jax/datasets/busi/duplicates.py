"""Groups BUSI by near-duplicate pictures: the nearest to patients that it has."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ultrasound_jax.datasets.busi.files import Picture
from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.images import grey, read_picture, thumbnails_of
from ultrasound_jax.datasets.near_duplicates import near_duplicates


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


def find_duplicates(pictures: Sequence[Picture]) -> Duplicates:
    """Reads every picture once; a group is named by its first picture."""
    readable, refused, thumbnails = [], [], []
    for picture, small in zip(pictures, thumbnails_of(pictures, _read), strict=True):
        if isinstance(small, DatasetError):
            reason = str(small).removeprefix(f"{picture.name}: ")
            refused.append((picture.name, reason))
        else:
            readable.append(picture)
            thumbnails.append(small)
    if not readable:
        return Duplicates((), tuple(refused), ())
    found = near_duplicates(np.stack(thumbnails))
    first: dict[int, str] = {}
    for picture, group in zip(readable, found.group.tolist(), strict=True):
        first.setdefault(group, f"like_{picture.image_id}")
    owned = tuple(
        replace(picture, patient_id=first[group])
        for picture, group in zip(readable, found.group.tolist(), strict=True)
    )
    pairs = zip(
        found.first.tolist(),
        found.second.tolist(),
        found.correlation.tolist(),
        strict=True,
    )
    return Duplicates(owned, tuple(refused), tuple(pairs))


def _read(picture: Picture) -> np.ndarray:
    return grey(read_picture(picture.path, name=picture.name), name=picture.name)
