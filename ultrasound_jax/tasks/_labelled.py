"""What tasks share whose answer is a score of each class."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Array

from ultrasound_jax.tasks._protocol import Fields, OfPixels

WEIGHTS = ("none", "balanced")


@dataclass(frozen=True)
class OfLabels(OfPixels, ABC):
    """A task on examples with labels: one logit and one score a class.

    Its table's labels are known on the host, so that scores alone are kept.
    """

    NEEDS: ClassVar = ("pixels", "labels")

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the labels."""
        return self.spec[self.spec.of_role("labels")[0]].classes

    @property
    def outputs(self) -> int:
        """One logit a class."""
        return len(self.classes)

    @abstractmethod
    def scores(self, outputs: Mapping[str, Any]) -> Array:
        """The probability of each class, `b k`."""

    def keep(self, outputs: Fields, fields: Fields) -> Fields:
        """The scores."""
        return {"scores": self.scores(outputs)}

    def columns(
        self, kept: Mapping[str, np.ndarray], *, full: bool
    ) -> dict[str, np.ndarray]:
        """The scores."""
        return dict(kept)
