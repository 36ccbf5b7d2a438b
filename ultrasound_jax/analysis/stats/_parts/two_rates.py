"""What sensitivity and specificity say together: likelihood ratios, predictive values.

With the pretest odds o of a prevalence, Bayes' rule makes of the likelihood ratios

    LR+ = sensitivity / (1 - specificity)     PPV = o LR+ / (1 + o LR+)
    LR- = (1 - sensitivity) / specificity     NPV = 1 / (1 + o LR-)

so that an interval of a logarithm of a likelihood ratio is one of the predictive value
at any prevalence (Simel, Samsa and Matchar 1991; Mercaldo, Lau and Zhou 2007 with the
logit). Its variance is by the delta method from that of both rates over patients, with
their covariance, since a patient may have examples with and without the finding; the
papers take examples for independent. Rates of 0 and 1 have no logarithm and no
variance: for the interval, not for the value, half a right and half a wrong example are
added to as many as there are effective patients (`spread`), with the variance that this
has. Student's t has the effective patients of the rarer side, less one, degrees of
freedom.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ultrasound_jax.analysis.stats._parts.spread import PRIOR, of_ratio, quantile

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
        return value, _around(value, ends and (math.exp(ends[0]), math.exp(ends[1])))

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
    if one is None or two is None or min(one.effective, two.effective) < 2:
        return TwoRates(values[0], values[1], None, None)
    carriers = int(np.count_nonzero(positives + negatives))
    covariance = float(one.parts @ two.parts) * carriers / (carriers - 1)
    reach = float(quantile(min(one.effective, two.effective) - 1))
    ends = []
    for above, below in (
        (one.middle, 1 - two.middle),
        (1 - one.middle, two.middle),
    ):
        # LR+ rises and LR- falls with either rate: the covariance adds to both.
        variance = one.variance / above**2 + two.variance / below**2
        variance += 2 * covariance / (above * below)
        half = reach * math.sqrt(max(variance, 0.0))
        middle = math.log(above / below)
        ends.append((middle - half, middle + half))
    return TwoRates(values[0], values[1], ends[0], ends[1])


@dataclass(frozen=True, eq=False)
class _Rate:
    value: float
    middle: float
    variance: float
    parts: Float[np.ndarray, " p"]
    effective: float


def _rate(
    right: Float[np.ndarray, " p"], trials: Float[np.ndarray, " p"]
) -> _Rate | None:
    total = float(trials.sum())
    if not total:
        return None
    found = of_ratio(right, trials)
    value, effective = float(found.value), float(found.effective)
    middle = (effective * value + PRIOR) / (effective + 2 * PRIOR)
    return _Rate(
        value=value,
        middle=middle,
        variance=float(found.variance) + middle * (1 - middle) / effective**2,
        parts=(right - value * trials) / total,
        effective=effective,
    )


def _turned(ends: Ends) -> Ends:
    return -ends[1], -ends[0]


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def _around(value: float, ends: Ends | None) -> Ends | None:
    """Ends that hold the value, which a rate of 0 or 1 puts outside."""
    return ends and (min(ends[0], value), max(ends[1], value))
