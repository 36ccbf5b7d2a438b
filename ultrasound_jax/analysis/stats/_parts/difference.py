"""A difference, its standard error, and what follows from these two numbers."""

import math
from dataclasses import dataclass

from scipy import stats

LEVEL = 0.95  # of every interval here


@dataclass(frozen=True)
class Difference:
    """An estimated difference with its two-sided p and 95 % interval.

    value, se: in the units of what is compared. df: degrees of freedom of Student's t;
    infinite for the normal distribution. p, low, high: None where the standard error
    is zero and the difference is not: nothing varied, so nothing can be said.
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
        ends = 0.0 if same else None
        return Difference(value, 0.0, df, 1.0 if same else None, ends, ends)
    reach = float(stats.t.isf((1 - LEVEL) / 2, df)) * se
    p = float(2 * stats.t.sf(abs(value) / se, df))
    return Difference(value, se, df, p, value - reach, value + reach)
