"""Many comparisons at once."""

import numpy as np
from jaxtyping import Float


def holm(p_values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Holm's adjusted p values: the chance of any false finding stays ≤ alpha.

    Holm, Scandinavian Journal of Statistics 6, 1979; never weaker than Bonferroni, and
    valid whatever the comparisons have to do with each other. NaN stands for a
    comparison that could not be made: it stays NaN and does not count.
    """
    adjusted = np.full(len(p_values), np.nan)
    made = np.flatnonzero(~np.isnan(p_values))
    order = made[np.argsort(p_values[made], kind="stable")]
    steps = p_values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
