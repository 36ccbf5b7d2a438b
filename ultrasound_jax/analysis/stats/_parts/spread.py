"""How sure a number is that patients make up, and what interval follows.

What each patient adds to a number, less what as many average examples had added, is his
part; the parts add up to zero, and the sum of their squares is the variance. Patients
weigh as they have examples, so that not their number counts but that of *effective*
patients, (sum n)^2 / sum n^2 of their examples n (Kish 1965): as many as there are if
all have equally many, and hardly more than one if one has nearly all. They give the
correction for few, n / (n - 1), and Student's degrees of freedom, n - 1. With fewer
than FEWEST effective patients nothing is said: how one patient differs from others is
not known from himself. With fewer than FREEDOM degrees of freedom nothing is tested.

Between 0 and 1 the interval is made on the logit scale (Pepe 2003, section 5.2.5), of
the value and of as many independent trials as have its variance (Korn and Graubard 1998
count shares so). Two things keep it honest near 0 and 1, where few patients err and the
variance is a guess:

* `carriers` says how many patients carry the variance, (sum u^2)^2 / sum u^4 of their
  parts u. The fewer they are, the more of the variance (DOUBT / carriers^2) is replaced
  by what it were if examples of a patient were all alike: that of as many trials as
  there are effective patients.
* PRIOR is added to hits and to misses, as Jeffreys' prior has it, so that a value of 1
  has an interval as 0.999 has. A value of 1 is not worse than as many trials without a
  failure as there are effective patients (Clopper and Pearson 1934).

A difference of such numbers has Student's t on its own scale, as its test has it, with
a third of that doubt (DOUBT_APART): `alike` is its variance if examples of a patient
were all alike.

`docs/statistics.md` has what all of this is worth, simulated, beside what was rejected.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Num
from scipy import special, stats

FEWEST = 2.0  # effective patients; fewer tell nothing
FREEDOM = 4.0  # degrees of a test: two sides of three effective patients each
DOUBT, DOUBT_APART, PRIOR = 0.3, 0.1, 0.5
LEVEL = 0.95  # of every interval here
Many = np.ndarray | float  # one number or as many as there are studies
_NOTHING = 1e-24  # a variance that is what rounding leaves of none


@dataclass(frozen=True, eq=False)
class Spread:
    """A number or many (any shape), and how sure it is.

    variance: its square root is the standard error. df: Student's degrees of freedom.
    effective, carriers, alike: see the top of this file; `alike` is NaN of what has no
    bounds. trials: that cannot be more, whatever the variance says; infinite where what
    is added up is no count of hits, as Dice is none.
    """

    value: Many
    variance: Many
    df: Many
    effective: Many
    carriers: Many
    trials: Many
    alike: Many

    def known(self) -> np.ndarray | np.bool_:
        """Where there are patients enough to say anything."""
        return np.asarray(self.effective) >= FEWEST

    def testable(self) -> np.ndarray | np.bool_:
        """Where there are patients enough to decide anything."""
        return self.known() & (np.asarray(self.df) >= FREEDOM)

    def error(self) -> Many:
        """The standard error, doubt included; exactly zero where nothing varies."""
        doubt = np.minimum(DOUBT_APART / self.carriers**2, 1.0)
        doubted = (1 - doubt) * self.variance + doubt * self.alike
        variance = np.where(np.isnan(doubted), self.variance, doubted)
        return np.sqrt(np.where(self.variance > _NOTHING, variance, 0.0))

    def plain(self) -> tuple[Many, Many]:
        """The ends of value and Student's t times the standard error."""
        reach = quantile(self.df) * self.error()
        return self.value - reach, self.value + reach

    def bounded(self) -> tuple[Many, Many]:
        """The ends for a number between 0 and 1; NaN where patients do not suffice."""
        value = np.clip(self.value, 0.0, 1.0)
        alone = value * (1 - value)  # the variance of one trial
        varies = (self.variance > _NOTHING) & (alone > 1e-12)
        share = np.divide(self.variance, alone, out=np.zeros_like(alone), where=varies)
        doubt = np.minimum(DOUBT / self.carriers**2, 1.0)
        effective = np.maximum(self.effective, 1.0)
        trials = 1 / ((1 - doubt) * share + doubt / effective)
        trials = np.minimum(trials, self.trials)
        middle = (trials * value + PRIOR) / (trials + 2 * PRIOR)
        reach = quantile(self.df) / np.sqrt(trials * middle * (1 - middle))
        low, high = (special.expit(special.logit(middle) + s * reach) for s in (-1, 1))
        low, high = np.minimum(low, value), np.maximum(high, value)
        exact = ((1 - LEVEL) / 2) ** (1 / effective)
        low = np.where(value == 1, np.maximum(low, exact), low)
        high = np.where(value == 0, np.minimum(high, 1 - exact), high)
        known = self.known()
        return np.where(known, low, np.nan), np.where(known, high, np.nan)


