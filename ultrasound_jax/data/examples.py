"""The table of a dataset's examples: ids and labels, without pixels."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int8

from ultrasound_jax.types import UNKNOWN, UltrasoundError

PSEUDONYM = re.compile(r"P[0-9a-f]{10}")  # a keyed hash of the hospital's number


class SplitError(UltrasoundError):
    """Examples that cannot be split, or a manifest that does not fit its data."""


@dataclass(frozen=True, eq=False)
class ExampleTable:
    """Who and what each example shows, in the dataset's order.

    Labels are 1 present, 0 absent, -1 not annotated. `patient_id` is the unit that
    splits never divide, so it must not be empty. `data_hash` names the content, pixels
    included; a manifest is bound to it. `study_id` and `pixel_hash` are empty where
    they are not known; examples of equal `pixel_hash` show exactly the same.

    Raises:
        SplitError: columns of different lengths, an id twice or empty, a video of two
            patients, or another label.
    """

    example_id: tuple[str, ...] = field(repr=False)
    video_id: tuple[str, ...] = field(repr=False)
    patient_id: tuple[str, ...] = field(repr=False)
    labels: Int8[np.ndarray, "n k"] = field(repr=False)
    classes: tuple[str, ...]
    data_hash: str
    dataset: str = ""
    study_id: tuple[str, ...] = field(default=(), repr=False)
    pixel_hash: tuple[str, ...] = field(default=(), repr=False)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        shape = (len(self.example_id), len(self.classes))
        if self.labels.shape != shape:
            raise SplitError(f"labels are {self.labels.shape}, not {shape}")
        for name in ("video_id", "patient_id", "study_id", "pixel_hash"):
            allowed = (
                {shape[0]} if name in ("video_id", "patient_id") else {0, shape[0]}
            )
            if len(getattr(self, name)) not in allowed:
                raise SplitError(
                    f"{len(getattr(self, name))} {name}s for {shape[0]} examples"
                )
        for name, column in self.groups.items():
            if len(column) != shape[0]:
                raise SplitError(
                    f"{len(column)} cells of {name} for {shape[0]} examples"
                )
        if not np.isin(self.labels, (UNKNOWN, 0, 1)).all():
            raise SplitError("labels must be 1, 0 or -1 (not annotated)")
        self._check_ids()

    def _check_ids(self) -> None:
        empty = [
            e for e, p in zip(self.example_id, self.patient_id, strict=True) if not p
        ]
        if empty:
            raise SplitError(
                f"examples without a patient id: {some(empty)}; give the safest known "
                "group (file series, near-duplicates) in its place"
            )
        seen: set[str] = set()
        twice = [e for e in self.example_id if e in seen or seen.add(e)]
        if twice:
            raise SplitError(f"example ids that occur twice: {some(twice)}")
        owner: dict[str, str] = {}
        pairs = zip(self.video_id, self.patient_id, strict=True)
        shared = [v for v, p in pairs if owner.setdefault(v, p) != p]
        if shared:
            raise SplitError(f"videos of more than one patient: {some(shared)}")


def some(names: Iterable[str], limit: int = 5) -> str:
    """Lists up to `limit` distinct names, and how many there are beyond them."""
    names = sorted(set(names))
    rest = f" and {len(names) - limit} more" if len(names) > limit else ""
    return f"{', '.join(names[:limit])}{rest} ({len(names)} in all)"
