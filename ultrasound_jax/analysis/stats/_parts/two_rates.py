"""What sensitivity and specificity say together: likelihood ratios, predictive values.

With the pretest odds o of a prevalence, Bayes' rule makes of the likelihood ratios

    LR+ = sensitivity / (1 - specificity)     PPV = o LR+ / (1 + o LR+)
    LR- = (1 - sensitivity) / specificity     NPV = 1 / (1 + o LR-)

so that an interval of a logarithm of a likelihood ratio is one of the predictive value
at any prevalence (Simel, Samsa and Matchar 1991; Mercaldo, Lau and Zhou 2007). It is
made of the intervals that sensitivity and specificity have over patients (`spread`),
which hold near 0 and 1, where the delta method's, symmetric about the logarithm, do
not: each end is as far from the value as the two ends, on the logarithm's scale, that
lead there, squared and summed (MOVER; Zou and Donner 2008). Where patients who have
more of one right also have more of the other right, the correlation makes it longer;
nothing makes it shorter, for few patients tell a correlation badly. A rate of 0 or 1
has no logarithm: its distances are measured from the rate that half a right and half a
wrong example more would give.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import special

from ultrasound_jax.analysis.stats._parts.spread import PRIOR, of_ratio

Ends = tuple[float, float]


@dataclass(frozen=True)
class TwoRates:
    """Sensitivity and specificity, and intervals of the ratios' logarithms.

    sensitivity, specificity: None without such examples. positive, negative: ends of
    the logarithm of LR+ and LR-, None where a side is of fewer than two effective
    patients.
    """

    sensitivity: float | None
    specificity: float | None
    positive: Ends | None
    negative: Ends | None

    def likelihood_ratio(self, positive: bool) -> tuple[float | None, Ends | None]:
        """LR+ or LR- with its interval; both None where it is infinite or 0 / 0."""
        if self.sensitivity is None or self.specificity is None:
            return None, None
        above, below = self.sensitivity, 1 - self.specificity
        if not positive:
            above, below = 1 - self.sensitivity, self.specificity
        ends = self.positive if positive else self.negative
        if below <= 0:
            return None, None
        value = above / below
        if ends is None or not math.isfinite(ends[1]):
            return value, None
        return value, _around(value, (math.exp(ends[0]), math.exp(ends[1])))

    def predictive_value(
        self, positive: bool, prevalence: float
    ) -> tuple[float | None, Ends | None]:
        """PPV or NPV at a prevalence; both None where nothing would be called so."""
        if self.sensitivity is None or self.specificity is None:
            return None, None
        right, wrong = prevalence * self.sensitivity, 1 - prevalence
        wrong *= 1 - self.specificity
        ends, odds = self.positive, math.log(prevalence / (1 - prevalence))
        if not positive:
            right = (1 - prevalence) * self.specificity
            wrong = prevalence * (1 - self.sensitivity)
            # NPV falls as LR- rises.
            ends, odds = self.negative and _turned(self.negative), -odds
        if right + wrong <= 0:
            return None, None
        found = ends and (_logistic(odds + ends[0]), _logistic(odds + ends[1]))
        value = right / (right + wrong)
        return value, _around(value, found)


def two_rates(
    hits: Float[np.ndarray, " p"],
    positives: Float[np.ndarray, " p"],
    quiet: Float[np.ndarray, " p"],
    negatives: Float[np.ndarray, " p"],
) -> TwoRates:
    """Of each patient's right ones among the positives and among the negatives."""
    found = [_rate(hits, positives), _rate(quiet, negatives)]
    values = [rate.value if rate else None for rate in found]
    one, two = found
    if one is None or two is None or math.isnan(one.low + two.low):
        return TwoRates(values[0], values[1], None, None)
    # LR+ rises and LR- falls with either rate: what makes one rate high and the other,
    # too, makes them longer.
    size = math.sqrt(float(one.parts @ one.parts) * float(two.parts @ two.parts))
    together = max(float(one.parts @ two.parts) / size, 0.0) if size else 0.0
    return TwoRates(
        values[0],
        values[1],
        _of_ratio(one, two.turned(), together),
        _of_ratio(one.turned(), two, together),
    )


@dataclass(frozen=True, eq=False)
class _Rate:
    """A rate with its interval; inside: the rate, or one that is not 0 or 1."""

    value: float
    inside: float
    low: float
    high: float
    parts: Float[np.ndarray, " p"]

    def turned(self) -> "_Rate":
        """Of what it is not the rate of."""
        return _Rate(
            1 - self.value, 1 - self.inside, 1 - self.high, 1 - self.low, -self.parts
        )


def _rate(
    right: Float[np.ndarray, " p"], trials: Float[np.ndarray, " p"]
) -> _Rate | None:
    total = float(trials.sum())
    if not total:
        return None
    found = of_ratio(right, trials)
    value = float(found.value)
    low, high = (float(end) for end in found.bounded())
    inside = value
    if value in (0.0, 1.0):
        inside = (total * value + PRIOR) / (total + 2 * PRIOR)
        inside = min(max(inside, low), high)
    parts = (right - value * trials) / total
    return _Rate(value=value, inside=inside, low=low, high=high, parts=parts)


def _of_ratio(above: _Rate, below: _Rate, together: float) -> Ends:
    """The ends of the logarithm of above / below; infinite where nothing bounds it."""
    middle = _log(above.inside) - _log(below.inside)
    ends = []
    for sign, own, other in (
        (-1, above.low, below.high),
        (1, above.high, below.low),
    ):
        far = abs(_log(own) - _log(above.inside))
        away = abs(_log(below.inside) - _log(other))
        reach = math.hypot(far, away)
        if math.isfinite(reach):
            reach = math.sqrt(reach**2 + 2 * together * far * away)
        ends.append(middle + sign * reach)
    return ends[0], ends[1]


def _log(x: float) -> float:
    return math.log(x) if x > 0 else -math.inf


def _turned(ends: Ends) -> Ends:
    return -ends[1], -ends[0]


def _logistic(x: float) -> float:
    return float(special.expit(x))


def _around(value: float, ends: Ends | None) -> Ends | None:
    """Ends that hold the value, which a rate of 0 or 1 puts outside."""
    return ends and (min(ends[0], value), max(ends[1], value))
