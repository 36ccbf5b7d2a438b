"""Logistic regression on fixed features: how it is fitted, and how strictly.

Features are standardised by the examples that are fitted on; classes count alike,
however rare (`balanced`). Where classes exclude each other one regression tells them
apart, else each has its own, on the examples where it is annotated.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

ITERATIONS = 10_000
ROUNDING = 1e-6  # a feature that changes by less of its mean does not change


@dataclass(frozen=True)
class Units:
    """What is fitted on: recordings, each with the mean of its examples' features.

    labels: 1, 0, or below where nobody says. fold: the part that each belongs to.
    """

    features: Float[np.ndarray, "u d"]
    labels: Int[np.ndarray, "u k"]
    fold: Int[np.ndarray, " u"]

    def without(self, *folds: int) -> "Units":
        """Those of the other folds."""
        kept = ~np.isin(self.fold, folds)
        return Units(self.features[kept], self.labels[kept], self.fold[kept])


def units_of(
    recordings: Sequence[str],
    features: Float[np.ndarray, "n d"],
    labels: Int[np.ndarray, "n k"],
    fold: Int[np.ndarray, " n"],
    weights: Int[np.ndarray, " n"] | None = None,
) -> Units:
    """One unit for each recording, or several where its examples' labels differ.

    Examples of one recording are nearly the same; counted one by one, a long recording
    would outweigh ten short ones. Within it they count by `weights`, their frames.
    """
    keys = [(name, *row) for name, row in zip(recordings, labels.tolist(), strict=True)]
    place: dict[tuple, int] = {}
    unit = np.array([place.setdefault(key, len(place)) for key in keys])
    first = np.array([keys.index(key) for key in place])
    share = np.ones(len(unit)) if weights is None else np.maximum(weights, 1)
    sums = np.zeros((len(place), features.shape[1]))
    np.add.at(sums, unit, share[:, None] * features)
    mean = sums / np.bincount(unit, share)[:, None]
    return Units(mean, labels[first], fold[first])


@dataclass(frozen=True)
class Linear:
    """A fitted probe: the probability of each class from features."""

    mean: Float[np.ndarray, " d"]
    spread: Float[np.ndarray, " d"]
    weights: Float[np.ndarray, "k d"]
    bias: Float[np.ndarray, " k"]
    exclusive: bool

    def scores(self, features: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n k"]:
        """Each class's probability, by softmax where classes exclude each other."""
        logits = (features - self.mean) / self.spread @ self.weights.T + self.bias
        if self.exclusive:
            odds = np.exp(logits - logits.max(axis=1, keepdims=True))
            return odds / odds.sum(axis=1, keepdims=True)
        return 0.5 * (1 + np.tanh(logits / 2))


def fit(units: Units, c: float, *, exclusive: bool) -> Linear:
    """The probe of these units; `c` is the inverse strength of the L2 penalty.

    A class of which all units agree is not learned: its logit is 0, or of exclusive
    classes far below the others' where it has no unit. Features are of float32: one
    that only its rounding changes has no spread to be divided by.
    """
    mean, spread = units.features.mean(axis=0), units.features.std(axis=0)
    spread = np.where(spread > ROUNDING * np.abs(mean), spread, 1.0)
    inputs = (units.features - mean) / spread
    classes = units.labels.shape[1]
    weights, bias = np.zeros((classes, inputs.shape[1])), np.zeros(classes)
    if exclusive:
        _fit_exclusive(inputs, units.labels, c, weights, bias)
        return Linear(mean, spread, weights, bias, exclusive)
    for k in range(classes):
        known = units.labels[:, k] >= 0
        target = units.labels[known, k]
        if len(np.unique(target)) == 2:
            found, shift = _regression(inputs[known], target, c)
            weights[k], bias[k] = found[0], shift[0]
    return Linear(mean, spread, weights, bias, exclusive)


ABSENT = -30.0  # the logit of a class without a unit: a probability of 1e-13


def _fit_exclusive(
    inputs: np.ndarray,
    labels: np.ndarray,
    c: float,
    weights: np.ndarray,
    bias: np.ndarray,
) -> None:
    known = (labels == 1).sum(axis=1) == 1
    target = labels[known].argmax(axis=1)
    there = np.unique(target)
    bias[:] = ABSENT
    bias[there] = 0.0
    if len(there) < 2:
        return
    # Of two classes it is one row, of the second against the first.
    there = there[-1:] if len(there) == 2 else there
    weights[there], bias[there] = _regression(inputs[known], target, c)


def _regression(
    inputs: np.ndarray, target: np.ndarray, c: float
) -> tuple[np.ndarray, np.ndarray]:
    """The weights and the biases, a row a class.

    The penalty does not change as features are turned, and weights lie where the
    examples are: of fewer examples than features their own axes say it all, for less.
    """
    # Threads that wait for each other are slower than one, most on a busy machine.
    with threadpool_limits(1):
        return _fitted(inputs, target, c)


def _fitted(
    inputs: np.ndarray, target: np.ndarray, c: float
) -> tuple[np.ndarray, np.ndarray]:
    turn = None
    if len(inputs) < inputs.shape[1]:
        left, spread, turn = np.linalg.svd(inputs, full_matrices=False)
        inputs = left * spread
    model = LogisticRegression(C=c, class_weight="balanced", max_iter=ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of separable data
        model.fit(inputs, target)
    weights = np.asarray(model.coef_)
    if turn is not None:
        weights = weights @ turn
    return weights, np.asarray(model.intercept_)


def chosen(
    units: Units,
    grid: Sequence[float],
    *,
    exclusive: bool,
    judge: Callable[[dict[int, Linear]], float | None],
) -> tuple[float, dict[float, float | None]]:
    """The C of the grid under which inner folds predict best, and what each reached.

    Each fold of `units` is left out once; `judge` is told the probe of every left-out
    fold and says how good they are together, more being better, or None where that is
    not defined. Of equals the strictest wins.
    """
    reached: dict[float, float | None] = {}
    for c in sorted(grid):
        inner = {
            int(fold): fit(units.without(int(fold)), c, exclusive=exclusive)
            for fold in np.unique(units.fold)
        }
        reached[c] = judge(inner)
    defined = {c: value for c, value in reached.items() if value is not None}
    best = max(defined, key=lambda c: (defined[c], -c), default=min(grid))
    return best, reached
