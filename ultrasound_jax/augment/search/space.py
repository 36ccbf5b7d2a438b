"""Candidates: a few sub-policies of two primitives each, any of some sets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ultrasound_jax.augment import primitives

if TYPE_CHECKING:  # it takes a second to import
    from optuna.distributions import BaseDistribution

STAGES = 2  # primitives of a sub-policy, one after the other
DIGITS = 3  # of a probability and of a magnitude, as they are written
SubPolicy = list[list[Any]]  # of [name, probability, magnitude]
Point = Mapping[str, Any]  # a candidate as the estimator knows it


@dataclass(frozen=True)
class Space:
    """The primitives of some sets, and how many sub-policies a candidate has."""

    ranges: tuple[str, ...]
    sub_policies: int = 1

    @cached_property
    def known(self) -> tuple[primitives.Primitive, ...]:
        """The primitives, by name."""
        return primitives.of_sets(self.ranges)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(one.name for one in self.known)

    def distributions(self) -> "dict[str, BaseDistribution]":
        """What Optuna draws from: a name, a probability and a magnitude a stage."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution

        unit = FloatDistribution(0.0, 1.0)
        found: dict[str, BaseDistribution] = {}
        for place in self._places():
            found[f"name_{place}"] = CategoricalDistribution(self.names)
            found[f"probability_{place}"] = found[f"magnitude_{place}"] = unit
        return found

    def _places(self) -> list[str]:
        stages = range(STAGES)
        return [
            f"{sub}_{stage}" for sub in range(self.sub_policies) for stage in stages
        ]

    def candidate(self, point: Point) -> list[SubPolicy]:
        """The sub-policies of a point."""
        steps = [
            [
                point[f"name_{place}"],
                round(point[f"probability_{place}"], DIGITS),
                round(point[f"magnitude_{place}"], DIGITS),
            ]
            for place in self._places()
        ]
        return [steps[at : at + STAGES] for at in range(0, len(steps), STAGES)]

    def point(self, candidate: Sequence[SubPolicy]) -> dict[str, Any]:
        """The point of a candidate."""
        steps = [step for sub in candidate for step in sub]
        found: dict[str, Any] = {}
        for place, (name, probability, magnitude) in zip(
            self._places(), steps, strict=True
        ):
            found[f"name_{place}"] = name
            found[f"probability_{place}"] = float(probability)
            found[f"magnitude_{place}"] = float(magnitude)
        return found

    def random(self, count: int, *, seed: int) -> list[SubPolicy]:
        """So many sub-policies that nobody chose: what a search must be better than."""
        draw = np.random.default_rng(seed)
        return [
            [
                [
                    self.names[draw.integers(len(self.names))],
                    *np.round(draw.random(2), DIGITS).tolist(),
                ]
                for _ in range(STAGES)
            ]
            for _ in range(count)
        ]
