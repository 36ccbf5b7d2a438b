"""Differences between models by drawing patients, the same for all models.

What `bootstrap.py` does for one model: patients are drawn with replacement and bring
all their clips. In a replicate all models see the same patients, so that what makes the
patients hard for all of them cancels in the difference.

The p value is found by inverting the percentile interval: it is below 0.05 where the
95 % interval leaves out zero, up to the one replicate that keeps p above zero, so that
they disagree only where p is 0.05 to two digits. (The
other usual choice, counting centred replicates beyond the observed difference, gave the
same sizes in our simulations.) With few patients both are too sure of themselves, as
`docs/statistics.md` shows.
"""

import numpy as np
from jaxtyping import Float, Int

from ultrasound_jax.analysis.stats._parts.ranking import Ranking


def aurocs(
    labels: Float[np.ndarray, "n k"],
    scores: Float[np.ndarray, "s n k"],
    patient: Int[np.ndarray, " n"],
    drawn: Int[np.ndarray, "r p"],
) -> Float[np.ndarray, "s r k"]:
    """The AUROC of each model and class in each replicate.

    `drawn` says how often each patient is drawn (`bootstrap.draw_patients`). NaN where
    a replicate has no positives or no negatives of a class.
    """
    weights = drawn.astype(float)
    found = np.full((len(scores), len(drawn), labels.shape[1]), np.nan)
    for s, model in enumerate(scores):
        for k in range(labels.shape[1]):
            one = Ranking(labels[:, k], model[:, k], patient, drawn.shape[1])
            found[s, :, k] = one.weigh(weights)[0]
    return found


def p_value(differences: Float[np.ndarray, " r"]) -> float | None:
    """Twice the share of replicates on the rarer side of zero.

    One replicate is counted on either side, so that p is never zero. Replicates without
    a value (NaN) are left out; None if none has one.
    """
    known = differences[~np.isnan(differences)]
    if not len(known):
        return None
    # Sums in another order leave the last bits of what is exactly zero.
    rarer = min((known <= 1e-12).sum(), (known >= -1e-12).sum())
    return min(1.0, 2 * float(rarer + 1) / (len(known) + 1))
