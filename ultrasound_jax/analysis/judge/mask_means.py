"""A figure of masks in every model, class and replicate of the bootstrap."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from ultrasound_jax.analysis.judge.comparison import MACRO
from ultrasound_jax.analysis.stats._parts.mask_figures import Figure, mean_of
from ultrasound_jax.analysis.stats._parts.resampling import Resampling, ratio
from ultrasound_jax.analysis.stats._parts.spread import effective_patients


@dataclass(frozen=True, eq=False)
class Mean:
    """A figure of one or several classes.

    values: the table's own and those of the replicates. above, below: of each class and
    patient the sum of, say, Dice, and over how many examples.
    """

    values: Float[np.ndarray, " r"]
    above: Float[np.ndarray, "k p"]
    below: Float[np.ndarray, "k p"]

    def told(self, key: str) -> dict[str, Any]:
        """The figure and its interval over patients, under its key."""
        return mean_of(key, list(zip(self.above, self.below, strict=True)))

    def parts(self) -> Float[np.ndarray, " p"]:
        """What each patient adds, less what as many average examples had."""
        total = np.maximum(self.below.sum(axis=1, keepdims=True), 1)
        means = self.above.sum(axis=1, keepdims=True) / total
        return ((self.above - means * self.below) / total).mean(axis=0)

    def fewest(self) -> Float[np.ndarray, " p"]:
        """The examples of each patient in the class that is worth fewest patients."""
        return self.below[int(np.argmin(effective_patients(self.below)))]


Means = dict[str, Mean]


def means_of(
    of_tables: Mapping[str, Mapping[str, Figure]],
    key: str,
    classes: tuple[str, ...],
    resampling: Resampling,
) -> dict[str, Means]:
    """A figure of each model, class and the macro, of the table and each replicate.

    With each patient's part in the table's own, and how many patients carry it.
    """
    means: dict[str, Means] = {}
    for model, found in of_tables.items():
        figure, means[model] = found[key], {}
        for k, name in enumerate(classes):
            columns = np.stack([figure.above[:, k], figure.below[:, k]], axis=1)
            above, below = resampling.sums(columns).T
            own = resampling.by_patient(columns).T
            means[model][name] = Mean(ratio(above, below), own[:1], own[1:])
    _add_macro(means)
    return means


def _add_macro(means: Mapping[str, Means]) -> None:
    """Adds the mean over the classes in which every model has the figure."""
    first = next(iter(means.values()))
    used = [
        k for k in first if not any(np.isnan(of[k].values[0]) for of in means.values())
    ]
    for of in means.values() if len(first) > 1 and used else ():
        of[MACRO] = Mean(
            values=np.mean([of[k].values for k in used], axis=0),
            above=np.concatenate([of[k].above for k in used]),
            below=np.concatenate([of[k].below for k in used]),
        )
