"""Do scores mean what they say: Brier score, calibration error, reliability diagram.

Brier score with Murphy's decomposition (1973), in the form that is exact for binned
scores (Stephenson, Coelho and Jolliffe 2008): Brier = reliability - resolution +
uncertainty, the within-bin terms counted as resolution. ECE, the expected calibration
error (Naeini et al. 2015), once with bins of equal mass and once of equal width: the
mean over bins of |observed rate - mean score|, weighted by the bins' examples.

Bins hold noise, and noise only ever raises the ECE, reliability and resolution: of a
perfectly calibrated network none of them is zero, and no resampling takes that off (in
half of such studies the bootstrap's interval of the ECE leaves out zero). They have no
interval. What patients can say of calibration is `recalibration`: its intercept and
slope, whose intervals are over patients; so is that of the Brier score, a mean.
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
from ultrasound_jax.analysis.stats._parts.intervals import (
    counted_patients,
    mean_share_interval,
    share_interval,
)
from ultrasound_jax.analysis.stats._parts.recalibration import weak_calibration
from ultrasound_jax.analysis.stats._parts.resampling import ratio
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
    "(Naeini and others 2015), which has no interval, for noise in the bins only ever "
    "raises it. Calibration intercept and slope are those of a logistic regression of "
    "the labels on the logits of the scores (Cox 1958; weak calibration of Van Calster "
    "and others 2016), the intercept with the slope held at 1; their variances are "
    "over patients (Liang and Zeger 1986)."
)
SOURCES = (
    "Brier GW. Verification of forecasts expressed in terms of probability. Monthly "
    "Weather Review 78, 1950.",
    "Murphy AH. A new vector partition of the probability score. Journal of Applied "
    "Meteorology 12, 1973.",
    "Cox DR. Two further applications of a model for binary regression. Biometrika 45, "
    "1958.",
    "Liang KY, Zeger SL. Longitudinal data analysis using generalized linear models. "
    "Biometrika 73, 1986.",
    "Van Calster B, Nieboer D, Vergouwe Y, De Cock B, Pencina MJ, Steyerberg EW. A "
    "calibration hierarchy for risk models was defined: from utopia to empirical data. "
    "Journal of Clinical Epidemiology 74, 2016.",
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
    labels: Num[np.ndarray, " n"],
    scores: Num[np.ndarray, " n"],
    bins: Int[np.ndarray, " n"],
) -> Float[np.ndarray, "5 m"]:
    """Sums over each bin of 1, y, s, s^2 and s y."""
    truth, marks = labels.astype(float), scores.astype(float)
    parts = (np.ones(len(truth)), truth, marks, marks**2, marks * truth)
    count = int(bins.max()) + 1 if len(bins) else 0
    sums = [np.bincount(bins, part, minlength=count) for part in parts]
    return np.stack(sums).astype(float)


def calibration_error(sums: Float[np.ndarray, "5 m"]) -> float | None:
    """The expected calibration error from `binned_sums`."""
    count, positive, score = sums[:3]
    total = count.sum()
    return float(np.abs(positive - score).sum() / total) if total else None


def brier_terms(sums: Float[np.ndarray, "5 m"]) -> dict[str, float | None]:
    """The Brier score and its terms, and mean score minus observed rate."""
    count, positive, score, square, product = sums
    total = count.sum()
    if not total:
        return dict.fromkeys(_TERMS)
    rate = positive.sum() / total
    brier = (square - 2 * product + positive).sum() / total
    reliability = np.nansum(ratio((score - positive) ** 2, count)) / total
    uncertainty = rate * (1 - rate)
    found = {
        "brier": brier,
        "reliability": reliability,
        "resolution": reliability + uncertainty - brier,
        "uncertainty": uncertainty,
        "score_minus_rate": (score - positive).sum() / total,
    }
    return {name: float(value) for name, value in found.items()}


def calibrate(table: Predictions, *, bins: int = BINS) -> dict[str, Any]:
    """Calibration of each class.

        {"bins": m, "macro_brier": x, "macro_brier_ci": [..], "macro_ece_equal_mass",
         "macro_ece_equal_width", "classes": {name:
            {"brier" with _ci, "reliability", "resolution", "uncertainty",
             "score_minus_rate", "ece_equal_mass", "ece_equal_width",
             "calibration_intercept" and "calibration_slope" with _ci, "examples",
             "patients", "effective_patients", "largest_share",
             "curve": [{"score", "rate", "rate_ci", "examples", "patients"}],
             "diagram": see `reliability_curve.diagram`}}}

    The curve is over bins of equal mass. What is not defined is null.
    """
    tree: dict[str, Any] = {"bins": bins, "classes": {}}
    patient = bootstrap.numbered(table.patient_index(), table.labels, table.scores)
    errors, counts = [], []
    for k, name in enumerate(table.classes):
        known = ~np.isnan(table.labels[:, k])
        labels, scores = table.labels[known, k], table.scores[known, k]
        entry = _one_class(labels, scores, patient[known], bins)
        tree["classes"][name] = entry
        if entry["examples"]:
            squares = (table.scores[:, k] - np.nan_to_num(table.labels[:, k])) ** 2
            errors.append(np.bincount(patient, squares * known))
            counts.append(np.bincount(patient, known))
    used = [entry for entry in tree["classes"].values() if entry["examples"]]
    for metric in CALIBRATION:
        values = [entry[metric] for entry in used]
        tree[f"macro_{metric}"] = float(np.mean(values)) if values else None
    tree["macro_brier_ci"] = None
    if used and all(entry["brier_ci"] for entry in used):
        tree["macro_brier_ci"] = mean_share_interval(np.stack(errors), np.stack(counts))
    return tree


def _one_class(
    labels: Float[np.ndarray, " n"],
    scores: Float[np.ndarray, " n"],
    patient: Int[np.ndarray, " n"],
    bins: int,
) -> dict[str, Any]:
    trials = np.bincount(patient)
    entry: dict[str, Any] = {"examples": len(labels)} | counted_patients(trials)
    place = bins_of(scores, EQUAL_MASS, bins)
    sums = binned_sums(labels, scores, place)
    entry |= brier_terms(sums)
    squares = np.bincount(patient, (scores - labels) ** 2)
    # Errors that are all equal, as of scores of 0.5, do not tell how they vary.
    varied = len(labels) > 0 and np.ptp(np.abs(scores - labels)) > 1e-12
    entry["brier_ci"] = share_interval(squares, trials) if varied else None
    entry[f"ece_{EQUAL_MASS}"] = calibration_error(sums)
    wide = binned_sums(labels, scores, bins_of(scores, EQUAL_WIDTH, bins))
    entry[f"ece_{EQUAL_WIDTH}"] = calibration_error(wide)
    entry |= weak_calibration(labels, scores, patient)
    entry["diagram"] = reliability_curve.diagram(labels, scores, patient)
    entry["curve"] = [
        {
            "score": float(score / count),
            "rate": float(positive / count),
            "rate_ci": share_interval(
                np.bincount(patient[place == m], labels[place == m]),
                np.bincount(patient[place == m]),
            ),
            "examples": int(count),
            "patients": len(set(patient[place == m].tolist())),
        }
        for m, (count, positive, score) in enumerate(sums[:3].T)
    ]
    return entry


def compute(
    judged: Judged, options: Mapping[str, Any], drawing: Mapping[str, int]
) -> dict[str, Any]:
    """`calibrate` of the judged rows; nothing is drawn."""
    return calibrate(judged.rows, bins=options["bins"])


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
