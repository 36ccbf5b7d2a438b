"""Several readers and several cases: the analysis of Obuchowski and Rockette.

Obuchowski and Rockette (Communications in Statistics B 24, 1995) write the AUROC of
reader j with test i as a two-way layout whose errors are correlated, because all judge
the same cases: Cov1 within a reader, Cov2 within a test, Cov3 between both. Hillis
(Statistics in Medicine 26, 2007) gave it degrees of freedom that keep its size.

Two tests need no more than each reader's difference d_j. With MS the variance of the
`r` differences, V the mean of their error variances and C the mean of their error
covariances, the variance of the mean difference is, for conclusions about

* `both` (other readers and other patients): (MS + r max(C, 0)) / r, with
  (MS + r max(C, 0))^2 / (MS^2 / (r - 1)) degrees of freedom;
* `patients` (other patients, these readers): (V + (r - 1) max(C, 0)) / r;
* `readers` (other readers, these patients): MS / r, with r - 1.

That is the published F test: MS = 2 MS(TR), C = 2 (Cov2 - Cov3), V = 2 (Var - Cov1),
and F = t^2 (`tests/analysis/test_multireader.py` writes both out and repeats a
published example). With d_j a reader's AUROC less that of one model it is the test of a
model against the average reader, and with d_j an AUROC the interval of the average
reader (Hillis, Berbaum and Metz, Academic Radiology 15, 2008).

Two differences from these papers. Error variances are those of clustered AUROCs, over
patients (`clustered.Influence`), not over cases: clips of a patient are not other
cases. And a variance over few patients is poorly known, which the papers neglect:
`patients` is referred to Student's t with the freedom of the clustered test, f, instead
of the normal distribution, and in the freedom of `both` the part of patients counts
with f, as Satterthwaite's formula has it:
(MS + r C)^2 / (MS^2 / (r - 1) + (r C)^2 / f). With f infinite that is Hillis'.
"""

import math

import numpy as np
from jaxtyping import Float

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.stats._parts.clustered import Influence
from ultrasound_jax.analysis.stats._parts.difference import Difference, against_zero

BOTH, PATIENTS, READERS = "both", "patients", "readers"


def between_tests(readers: int) -> Float[np.ndarray, "r s"]:
    """The contrasts of each reader's second less first AUROC.

    They are of the AUROCs of all readers with the first test, then with the second.
    """
    return np.hstack([-np.eye(readers), np.eye(readers)])


def against_one(readers: int) -> Float[np.ndarray, "r s"]:
    """The contrasts of a model's AUROC, the first, less that of each reader."""
    return np.hstack([np.ones((readers, 1)), -np.eye(readers)])


def of_readers(
    part: Influence, contrasts: Float[np.ndarray, "r s"]
) -> dict[str, Difference]:
    """The mean over readers of such contrasts of AUROCs; see `average`.

    Nothing is tested, so that all p are None, where patients do not suffice.

    Raises:
        AnalysisError: fewer than two readers.
    """
    whole = part.spread(contrasts.mean(axis=0).tolist())
    own = [float(part.spread(row.tolist()).error()) ** 2 for row in contrasts]
    found = average(
        contrasts @ part.aurocs,
        own=float(np.mean(own)),
        together=float(whole.error()) ** 2,
        freedom=float(whole.df),
    )
    if whole.known():
        return found
    return {
        name: Difference(one.value, one.se, one.df, None, None, None)
        for name, one in found.items()
    }


def average(
    values: Float[np.ndarray, " r"],
    *,
    own: float,
    together: float,
    freedom: float = math.inf,
) -> dict[str, Difference]:
    """The mean over readers, tested against zero, for each kind of conclusion.

    Args:
        values: of each reader, such as differences between two tests.
        own: the mean of their error variances, V.
        together: the error variance of their mean, (V + (r - 1) C) / r.
        freedom: of that variance, f.

    Raises:
        AnalysisError: fewer than two readers, of whom no variance can be had.
    """
    count = len(values)
    if count < 2:
        raise AnalysisError(f"{count} readers; how readers differ needs two or more")
    mean, spread = float(values.mean()), float(values.var(ddof=1))
    shared = max((count * together - own) / (count - 1), 0.0)
    total = spread + count * shared
    below = spread**2 / (count - 1) + (count * shared) ** 2 / freedom
    df = total**2 / below if below > 0 else math.inf
    of_patients = (own + (count - 1) * shared) / count
    return {
        BOTH: against_zero(mean, total / count, df),
        PATIENTS: against_zero(mean, of_patients, freedom),
        READERS: against_zero(mean, spread / count, count - 1.0),
    }
