"""The specification of a dataset: which arrays an example has, and what they mean.

A builder declares it, a source loads by it, and everything that is shaped like a batch
(compiled steps, benchmarks, exports) is derived from it. It is kept in the run.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ultrasound_jax.types import UNKNOWN, UltrasoundError

ROLES = ("pixels", "mask", "labels", "number", "group")
INDEX = "index"  # int32 `b`: the example's place in its source, -1 for a filling row
COPY = "copy"  # int32 `b`: which of an epoch's copies of the example a row is, from 0
# A number that a picture may have: mm a side of its pixels, one or one an axis of its
# mask; 0 where it is not known. Masks are then measured in mm, too.
PIXEL_MM = "pixel_mm"
Batch = dict[str, np.ndarray]


class SpecError(UltrasoundError):
    """A dataset that lacks what is asked of it, or that cannot be made into batches."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """One array of an example.

    shape: without the batch axis; None stands for an axis whose length differs from
        example to example.
    dtype: as it is stored and sent to the device, e.g. uint8.
    role: `pixels`, `mask` (moves with the pixels), `labels` (1, 0, -1 for not
        annotated), `number`, or `group` (a text that subgroups are told apart by, never
        part of a batch).
    longest: what a first axis of None is padded to in a batch.
    values: of pixels: what becomes 0 and 1, e.g. a window of Hounsfield units.
    classes: the names of the labels' columns, of the mask's values from 1 on, or of a
        number's values from 0 on where these are levels in an order; another value of
        it is not annotated.

    Raises:
        SpecError: another role, or values that do not rise.
    """

    shape: tuple[int | None, ...]
    dtype: str
    role: str
    longest: int = 0
    values: tuple[float, float] = (0.0, 255.0)
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise SpecError(f"role {self.role!r}; allowed are {', '.join(ROLES)}")
        if not self.values[0] < self.values[1]:
            raise SpecError(f"values {self.values}: the first must be the smaller one")

    @property
    def padded(self) -> bool:
        """Whether batches pad its first axis and tell `<field>_length`."""
        return bool(self.shape) and self.shape[0] is None and self.longest > 0

    def batch_shape(self, name: str) -> tuple[int, ...]:
        """The shape of one example in a batch.

        Raises:
            SpecError: an axis has no fixed length.
        """
        first = (self.longest,) if self.padded else self.shape[:1]
        shape = tuple(side for side in (*first, *self.shape[1:]) if side is not None)
        if len(shape) < len(self.shape):
            raise SpecError(
                f"field '{name}' has examples of several sizes, {_told(self.shape)}, "
                "which make no batch; give a size in config.data.options"
            )
        return shape

    def empty(self, name: str, rows: int) -> np.ndarray:
        """Rows that show nothing: zeros, and labels that nobody annotated."""
        value = UNKNOWN if self.role == "labels" else 0
        return np.full((rows, *self.batch_shape(name)), value, self.dtype)


class Spec(Mapping[str, Field]):
    """The fields of a dataset by name, in the builder's order.

    units: what an example is called, and what `video_id` groups examples into, e.g.
        `("clip", "video")`; the same word twice where each stands for itself.

    Raises:
        SpecError: labels that are not one field called `labels`.
    """

    def __init__(
        self, fields: Mapping[str, Field], units: tuple[str, str] = ("clip", "video")
    ) -> None:
        self._fields, self.units = dict(fields), units
        labels = self.of_role("labels")
        if labels not in ((), ("labels",)):
            raise SpecError(
                f"the fields with labels are {', '.join(labels)}; allowed is one, and "
                "it is called 'labels'"
            )

    def __getitem__(self, name: str) -> Field:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        inside = ", ".join(
            f"{name}: {field.dtype} {_told(field.shape)} {field.role}"
            for name, field in self._fields.items()
        )
        return f"Spec({inside})"

    @property
    def roles(self) -> dict[str, str]:
        """The role of each field of a batch."""
        return {name: field.role for name, field in self.items()}

    def of_role(self, role: str) -> tuple[str, ...]:
        """The names of the fields with a role."""
        return tuple(name for name, field in self.items() if field.role == role)

    def only(self, roles: Iterable[str], *, asked_by: str) -> "Spec":
        """The fields with these roles.

        Raises:
            SpecError: the dataset has no field with one of them.
        """
        roles = tuple(roles)
        missing = [role for role in roles if not self.of_role(role)]
        if missing:
            has = ", ".join(f"{name} ({role})" for name, role in self.roles.items())
            raise SpecError(
                f"{asked_by} needs fields with the roles {', '.join(roles)}; the "
                f"dataset has none with {', '.join(missing)}: it has {has}"
            )
        return Spec({n: f for n, f in self.items() if f.role in roles}, self.units)

    def windowed(self, centre: float, width: float) -> "Spec":
        """The same fields, their pixels seen through a window of Hounsfield units.

        Raises:
            SpecError: its pixels are grey values of 8 bits, which were windowed before.
        """
        fields = dict(self)
        for name in self.of_role("pixels"):
            if self[name].dtype == "uint8":
                raise SpecError(
                    f"config.data.hu_width={width:g} is not allowed: '{name}' is "
                    "uint8, and a window is of Hounsfield units; it must be 0"
                )
            ends = (centre - width / 2, centre + width / 2)
            fields[name] = replace(self[name], values=ends)
        return Spec(fields, self.units)

    def shapes(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """The shape, without the batch axis, and dtype of each array of a batch."""
        arrays: dict[str, tuple[tuple[int, ...], str]] = {}
        for name, field in self.items():
            if field.role == "group":
                continue
            arrays[name] = (field.batch_shape(name), field.dtype)
            if field.padded:
                arrays[f"{name}_length"] = ((), "int32")
        return arrays | {INDEX: ((), "int32")}

    def empty(self, rows: int) -> Batch:
        """A batch of filling rows."""
        batch: Batch = {}
        for name, field in self.items():
            if field.role == "group":
                continue
            batch[name] = field.empty(name, rows)
            if field.padded:
                batch[f"{name}_length"] = np.zeros(rows, np.int32)
        return batch | {INDEX: np.full(rows, -1, np.int32)}

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` reads."""
        fields = {name: asdict(field) for name, field in self.items()}
        return {"units": list(self.units), "fields": fields}

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> "Spec":
        """The specification that `to_json` gave.

        Raises:
            SpecError: it is none.
        """
        try:
            fields = {
                name: Field(**{key: _tuples(value) for key, value in field.items()})
                for name, field in tree["fields"].items()
            }
            return cls(fields, tuple(tree["units"]))
        except (KeyError, TypeError, AttributeError) as error:
            raise SpecError(f"no specification of a dataset: {error!r}") from error


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _told(shape: tuple[int | None, ...]) -> str:
    return " x ".join("?" if side is None else str(side) for side in shape) or "one"
