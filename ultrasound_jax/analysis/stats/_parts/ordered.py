"""Classes that are levels in an order: severities, grades, lung ultrasound scores."""

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from ultrasound_jax.analysis.stats._parts.resampling import ratio

_NUMBER = re.compile(r"\d+")


def are_levels(classes: Sequence[str]) -> bool:
    """Whether names say that classes are ordered: `0`, `1`, `2`, or `grade 1`, ….

    The first number in each must be one more than in the name before. A dataset in
    alphabetical order (mild, none, severe) would otherwise be taken as it lies.
    """
    found = [_NUMBER.search(name) for name in classes]
    numbers = [int(one[0]) for one in found if one]
    if len(classes) < 2 or len(numbers) < len(classes):
        return False
    return numbers == list(range(numbers[0], numbers[0] + len(classes)))


def pair_counts(
    truth: Int[np.ndarray, " n"], decided: Int[np.ndarray, " n"], levels: int
) -> Float[np.ndarray, "k k"]:
    """How many examples of each true level are given each level."""
    places = truth * levels + decided
    return (
        np.bincount(places, minlength=levels**2).reshape(levels, levels).astype(float)
    )


def quadratic_kappa(counts: Float[np.ndarray, "r k k"]) -> Float[np.ndarray, " r"]:
    """Agreement beyond chance, where an error weighs as the square of its levels.

    1 - sum(w o) / sum(w e) with w = (i - j)^2, of the counts o of each true and decided
    level, and e, those that chance alone would give (Cohen, "Weighted kappa", 1968).
    NaN where truth and decisions are all of one and the same level.
    """
    levels = np.arange(counts.shape[1])
    weights = (levels[:, None] - levels) ** 2
    expected = counts.sum(axis=2)[:, :, None] * counts.sum(axis=1)[:, None]
    # In whole numbers, so that "nothing can be wrong" is met exactly.
    chance = (weights * expected).sum(axis=(1, 2))
    wrong = (weights * counts).sum(axis=(1, 2)) * counts.sum(axis=(1, 2))
    return ratio(chance - wrong, chance)
