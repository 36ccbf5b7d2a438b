"""AUROC, its variance and paired comparison where examples come in patients.

Clips of one patient resemble each other, and a patient may have clips with and without
a pattern. Obuchowski (Biometrics 53, 1997) sums DeLong's placement values by patient
and takes patients, not clips, for what varies. With one clip a patient this is DeLong.
Two models are judged on the same patients, so that their covariance is estimated in the
same way, and so are those of several classes, which a macro AUROC needs.

Differences are referred to Student's t, where the paper takes the normal distribution,
and patients count as they weigh (`spread`): positives and negatives have each their
effective patients, whose n / (n - 1) corrects the variance for few, and whose n - 1
degrees of freedom are pooled after Welch and Satterthwaite. With one patient who has
half of all clips, the number of patients would promise far more than is known;
`docs/statistics.md` has the sizes and powers of all tests here, simulated for 7 to 64
patients, alike and unlike.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.stats._parts import delong
from ultrasound_jax.analysis.stats._parts.difference import Difference, of_spread
from ultrasound_jax.analysis.stats._parts.spread import (
    DOUBT_APART,
    PRIOR,
    Spread,
    carriers,
    effective_patients,
    inflated,
)

_TINY = 1e-18  # so that sides that do not vary share the degrees of freedom


@dataclass(frozen=True, eq=False)
class Influence:
    """What each of `c` patients adds to the AUROCs of `s` models in one class.

    positive, negative: summed placement values of the patient's clips of that side,
    less what as many clips of average value had added, divided by all clips of that
    side. counts: how many positives and negatives he has. Between `s` and `c` there may
    be further axes, of as many tables with the same patients.
    """

    aurocs: Float[np.ndarray, "s *r"]
    positive: Float[np.ndarray, "s *r c"]
    negative: Float[np.ndarray, "s *r c"]
    counts: Int[np.ndarray, "2 *r c"]

    @property
    def sides(self) -> tuple[int, int]:
        """How many patients have positives, and how many have negatives."""
        positive, negative = np.count_nonzero(self.counts, axis=-1).tolist()
        return positive, negative

    @property
    def patients(self) -> int:
        """How many patients have either."""
        return int(np.count_nonzero(self.counts.sum(axis=0)))

    def covariance(self) -> Float[np.ndarray, "s s"]:
        """The covariance of the models' AUROCs as in the paper (Obuchowski 1997)."""
        f10, f01, f11 = (n / (n - 1) for n in (*self.sides, self.patients))
        cross = self.positive @ self.negative.T
        return (
            f10 * self.positive @ self.positive.T
            + f01 * self.negative @ self.negative.T
            + f11 * (cross + cross.T)
        )

    def effective(self) -> Float[np.ndarray, "2 *r"]:
        """How many patients the positives, and the negatives, are worth."""
        return np.asarray(effective_patients(self.counts))

    def spread(self, weights: Sequence[float]) -> Spread:
        """How sure the models' AUROCs are, taken together with these weights.

        `[1]` of one model is his AUROC, `[1, -1]` of two is their difference.
        """
        return mean_spread([self], weights)


def influence(
    labels: Float[np.ndarray, " n"],
    scores: Float[np.ndarray, "s n"],
    patient: Int[np.ndarray, " n"],
) -> Influence:
    """The patients' part in the AUROCs of one class.

    Unknown labels (NaN) are left out. `patient` numbers the patients from 0; one
    without a known label adds nothing and does not count.

    Raises:
        AnalysisError: one class only, or positives or negatives of one patient only.
    """
    known = ~np.isnan(labels)
    judged = labels[known]
    above, below = delong.placements(judged, scores[:, known])
    columns = int(patient.max()) + 1
    parts, counts = [], []
    for name, side, values in (("positives", 1, above), ("negatives", 0, below)):
        owner = patient[known][judged == side]
        counts.append(np.bincount(owner, minlength=columns))
        if np.count_nonzero(counts[-1]) < 2:
            raise AnalysisError(f"{name} of one patient only: a variance needs two")
        centred = values - values.mean(axis=1, keepdims=True)
        summed = [np.bincount(owner, row, minlength=columns) for row in centred]
        parts.append(np.stack(summed) / len(owner))
    return Influence(
        aurocs=above.mean(axis=1),
        positive=parts[0],
        negative=parts[1],
        counts=np.stack(counts),
    )


def mean_spread(classes: Sequence[Influence], weights: Sequence[float]) -> Spread:
    """How sure the mean over classes of the weighted AUROCs is.

    A patient's parts in two classes are multiplied as his parts in the two sides of one
    class are. Sides of classes pool their degrees of freedom (Welch 1947, Satterthwaite
    1946); the effective patients are those of the side that has fewest.
    """
    mixed = np.asarray(weights, float) / len(classes)
    value = np.sum([np.tensordot(mixed, f.aurocs, axes=1) for f in classes], axis=0)
    patients = np.max(
        [np.count_nonzero(f.counts.sum(axis=0), axis=-1) for f in classes], axis=0
    )
    between = inflated(patients.astype(float))
    parts = np.zeros((2, *np.shape(value), classes[0].counts.shape[-1]))
    variance, pooled, shared = (np.zeros(np.shape(value)) for _ in range(3))
    effective = np.full(np.shape(value), np.inf)
    for found in classes:
        sides = (found.positive, found.negative)
        for place, (side, worth) in enumerate(
            zip(sides, found.effective(), strict=True)
        ):
            own = np.tensordot(mixed, side, axes=1)
            parts[place] += own
            squares = np.sum(own**2, axis=-1)
            variance += (inflated(worth) - between) * squares
            squares = inflated(worth) * squares + _TINY
            pooled += squares
            shared += squares**2 / np.maximum(worth - 1, 1e-3)
            effective = np.minimum(effective, worth)
    whole = parts.sum(axis=0)
    # A pair that is ranked wrongly is of two patients, one on a side: of an AUROC, the
    # side that fewer carry tells how few err. A difference is what both models add.
    alone = np.count_nonzero(weights) == 1
    carrying = carriers(parts).min(axis=0) if alone else carriers(whole)
    # Of models that hardly err, as many trials as bound them, of which none is perfect.
    trials = np.maximum(effective, 1.0) / DOUBT_APART
    means = np.mean([found.aurocs for found in classes], axis=0)
    middle = (trials * means + PRIOR) / (trials + 2 * PRIOR)
    single = np.tensordot(np.square(weights), middle * (1 - middle), axes=1)
    return Spread(
        value=value,
        variance=variance + between * np.sum(whole**2, axis=-1),
        df=pooled**2 / shared,
        effective=effective,
        carriers=carrying,
        trials=np.full(np.shape(value), np.inf),
        alike=single / np.maximum(effective, 1.0),
    )


def clustered_test(
    labels: Float[np.ndarray, " n"],
    first: Float[np.ndarray, " n"],
    second: Float[np.ndarray, " n"],
    patient: Int[np.ndarray, " n"],
) -> Difference:
    """Tests AUROC of `first` minus AUROC of `second`, respecting patients.

    Raises:
        AnalysisError: see `influence`.
    """
    found = influence(labels, np.stack([first, second]), patient)
    return of_spread(found.spread([1.0, -1.0]))