def quantile(df: Many) -> Many:
    """How many standard errors an interval of LEVEL reaches to each side."""
    return np.asarray(stats.t.isf((1 - LEVEL) / 2, np.maximum(df, 1e-3)))


def effective_patients(sizes: Num[np.ndarray, "*s p"]) -> Many:
    """How many patients with equally many examples tell as much; 0 of nothing."""
    total = np.sum(sizes, axis=-1, dtype=float)
    squares = np.sum(np.square(sizes, dtype=float), axis=-1)
    return np.divide(total**2, squares, out=np.zeros_like(squares), where=squares > 0)


def largest_share(sizes: Num[np.ndarray, "*s p"]) -> Many:
    """The share of all examples that the patient with the most has; NaN of nothing."""
    total = np.sum(sizes, axis=-1, dtype=float)
    most = np.max(sizes, axis=-1, initial=0).astype(float)
    return np.divide(most, total, out=np.full_like(total, np.nan), where=total > 0)


def carriers(parts: Float[np.ndarray, "*s p"]) -> Many:
    """How many patients carry a variance, by their parts; 1 where nothing varies."""
    squares = np.sum(parts**2, axis=-1)
    fourth = np.sum(parts**4, axis=-1)
    varies = squares > _NOTHING
    return np.divide(
        squares**2,
        np.where(varies, fourth, 1.0),
        out=np.ones_like(squares),
        where=varies,
    )


def inflated(effective: Many) -> Many:
    """The correction n / (n - 1) for few effective patients; 1 of one or none."""
    more = effective > 1
    return np.divide(effective, effective - 1, out=np.ones_like(effective), where=more)


def of_ratio(above: Num[np.ndarray, "*s p"], below: Num[np.ndarray, "*s p"]) -> Spread:
    """That of sum(above) / sum(below) of patients, linearised (Cochran 1977)."""
    return of_ratios(above[..., None, :], below[..., None, :])


def of_ratios(
    above: Num[np.ndarray, "*s k p"], below: Num[np.ndarray, "*s k p"]
) -> Spread:
    """That of the mean of such ratios, as of the sensitivity of all classes.

    A patient's parts in two ratios are multiplied with what all patients together are
    corrected by, those in one by its own effective patients. Ratios pool their degrees
    of freedom (Welch 1947, Satterthwaite 1946), which are not more than those of the
    patients of all ratios together; the effective patients are those of the ratio that
    has fewest.
    """
    count = below.shape[-2]
    total = np.sum(below, axis=-1, dtype=float)
    safe = np.where(total > 0, total, np.nan)
    values = np.sum(above, axis=-1, dtype=float) / safe
    parts = np.asarray((above - values[..., None] * below) / safe[..., None])
    whole, own = parts.mean(axis=-2), np.sum(parts**2, axis=-1) / count**2
    worth = np.asarray(effective_patients(below))
    together = below.sum(axis=-2)
    carrying = np.count_nonzero(together, axis=-1) * np.ones(worth.shape[:-1])
    between = np.asarray(inflated(carrying))
    more = np.sum((inflated(worth) - between[..., None]) * own, axis=-1)
    pooled = inflated(worth) * own + _NOTHING
    shared = np.sum(pooled**2 / np.maximum(worth - 1, 1e-3), axis=-1)
    free = np.sum(pooled, axis=-1) ** 2 / shared
    if count > 1:
        free = np.minimum(free, effective_patients(together) - 1)
    value = values.mean(axis=-1)
    hits = np.all(above == np.rint(above), axis=(-1, -2))
    return Spread(
        value=value,
        variance=np.maximum(between * np.sum(whole**2, axis=-1) + more, 0.0),
        df=free,
        effective=np.min(worth, axis=-1),
        carriers=carriers(whole),
        trials=np.where(hits, count**2 / np.sum(1 / safe, axis=-1), np.inf),
        alike=np.full(np.shape(value), np.nan),
    )


def apart(low: np.ndarray, high: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """The ends of values[0] - values[1], of the ends of either (Newcombe 1998).

    For two numbers that do not vary together, such as those of two models of which
    neither ever errs: their own intervals say what is known.
    """
    below = np.hypot(values[0] - low[0], high[1] - values[1])
    above = np.hypot(high[0] - values[0], values[1] - low[1])
    middle = values[0] - values[1]
    return float(middle - below), float(middle + above)
