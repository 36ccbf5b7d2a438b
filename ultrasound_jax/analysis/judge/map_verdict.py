"""Whether maps show where lesions are: better than every kind of chance, or not.

    {"n": {"examples", "patients", "effective_patients", "largest_share"},
     "measures": {measure: {"mean", "mean_ci"}},
     "nulls": {null: {measure: {"mean", "mean_ci"}}},
     "tests": [{"measure", "null", "difference", "ci", "p", "df", "holm_p", "beats",
                "reason"}, …],
     "better": bool, "verdict": sentence}

A test is of the difference between a map's number and a null's on the same image: its
mean is referred to Student's t over effective patients (`spread`), as all differences
here are. Where it is the same in every patient there is no variance, and the patients'
signs are tested instead (`mcnemar.sign_flip_p`). All tests of JUDGED measures are one
family, adjusted by Holm; Dice says the same as IoU of each image, and energy is
described. Maps are better than chance only if they beat **all** nulls in all of JUDGED.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.judge.comparison import ALPHA
from ultrasound_jax.analysis.judge.map_agreement import MEASURES, NULLS
from ultrasound_jax.analysis.stats._parts.difference import of_spread
from ultrasound_jax.analysis.stats._parts.intervals import (
    bounded_interval,
    counted_patients,
)
from ultrasound_jax.analysis.stats._parts.mcnemar import sign_flip_p
from ultrasound_jax.analysis.stats._parts.metrics import number
from ultrasound_jax.analysis.stats._parts.multiplicity import holm
from ultrasound_jax.analysis.stats._parts.spread import of_ratio

JUDGED = ("iou", "pointing")
BETTER, NO_BETTER = "better than chance", "no better than chance"
WORDS = {
    "iou": "IoU",
    "dice": "Dice",
    "pointing": "pointing game",
    "energy": "energy inside",
    "near": "pointing, 15 pixels off",
    "other_map": "another patient's map on this region",
    "other_region": "this map on another patient's region",
    "moved": "the map's area moved about the picture",
    "centre": "a disc in the middle",
}


def judge_maps(
    own: Float[np.ndarray, "n measure"],
    nulls: Mapping[str, Float[np.ndarray, "n measure"]],
    patient: Int[np.ndarray, " n"],
) -> dict[str, Any]:
    """The tree of some images; see the top of this file.

    Args:
        own: MEASURES of each map on its region.
        nulls: the same of each of NULLS.
        patient: of each image, as a number.

    Raises:
        AnalysisError: there is no image.
    """
    if not len(own):
        raise AnalysisError("no image with a region: there is nothing to judge")
    _, owner = np.unique(patient, return_inverse=True)
    tests: list[dict[str, Any]] = [
        {"measure": measure, "null": null} | _test(own[:, k] - nulls[null][:, k], owner)
        for k, measure in enumerate(MEASURES)
        if measure in JUDGED
        for null in NULLS
    ]
    p_values = np.array([test["p"] for test in tests], float)
    for test, adjusted in zip(tests, holm(p_values), strict=True):
        test["holm_p"] = number(adjusted)
        if test["holm_p"] is not None:
            test["beats"] = test["holm_p"] <= ALPHA and test["difference"] > 0
    better = all(test["beats"] for test in tests)
    return {
        "n": {"examples": len(own)} | counted_patients(np.bincount(owner)),
        "measures": _means(own, owner),
        "nulls": {name: _means(nulls[name], owner) for name in NULLS},
        "tests": tests,
        "better": better,
        "verdict": _sentence(tests, better),
    }


def _means(
    values: Float[np.ndarray, "n measure"], owner: Int[np.ndarray, " n"]
) -> dict[str, Any]:
    counts = np.bincount(owner).astype(float)
    found = {}
    for name, column in zip(MEASURES, values.T, strict=True):
        spread = of_ratio(np.bincount(owner, column), counts)
        ends = bounded_interval(spread)
        found[name] = {"mean": float(column.mean()), "mean_ci": ends}
    return found


def _test(
    gaps: Float[np.ndarray, " n"], owner: Int[np.ndarray, " n"]
) -> dict[str, Any]:
    """The mean difference against zero; no p where patients do not suffice."""
    sums, counts = np.bincount(owner, gaps), np.bincount(owner).astype(float)
    spread = of_ratio(sums, counts)
    found = of_spread(spread)
    row = {"difference": float(gaps.mean()), "ci": None, "p": found.p, "df": found.df}
    row |= {"holm_p": None, "beats": None, "reason": None}
    if found.low is not None:
        row["ci"] = [found.low, found.high]
    if not spread.testable():
        worth = float(np.asarray(spread.effective))
        row["reason"] = f"the images are worth {worth:.1f} patients, which are too few"
    elif found.p is None:
        row["p"] = sign_flip_p(np.sign(sums).astype(int))
        row["reason"] = "the same in every patient: their signs are tested"
    return row


def _sentence(tests: list[dict[str, Any]], better: bool) -> str:
    """The verdict, with what was not beaten."""
    if better:
        return f"The maps are {BETTER}: they beat every null in IoU and pointing game."
    missed = [
        f"{WORDS[test['null']]} ({WORDS[test['measure']]}"
        + ("" if test["p"] is not None else ", not tested")
        + ")"
        for test in tests
        if not test["beats"]
    ]
    return f"The maps are {NO_BETTER}: they do not beat {', '.join(missed)}."
