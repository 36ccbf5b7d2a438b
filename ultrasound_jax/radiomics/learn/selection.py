"""Which of many features a classifier gets: standardised, distinct, and of use.

Learnt of training examples alone: a feature is centred and scaled, the later of two
whose correlation exceeds 0.9 is dropped, and of the rest those are kept that a Lasso
(alpha 0.01) gives weight.
"""

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso

from ultrasound_jax.radiomics.errors import RadiomicsError

CORRELATION, ALPHA, MEDIANS = 0.9, 0.01, 1.25
LASSO, ORIGINAL, NONE = "lasso", "lasso_original", "none"
KINDS = (LASSO, ORIGINAL, NONE)
_FLAT = 1e-10  # of its size that a feature varies by if it is a constant with rounding


@dataclass(frozen=True, eq=False)
class Selection:
    """What was learnt of training examples, to be applied to any.

    kept: places of the features that are kept.
    counts: of features at the beginning, and behind each step.
    """

    mean: Float[np.ndarray, " f"] = field(repr=False)
    scale: Float[np.ndarray, " f"] = field(repr=False)
    kept: Int[np.ndarray, " m"] = field(repr=False)
    counts: dict[str, int]

    def __call__(self, values: Float[np.ndarray, "n f"]) -> Float[np.ndarray, "n m"]:
        """The kept features, standardised; what is not defined becomes the mean."""
        scaled = (values[:, self.kept] - self.mean[self.kept]) / self.scale[self.kept]
        return np.nan_to_num(scaled, nan=0.0)


def select(
    values: Float[np.ndarray, "n f"], truth: Int[np.ndarray, " n"], kind: str = LASSO
) -> Selection:
    """Learns which features to keep.

    The original keeps weights of at least 1.25 times their median, which is 0, and so
    keeps everything, as soon as half of the weights are 0 (`lasso_original`). `lasso`
    wants a weight that is not 0 besides; if there is none, all are kept. `none` only
    standardises, which changes nothing for trees.

    Args:
        values: of the training examples; NaN where not defined.
        truth: the place of each one's class.
        kind: of `KINDS`.

    Raises:
        RadiomicsError: no feature varies, or another kind.
    """
    if kind not in KINDS:
        raise RadiomicsError(f"selection {kind!r}; there are {', '.join(KINDS)}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a feature of NaN alone
        mean, scale = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    varies = scale > _FLAT * np.maximum(np.abs(mean), _FLAT)  # False for NaN
    kept = np.flatnonzero(varies)
    if not len(kept):
        raise RadiomicsError("no feature differs between the training examples")
    scale = np.where(varies, scale, 1.0)
    counts = {"features": values.shape[1], "not constant": len(kept)}
    learnt = Selection(mean, scale, kept, counts)
    if kind == NONE:
        return learnt
    kept = kept[_distinct(learnt(values))]
    counts["not correlated"] = len(kept)
    weight = _weights(Selection(mean, scale, kept, counts)(values), truth)
    chosen = weight >= MEDIANS * np.median(weight)
    if kind == LASSO and weight.any():
        chosen &= weight > 0
    kept = kept[chosen]
    counts["selected"] = len(kept)
    return Selection(mean, scale, kept, counts)


def _distinct(scaled: Float[np.ndarray, "n f"]) -> Any:
    """True of the features whose r with no earlier one is beyond ±0.9."""
    norm = np.sqrt((scaled**2).sum(axis=0))
    correlation = scaled.T @ scaled / np.outer(norm, norm)
    return ~(np.abs(np.triu(correlation, 1)) > CORRELATION).any(axis=0)


def _weights(
    scaled: Float[np.ndarray, "n f"], truth: Int[np.ndarray, " n"]
) -> Float[np.ndarray, " f"]:
    """The size of each feature's Lasso weight, of several classes the largest one."""
    found = []
    present = np.unique(truth)
    for k in present[1:] if len(present) == 2 else present:
        lasso = Lasso(alpha=ALPHA, max_iter=20_000)
        with warnings.catch_warnings():
            # Weights near the end of the descent choose the same features.
            warnings.simplefilter("ignore", ConvergenceWarning)
            lasso.fit(scaled, (truth == k).astype(np.float64))
        found.append(np.abs(lasso.coef_))
    return np.max(found, axis=0)
