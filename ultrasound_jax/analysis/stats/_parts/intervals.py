"""Intervals over patients of an AUROC, a share and a mean, without resampling.

The same numbers give the same interval: nothing is drawn, and no seed, number of
replicates or order of patients matters. `spread` says how they are made; what is None
has no interval that patients can bear.
"""

from typing import Any

import numpy as np
from jaxtyping import Float, Int, Num

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.stats._parts import clustered
from ultrasound_jax.analysis.stats._parts.spread import (
    Spread,
    effective_patients,
    largest_share,
    of_ratio,
    of_ratios,
)

OVER_PATIENTS = "Student's t over effective patients"
BOUNDED = f"{OVER_PATIENTS}, on the logit scale"
DRAWN = "percentile bootstrap over patients"
OF_RATIOS = f"{OVER_PATIENTS}, of the logarithm of a likelihood ratio"
# What the interval of a number of a judged tree is; `macro_` numbers as the classes'.
METHOD_OF = {
    **dict.fromkeys(
        ("auroc", "sensitivity", "specificity", "accuracy", "balanced_accuracy")
        + ("positive_predictive_value", "negative_predictive_value", "flagged")
        + ("mean_dice", "mean_iou", "pooled_dice", "pooled_iou")
        + ("mean_precision", "mean_recall", "miss_rate", "false_positive_rate")
        + ("auroc_absent", "auroc_present", "brier", "rate"),
        BOUNDED,
    ),
    **dict.fromkeys(("calibration_intercept", "calibration_slope"), OVER_PATIENTS),
    **dict.fromkeys(("mean_assd", "mean_hd95", "false_pixels"), OVER_PATIENTS),
    **dict.fromkeys(("net_benefit", "all", "gain"), OVER_PATIENTS),
    **dict.fromkeys(("ppv", "npv", "lr_positive", "lr_negative"), OF_RATIOS),
    **dict.fromkeys(("f1", "average_precision", "kappa", "coverage"), DRAWN),
    "quadratic_kappa": DRAWN,
    **dict.fromkeys(("mean_absolute_error", "mean_squared_error"), OVER_PATIENTS),
    **dict.fromkeys(("root_mean_squared_error", "psnr"), OVER_PATIENTS),
    **dict.fromkeys(("patient_coverage", "whole_patients"), DRAWN),
    **dict.fromkeys(("coverage_positive", "coverage_negative"), DRAWN),
    **dict.fromkeys(("none", "absent", "present", "both"), DRAWN),
    **dict.fromkeys(("median_assd", "median_hd95"), DRAWN),
}
# What it is of a name that has a unit, a tolerance or a criterion behind it.
_BEGINNING = {
    **dict.fromkeys(("mean_nsd_", "lesion_sensitivity_", "lesion_dice_"), BOUNDED),
    **dict.fromkeys(("mean_hd95_", "mean_assd_", "false_lesions_"), OVER_PATIENTS),
    "median_": DRAWN,
}

__all__ = [
    "BOUNDED",
    "DRAWN",
    "METHOD_OF",
    "OVER_PATIENTS",
    "auroc_interval",
    "bounded_interval",
    "counted_patients",
    "effective_patients",
    "largest_share",
    "mean_interval",
    "mean_share_interval",
    "method_of",
    "plain_interval",
    "share_interval",
]


def method_of(name: str) -> str:
    """What the interval of a number is; empty of one that is not known here."""
    known = (how for start, how in _BEGINNING.items() if name.startswith(start))
    return METHOD_OF.get(name) or next(known, "")


def share_interval(
    hits: Num[np.ndarray, " p"], trials: Num[np.ndarray, " p"]
) -> list[float] | None:
    """The 95 % interval of sum(hits) / sum(trials), both of each patient.

    None where fewer than two effective patients have trials.
    """
    return bounded_interval(of_ratio(np.asarray(hits), np.asarray(trials)))


def mean_share_interval(
    hits: Num[np.ndarray, "k p"], trials: Num[np.ndarray, "k p"]
) -> list[float] | None:
    """The 95 % interval of the mean of `k` such shares, as of all classes' sensitivity.

    None where one of them rests on fewer than two effective patients.
    """
    return bounded_interval(of_ratios(np.asarray(hits), np.asarray(trials)))


def auroc_interval(
    labels: Float[np.ndarray, " n"],
    scores: Float[np.ndarray, " n"],
    patient: Int[np.ndarray, " n"],
) -> list[float] | None:
    """The 95 % interval of an AUROC; unknown labels (NaN) are left out.

    None where positives or negatives are of fewer than two effective patients.
    """
    try:
        found = clustered.influence(labels, scores[None], patient)
    except AnalysisError:
        return None
    return bounded_interval(found.spread([1.0]))


def mean_interval(
    sums: Num[np.ndarray, " p"], counts: Num[np.ndarray, " p"]
) -> list[float] | None:
    """The 95 % interval of sum(sums) / sum(counts) of any number.

    None where fewer than two effective patients carry it, or where nothing varies.
    """
    return plain_interval(of_ratio(np.asarray(sums), np.asarray(counts)))


def bounded_interval(spread: Spread) -> list[float] | None:
    """The interval of one number between 0 and 1, None where it has none."""
    low, high = spread.bounded()
    return None if np.isnan(low) else [float(low), float(high)]


def plain_interval(spread: Spread) -> list[float] | None:
    """The interval of one number without bounds, None where it has none."""
    if not spread.known() or spread.error() == 0 or np.isnan(spread.value):
        return None
    low, high = spread.plain()
    return [float(low), float(high)]


def counted_patients(sizes: Num[np.ndarray, " p"]) -> dict[str, Any]:
    """`{"patients", "effective_patients", "largest_share"}` of their examples.

    The last is null where there is no example.
    """
    share = float(largest_share(np.asarray(sizes)))
    return {
        "patients": int(np.count_nonzero(sizes)),
        "effective_patients": float(effective_patients(np.asarray(sizes))),
        "largest_share": None if np.isnan(share) else share,
    }
