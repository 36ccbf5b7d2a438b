"""AUROC, its variance and paired comparison where examples come in patients.

Clips of one patient resemble each other, and a patient may have clips with and without
a pattern. Obuchowski (Biometrics 53, 1997) sums DeLong's placement values by patient
and takes patients, not clips, for what varies. With one clip a patient this is DeLong.
Two models are judged on the same patients, so that their covariance is estimated in the
same way, and so are those of several classes, which a macro AUROC needs.

Differences are referred to Student's t, where the paper takes the normal distribution;
its degrees of freedom are one less than the patients with positives, or those with
negatives if they are fewer. That is a correction for few patients; `docs/statistics.md`
has what it is worth: the sizes of all tests here, simulated for 7 to 64 patients.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.stats._parts import delong
from ultrasound_jax.analysis.stats._parts.difference import Difference


@dataclass(frozen=True, eq=False)
class Influence:
    """What each of `c` patients adds to the AUROCs of `s` models in one class.

    positive, negative: summed placement values of the patient's clips of that side,
    less what as many clips of average value had added, divided by all clips of that
    side. sides: how many patients have positives, and how many have negatives.
    patients: how many have either.
    """

    aurocs: Float[np.ndarray, " s"]
    positive: Float[np.ndarray, "s c"]
    negative: Float[np.ndarray, "s c"]
    sides: tuple[int, int]
    patients: int

    def covariance(self) -> Float[np.ndarray, "s s"]:
        """The covariance of the models' AUROCs (Obuchowski 1997)."""
        f10, f01, f11 = (n / (n - 1) for n in (*self.sides, self.patients))
        cross = self.positive @ self.negative.T
        return (
            f10 * self.positive @ self.positive.T
            + f01 * self.negative @ self.negative.T
            + f11 * (cross + cross.T)
        )

    def df(self) -> float:
        """The degrees of freedom of a test of a difference."""
        return min(self.sides) - 1.0


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
    parts, owners = [], []
    for name, side, values in (("positives", 1, above), ("negatives", 0, below)):
        owner = patient[known][judged == side]
        owners.append(set(owner.tolist()))
        if len(owners[-1]) < 2:
            raise AnalysisError(f"{name} of one patient only: a variance needs two")
        centred = values - values.mean(axis=1, keepdims=True)
        summed = [np.bincount(owner, row, minlength=columns) for row in centred]
        parts.append(np.stack(summed) / len(owner))
    return Influence(
        aurocs=above.mean(axis=1),
        positive=parts[0],
        negative=parts[1],
        sides=(len(owners[0]), len(owners[1])),
        patients=len(owners[0] | owners[1]),
    )


def macro(
    classes: Sequence[Influence],
) -> tuple[Float[np.ndarray, " s"], Float[np.ndarray, "s s"], float]:
    """The mean AUROC over classes, its covariance, and degrees of freedom.

    A patient's parts in two classes are multiplied as his parts in the two sides of one
    class are; with few patients the class with the fewest decides the freedom.
    """
    sums = [found.positive + found.negative for found in classes]
    patients = max(found.patients for found in classes)
    total = np.sum(sums, axis=0)
    factor = patients / (patients - 1)
    covariance = factor * total @ total.T
    for found, own in zip(classes, sums, strict=True):
        covariance += found.covariance() - factor * own @ own.T
    aurocs = np.mean([found.aurocs for found in classes], axis=0)
    return aurocs, covariance / len(classes) ** 2, min(f.df() for f in classes)


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
    return delong.difference(found.aurocs, found.covariance(), found.df())
