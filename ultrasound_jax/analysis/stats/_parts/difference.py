"""A difference, its standard error, and what follows from these two numbers."""

import math
from dataclasses import dataclass

from scipy import stats

from ultrasound_jax.analysis.stats._parts.spread import LEVEL, Spread

__all__ = ["LEVEL", "Difference", "against_zero", "of_spread"]


@dataclass(frozen=True)
class Difference:
    """An estimated difference with its two-sided p and 95 % interval.

    value, se: in the units of what is compared. df: degrees of freedom of Student's t;
    infinite for the normal distribution. p: None where the standard error is zero and
    the difference is not: nothing varied, so nothing can be said. low, high: None where
    the standard error is zero, for an interval without length says more than is known.
    """

    value: float
    se: float
    df: float
    p: float | None
    low: float | None
    high: float | None


def against_zero(value: float, variance: float, df: float = math.inf) -> Difference:
    """Tests a difference against zero by its variance.

    Two things that never differ (difference and variance zero) have p = 1.
    """
    value, se = float(value), math.sqrt(max(float(variance), 0.0))
    # What is left of a variance of zero after rounding is no variance.
    if se < 1e-12:
        same = abs(value) < 1e-12
        return Difference(value, 0.0, df, 1.0 if same else None, None, None)
    reach = float(stats.t.isf((1 - LEVEL) / 2, df)) * se
    p = float(2 * stats.t.sf(abs(value) / se, df))
    return Difference(value, se, df, p, value - reach, value + reach)


def of_spread(spread: Spread) -> Difference:
    """Tests against zero what patients make up; no p where they do not suffice."""
    df = float(spread.df)
    if not spread.testable():
        return Difference(
            float(spread.value), float(spread.error()), df, None, None, None
        )
    return against_zero(float(spread.value), float(spread.error()) ** 2, df)
