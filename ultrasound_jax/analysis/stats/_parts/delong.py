"""AUROC, its variance and paired comparison after DeLong, for independent examples.

DeLong, DeLong and Clarke-Pearson, Biometrics 44, 1988, by the midranks of Sun and Xu,
IEEE Signal Processing Letters 21, 2014: O(n log n) and the same numbers. The original
of LUV-Net reports these. They take every clip for an independent observation: for
several clips of one patient they are far too sure of themselves (`docs/statistics.md`);
`clustered.py` is for those.
"""

import math

import numpy as np
from jaxtyping import Float, Num
from scipy import stats

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.stats._parts.difference import (
    LEVEL,
    Difference,
    wald,
)


def placements(
    labels: Num[np.ndarray, " n"], scores: Num[np.ndarray, "s n"]
) -> tuple[Float[np.ndarray, "s p"], Float[np.ndarray, "s q"]]:
    """The placement values of `p` positives and `q` negatives for `s` models.

    Of a positive it is the share of negatives that score below it, of a negative the
    share of positives that score above it; equals count half. The mean of either is the
    AUROC. Labels must be known: 1 or 0.

    Raises:
        AnalysisError: no positives or no negatives, an unknown label, or a score that
            is NaN or infinite.
    """
    if not np.isin(labels, (0, 1)).all():
        raise AnalysisError("labels must be 1 or 0; leave unknown ones out")
    if not np.isfinite(scores).all():
        raise AnalysisError(f"{(~np.isfinite(scores)).sum()} scores are not numbers")
    positive, negative = labels == 1, labels == 0
    count = int(positive.sum()), int(negative.sum())
    if not all(count):
        lacking = "positives" if count[0] == 0 else "negatives"
        raise AnalysisError(f"one class only: there are no {lacking}")
    among_all = stats.rankdata(scores, axis=1)
    of_positives = stats.rankdata(scores[:, positive], axis=1)
    of_negatives = stats.rankdata(scores[:, negative], axis=1)
    return (
        (among_all[:, positive] - of_positives) / count[1],
        1 - (among_all[:, negative] - of_negatives) / count[0],
    )


def delong(
    labels: Num[np.ndarray, " n"], scores: Num[np.ndarray, "s n"]
) -> tuple[Float[np.ndarray, " s"], Float[np.ndarray, "s s"]]:
    """The AUROC of `s` models on the same examples and their covariance.

    Raises:
        AnalysisError: see `placements`; or fewer than two positives or two negatives,
            of which no variance can be had.
    """
    above, below = placements(labels, scores)
    for name, values in (("positive", above), ("negative", below)):
        if values.shape[1] < 2:
            raise AnalysisError(f"one {name} only: a variance needs two")
    of_positives = _covariance(above) / above.shape[1]
    return above.mean(axis=1), of_positives + _covariance(below) / below.shape[1]


def delong_test(
    labels: Num[np.ndarray, " n"],
    first: Num[np.ndarray, " n"],
    second: Num[np.ndarray, " n"],
) -> Difference:
    """Tests AUROC of `first` minus AUROC of `second` on the same examples (z test).

    Raises:
        AnalysisError: see `delong`.
    """
    aurocs, covariance = delong(labels, np.stack([first, second]))
    return difference(aurocs, covariance)


def difference(
    aurocs: Float[np.ndarray, "2"],
    covariance: Float[np.ndarray, "2 2"],
    df: float = math.inf,
) -> Difference:
    """Tests the first minus the second AUROC by their covariance."""
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    return wald(aurocs[0] - aurocs[1], variance, df)


def normal_interval(
    auroc: float, variance: float, df: float = math.inf
) -> tuple[float, float]:
    """The 95 % interval AUROC ± 1.96 se, clipped to [0, 1] (as the paper's)."""
    reach = _reach(df) * math.sqrt(variance)
    return max(0.0, auroc - reach), min(1.0, auroc + reach)


def logit_interval(
    auroc: float, variance: float, df: float = math.inf
) -> tuple[float, float] | None:
    """The 95 % interval made on the logit scale, which stays within (0, 1).

    The standard error there is se / (AUROC (1 - AUROC)) (Pepe 2003, section 5.2.5).
    None for an AUROC of 0 or 1, where the logit is infinite.
    """
    if not 0 < auroc < 1:
        return None
    reach = _reach(df) * math.sqrt(variance) / (auroc * (1 - auroc))
    middle = math.log(auroc / (1 - auroc))
    low, high = (1 / (1 + math.exp(-(middle + s * reach))) for s in (-1, 1))
    return low, high


def _reach(df: float) -> float:
    return float(stats.t.isf((1 - LEVEL) / 2, df))


def _covariance(values: Float[np.ndarray, "s n"]) -> Float[np.ndarray, "s s"]:
    centred = values - values.mean(axis=1, keepdims=True)
    return centred @ centred.T / (values.shape[1] - 1)
