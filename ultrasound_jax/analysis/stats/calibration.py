"""Do scores mean what they say: Brier score, calibration error, reliability diagram.

Brier score with Murphy's decomposition (1973), in the form that is exact for binned
scores (Stephenson, Coelho and Jolliffe 2008): Brier = reliability - resolution +
uncertainty, the within-bin terms counted as resolution. ECE, the expected calibration
error (Naeini et al. 2015), once with bins of equal mass and once of equal width: the
mean over bins of |observed rate - mean score|, weighted by the bins' examples.

Noise in a bin only ever raises the ECE, reliability and resolution, in a replicate once
more than in the table: their intervals are the basic bootstrap's (see
`resampling.estimate`). Bins are those of the
table in every replicate.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Num

from ultrasound_jax.analysis.document import Block
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.stats._parts import (
    bootstrap,
    calibration_tables,
    reliability_curve,
)
from ultrasound_jax.analysis.stats._parts.resampling import (
    Resampling,
    estimate,
    ratio,
)
from ultrasound_jax.analysis.stats._parts.statistic import CsvRow, Option, Tree
from ultrasound_jax.analysis.stats._parts.wording import number_rows
from ultrasound_jax.analysis.table.judged import Judged
from ultrasound_jax.analysis.table.predictions import (
    MULTICLASS,
    MULTILABEL,
    Predictions,
)

BINS = 10
NAME = "calibration"
ORDER = 20
KINDS = (MULTILABEL, MULTICLASS)
OPTIONS = (
    Option(name="bins", type=int, default=BINS, help=f"of the calibration ({BINS})"),
)
METHODS = (
    "Calibration: Brier score (1950) with Murphy's decomposition (1973) in the form "
    "exact for binned scores (Stephenson and others 2008); expected calibration error "
    "(Naeini and others 2015). Noise in the bins only ever raises the latter, "
    "reliability and resolution, so their intervals are the basic bootstrap's, which "
    "take that bias off; they may end below the value."
)
SOURCES = (
    "Brier GW. Verification of forecasts expressed in terms of probability. Monthly "
    "Weather Review 78, 1950.",
    "Murphy AH. A new vector partition of the probability score. Journal of Applied "
    "Meteorology 12, 1973.",
    "Naeini MP, Cooper GF, Hauskrecht M. Obtaining well calibrated probabilities using "
    "Bayesian binning. AAAI, 2015.",
    "Stephenson DB, Coelho CAS, Jolliffe IT. Two extra components in the Brier score "
    "decomposition. Weather and Forecasting 23, 2008.",
)
EQUAL_MASS, EQUAL_WIDTH = "equal_mass", "equal_width"
CALIBRATION = ("brier", f"ece_{EQUAL_MASS}", f"ece_{EQUAL_WIDTH}")
_TERMS = ("brier", "reliability", "resolution", "uncertainty", "score_minus_rate")


def bins_of(
    scores: Num[np.ndarray, " n"], how: str, count: int = BINS
) -> Int[np.ndarray, " n"]:
    """Each score's bin, from 0; equal scores share one.

    With `equal_mass`, ties may leave fewer bins than `count`.
    """
    if count < 1:
        raise AnalysisError(f"{count} bins; allowed are 1 or more")
    if how == EQUAL_WIDTH:
        return np.minimum((scores * count).astype(int), count - 1)
    if how != EQUAL_MASS:
        raise AnalysisError(
            f"bins '{how}'; allowed are '{EQUAL_MASS}' and '{EQUAL_WIDTH}'"
        )
    if not len(scores):
        return np.zeros(0, int)
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, count + 1)[1:-1]))
    return np.unique(np.searchsorted(edges, scores), return_inverse=True)[1]


def binned_sums(
    resampling: Resampling,
    labels: Num[np.ndarray, " n"],
    scores: Num[np.ndarray, " n"],
    bins: Int[np.ndarray, " n"],
) -> Float[np.ndarray, "5 r m"]:
    """Sums over each bin of 1, y, s, s^2 and s y, in each replicate."""
    count = int(bins.max()) + 1 if len(bins) else 1
    member = np.eye(count)[bins]
    truth, marks = labels.astype(float), scores.astype(float)
    parts = (np.ones(len(truth)), truth, marks, marks**2, marks * truth)
    return np.stack([resampling.sums(member * part[:, None]) for part in parts])


def calibration_error(sums: Float[np.ndarray, "5 r m"]) -> Float[np.ndarray, " r"]:
    """The expected calibration error from `binned_sums`."""
    count, positive, score = sums[:3]
    return ratio(np.abs(positive - score).sum(axis=1), count.sum(axis=1))


def brier_terms(
    sums: Float[np.ndarray, "5 r m"],
) -> dict[str, Float[np.ndarray, " r"]]:
    """The Brier score and its terms, and mean score minus observed rate."""
    count, positive, score, square, product = sums
    total = count.sum(axis=1)
    rate = ratio(positive.sum(axis=1), total)
    brier = ratio((square - 2 * product + positive).sum(axis=1), total)
    gap = np.nan_to_num(ratio((score - positive) ** 2, count)).sum(axis=1)
    reliability, uncertainty = ratio(gap, total), rate * (1 - rate)
    return {
        "brier": brier,
        "reliability": reliability,
        "resolution": reliability + uncertainty - brier,
        "uncertainty": uncertainty,
        "score_minus_rate": ratio((score - positive).sum(axis=1), total),
    }


def calibrate(
    table: Predictions,
    *,
    bins: int = BINS,
    replicates: int = bootstrap.REPLICATES,
    seed: int = 0,
) -> dict[str, Any]:
    """Calibration of each class with patient-bootstrap intervals.

        {"bins": m, "macro_brier": x, "macro_brier_ci": [..], ..., "classes": {name:
            {"brier", "reliability", "resolution", "uncertainty", "score_minus_rate",
             "ece_equal_mass", "ece_equal_width", each with _ci, "examples",
             "patients", "curve": [{"score", "rate", "rate_ci", "examples",
             "patients"}], "diagram": see `reliability_curve.diagram`}}}

    The curve is over bins of equal mass. What is not defined is null.
    """
    tree: dict[str, Any] = {"bins": bins, "classes": {}}
    whole = Resampling(table.patient_index(), replicates=replicates, seed=seed)
    kept: dict[str, list[np.ndarray]] = {name: [] for name in CALIBRATION}
    estimable = []
    for k, name in enumerate(table.classes):
        entry, values = _one_class(table, k, whole, bins)
        tree["classes"][name] = entry
        if entry["examples"]:
            estimable.append(entry["patients"])
            for metric in CALIBRATION:
                kept[metric].append(values[metric])
    for metric in CALIBRATION:
        tree |= _macro(metric, kept[metric], min(estimable, default=0))
    return tree


def _macro(metric: str, kept: list[np.ndarray], patients: int) -> dict[str, Any]:
    if not kept:
        return {f"macro_{metric}": None, f"macro_{metric}_ci": None}
    return estimate(
        f"macro_{metric}",
        np.mean(kept, axis=0),
        patients=patients,
        kind="noise" if metric.startswith("ece") else "mean",
    )


def _one_class(
    table: Predictions, k: int, whole: Resampling, bins: int
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    known = ~np.isnan(table.labels[:, k])
    patients = whole.contributors(known)
    entry: dict[str, Any] = {"examples": int(known.sum()), "patients": patients}
    labels, scores = np.nan_to_num(table.labels[:, k]), table.scores[:, k]
    by_bin = {}
    for how in (EQUAL_MASS, EQUAL_WIDTH):
        # Rows without a label go into a last bin of their own, which is cut off.
        place = bins_of(scores[known], how, bins)
        last = int(place.max()) + 1 if len(place) else 0
        all_rows = np.full(len(known), last)
        all_rows[known] = place
        by_bin[how] = binned_sums(whole, labels, scores, all_rows)[:, :, :last]
    values = brier_terms(by_bin[EQUAL_MASS])
    for term in _TERMS:
        noisy = term in ("reliability", "resolution")
        entry |= estimate(
            term, values[term], patients=patients, kind="noise" if noisy else "mean"
        )
    for how, sums in by_bin.items():
        values[f"ece_{how}"] = calibration_error(sums)
        entry |= estimate(
            f"ece_{how}", values[f"ece_{how}"], patients=patients, kind="noise"
        )
    entry["diagram"] = reliability_curve.diagram(
        table.labels[:, k], scores, whole.patient
    )
    place = bins_of(scores[known], EQUAL_MASS, bins)
    entry["curve"] = [
        {
            "score": float(ratio(score[:1], count[:1])[0]),
            **estimate(
                "rate",
                ratio(positive, count),
                patients=len(set(whole.patient[known][place == m].tolist())),
                kind="share",
            ),
            "examples": int(count[0]),
            "patients": len(set(whole.patient[known][place == m].tolist())),
        }
        for m, (count, positive, score) in enumerate(
            zip(*(part.T for part in by_bin[EQUAL_MASS][:3]), strict=True)
        )
    ]
    return entry, values


def compute(
    judged: Judged, options: Mapping[str, Any], drawing: Mapping[str, int]
) -> dict[str, Any]:
    """`calibrate` of the judged rows."""
    return calibrate(judged.rows, bins=options["bins"], **drawing)


def rows(tree: Tree) -> list[CsvRow]:
    """The numbers of each class, then those of all."""
    found, level = tree[NAME], tree["level"]
    own = [
        row
        for name, entry in found["classes"].items()
        for row in number_rows(NAME, level, name, entry)
    ]
    return own + number_rows(NAME, level, "macro", found)


def blocks(tree: Tree) -> list[Block]:
    """Brier score with its terms, both calibration errors, the reliability diagram."""
    return calibration_tables.blocks(tree)


def overview(
    trees: Mapping[str, Tree], tables: Mapping[str, Predictions]
) -> list[Block]:
    """Brier score and calibration errors (ECE) of every model."""
    return calibration_tables.overview(trees)
