"""What a task says; the variation point of the loop."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ultrasound_jax.data.spec import Spec
from ultrasound_jax.types import UltrasoundError

Fields = dict[str, Array]


class TaskError(UltrasoundError):
    """A task or an option of it that is not there, or a value that is not allowed."""


class Term(NamedTuple):
    """One part of the loss, as sums, so that parts of a batch can be added.

    `total / weight` is the term; `per_example` says whose loss is not finite.
    """

    total: Float[Array, ""]
    weight: Float[Array, ""]
    per_example: Float[Array, " b"]


@runtime_checkable
class Task(Protocol):
    """What a batch asks of a network, and how its answer is kept and judged."""

    # The roles of the fields that it needs of a dataset. A class may list others by
    # USES, of which it is given those that the dataset has.
    # By `undivided` a task may say why its loss is not the sum of a batch's parts.
    NEEDS: ClassVar[tuple[str, ...]]
    # What a validation may be selected on: 1 where more is better, else -1. The loss,
    # where less is better, is always there.
    SELECT: ClassVar[Mapping[str, int]]
    spec: Spec

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of what is told apart."""
        ...

    @property
    def outputs(self) -> int:
        """How wide the head of the network is."""
        ...

    @property
    def space(self) -> tuple[int, ...]:
        """The axes of the logits between the examples and the outputs."""
        ...

    @property
    def decision(self) -> str:
        """How scores become a decision: `threshold`, `argmax`, `mask`, or `image`."""
        ...

    def floats(self, batch: Fields) -> Fields:
        """The batch as augmentation and network take it: pixels in [0, 1]."""
        ...

    def inputs(self, fields: Fields) -> dict[str, Array]:
        """The network's keyword arguments."""
        ...

    def weights(self, batch: Fields) -> dict[str, Float[Array, ""]]:
        """How many entries of the batch count in each term of the loss."""
        ...

    def loss(self, outputs: Fields, fields: Fields) -> dict[str, Term]:
        """The terms of the loss by name; the loss is the sum of the terms."""
        ...

    def scores(self, outputs: Mapping[str, Any]) -> Array:
        """The network's answer in [0, 1], for the table or for a person to see."""
        ...

    def keep(self, outputs: Fields, fields: Fields) -> Fields:
        """What leaves the device of each example."""
        ...

    def columns(
        self, kept: Mapping[str, np.ndarray], *, full: bool
    ) -> dict[str, np.ndarray]:
        """What is kept on the host of each example; `full` for the final table.

        It is called batch by batch, so that nothing large is held for a whole split.
        """
        ...

    def table(self, ids: Mapping[str, Any], columns: Mapping[str, np.ndarray]) -> Any:
        """The predictions table; `ids` are its columns that tell who a row is."""
        ...

    def quality(self, table: Any) -> dict[str, float]:
        """The numbers of SELECT that are defined for a table."""
        ...


@dataclass(frozen=True)
class OfPixels:
    """What tasks share whose network is given all pixels of an example."""

    spec: Spec

    @property
    def space(self) -> tuple[int, ...]:
        """None, unless the network answers for each place of a picture."""
        return ()

    def floats(self, batch: Fields) -> Fields:
        """The batch with its pixels as floats, 0 and 1 the ends of their values."""
        scaled = dict(batch)
        for name in self.spec.of_role("pixels"):
            low, high = self.spec[name].values
            pixels = batch[name].astype(jnp.float32)
            if low:
                pixels = pixels - low
            scaled[name] = pixels / (high - low)
            if self.spec[name].dtype != "uint8":  # units beyond the window
                scaled[name] = jnp.clip(scaled[name], 0.0, 1.0)
        return scaled

    def inputs(self, fields: Fields) -> dict[str, Array]:
        """The fields with pixels by their names, and `lengths` of padded ones."""
        inputs = {}
        for name in self.spec.of_role("pixels"):
            inputs[name] = fields[name]
            if self.spec[name].padded:
                inputs["lengths"] = fields[f"{name}_length"]
        return inputs


def check_choice(option: str, value: str, allowed: tuple[str, ...]) -> None:
    """Refuses another value of an option."""
    if value not in allowed:
        raise TaskError(
            f"config.task.options.{option}={value!r} is not allowed: it must be one of "
            f"{', '.join(allowed)}"
        )
