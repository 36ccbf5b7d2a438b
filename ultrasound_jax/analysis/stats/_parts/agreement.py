"""How far raters agree: shares, Cohen's kappa and Fleiss' kappa, also in replicates.

All are functions of sums over examples (see `resampling`), so that the bootstrap over
patients costs a matrix product. Percent agreement alone says little where a finding is
rare: two raters who never see it agree always. Kappa is agreement beyond chance (Cohen
1960); it is not defined where chance explains everything. Specific agreement (Dice;
Feinstein and Cicchetti 1990) says how often the others agree on the present and on the
absent, since kappa falls with a rare finding although raters do not get worse.
Sensitivity and specificity are those of the first rater if the second is right.
"""

from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.stats._parts.intervals import counted_patients
from ultrasound_jax.analysis.stats._parts.resampling import (
    Resampling,
    estimate,
    ratio,
)

MEASURES = (
    "agreement",
    "kappa",
    "positive_agreement",
    "negative_agreement",
    "sensitivity",
    "specificity",
)
CELLS = ("both", "first_only", "second_only", "neither")


def cells(
    first: Float[np.ndarray, " n"], second: Float[np.ndarray, " n"]
) -> Float[np.ndarray, "n 4"]:
    """Marks each example's place in CELLS; none where one of the two is unknown."""
    known = ~np.isnan(first) & ~np.isnan(second)
    one, two = first == 1, second == 1
    places = (one & two, one & ~two, ~one & two, ~one & ~two)
    return np.stack([known & place for place in places], axis=1).astype(float)


def pair_measures(counts: Float[np.ndarray, "r 4"]) -> dict[str, np.ndarray]:
    """Each of MEASURES from the counts of CELLS."""
    both, first, second, neither = counts.T
    total = counts.sum(axis=1)
    yes_first, yes_second = both + first, both + second
    by_chance = yes_first * yes_second + (total - yes_first) * (total - yes_second)
    return {
        "agreement": ratio(both + neither, total),
        # In whole numbers, so that "chance explains everything" is met exactly.
        "kappa": ratio(total * (both + neither) - by_chance, total**2 - by_chance),
        "positive_agreement": ratio(2 * both, 2 * both + first + second),
        "negative_agreement": ratio(2 * neither, 2 * neither + first + second),
        "sensitivity": ratio(both, yes_second),
        "specificity": ratio(neither, total - yes_second),
    }


def agree(
    first: Float[np.ndarray, " n"],
    second: Float[np.ndarray, " n"],
    resampling: Resampling,
) -> dict[str, Any]:
    """The 2 x 2 table of two raters with MEASURES and their intervals.

    Examples that one of the two does not label are left out and counted as `unknown`.
    """
    marked = cells(first, second)
    sums = resampling.sums(marked)
    counted = _counted(np.sum(marked, axis=1), resampling)
    patients = counted["patients"]
    entry: dict[str, Any] = {
        name: int(count) for name, count in zip(CELLS, sums[0], strict=True)
    }
    entry["examples"] = int(sums[0].sum())
    entry["unknown"] = len(first) - entry["examples"]
    entry |= counted
    for name, values in pair_measures(sums).items():
        if name == "kappa":
            entry |= _kappa(values, patients)
        else:
            entry |= estimate(name, values, patients=patients, kind="share")
    return entry


def _counted(used: Shaped[np.ndarray, " n"], resampling: Resampling) -> dict[str, Any]:
    sizes = resampling.by_patient((used != 0)[:, None])[:, 0]
    return counted_patients(sizes)


def _kappa(values: Float[np.ndarray, " r"], patients: int) -> dict[str, Any]:
    """Kappa with its interval.

    There is none where nobody ever disagrees: every replicate is then 1, which does not
    show that nobody ever will.
    """
    entry = estimate("kappa", values, patients=patients)
    return entry | ({"kappa_ci": None} if entry["kappa"] == 1 else {})


def fleiss_measures(
    ratings: Float[np.ndarray, "n m"], resampling: Resampling
) -> dict[str, Any]:
    """Fleiss' kappa (1971) of m raters, over examples that all of them label.

    Raises:
        AnalysisError: fewer than two raters.
    """
    raters = ratings.shape[1]
    if raters < 2:
        raise AnalysisError(f"{raters} raters; Fleiss' kappa needs two or more")
    known = np.array(~np.isnan(ratings).any(axis=1))
    yes = np.where(known, np.nansum(ratings, axis=1), 0.0)
    pairs = known * (yes * (yes - 1) + (raters - yes) * (raters - yes - 1))
    sums = resampling.sums(np.stack([known, yes, pairs], axis=1))
    total = sums[:, 0] * raters
    # Twice the whole numbers behind agreement and chance, divided only at the end.
    observed = ratio(sums[:, 2], total * (raters - 1))
    beyond = ratio(2 * sums[:, 1] * (total - sums[:, 1]), total**2)
    counted = _counted(known, resampling)
    patients = counted["patients"]
    entry: dict[str, Any] = {
        "raters": raters,
        "examples": int(known.sum()),
        "unknown": int((~known).sum()),
        **counted,
    }
    entry |= estimate("agreement", observed, patients=patients, kind="share")
    kappa = ratio(observed - 1 + beyond, np.where(np.isnan(beyond), 0.0, beyond))
    return entry | _kappa(kappa, patients)
