"""How a comparison was made, in words, with its sources."""

from collections.abc import Mapping
from typing import Any

from ultrasound_jax.analysis.stats._parts.wording import class_word
from ultrasound_jax.analysis.table.predictions import MULTICLASS
from ultrasound_jax.analysis.table.units import plural

SOURCES = (
    "DeLong ER, DeLong DM, Clarke-Pearson DL. Comparing the areas under two or more "
    "correlated receiver operating characteristic curves. Biometrics 44, 1988.",
    "Holm S. A simple sequentially rejective multiple test procedure. Scandinavian "
    "Journal of Statistics 6, 1979.",
    "Obuchowski NA. Nonparametric analysis of clustered ROC curve data. Biometrics 53, "
    "1997.",
    "Sun X, Xu W. Fast implementation of DeLong's algorithm for comparing the areas "
    "under correlated receiver operating characteristic curves. IEEE Signal Processing "
    "Letters 21, 2014.",
)


def methods_text(comparison: Mapping[str, Any]) -> str:
    """How the numbers were made, with the sources."""
    interval, families = comparison["interval"], comparison["families"]
    return (
        f"Intervals and p bootstrap: {interval['method']}, {interval['replicates']} "
        f"replicates, seed {interval['seed']}; p inverts the interval. DeLong: DeLong "
        f"et al. 1988 by the midranks of Sun and Xu 2014; {several_of(comparison)} are "
        "taken for independent, as in the paper, so that it rejects far too often "
        "where they are clustered. Clustered: Obuchowski 1997, referred to "
        "Student's t with one less than the patients of the rarer side. Holm 1979 over "
        f"{families['classes']['comparisons']} comparisons of "
        f"{classes_of(comparison)} and models; the "
        f"{families['macro']['comparisons']} macro values are a family of their own. A "
        f"difference survives if this p is at most {comparison['alpha']}. McNemar: "
        "exact and mid-p, and a randomisation test that flips whole patients, of "
        f"decisions {deciding(comparison)}. Surviving is not "
        "importance, and not surviving is not equality: read the interval."
    )


def classes_of(tree: Mapping[str, Any]) -> str:
    """What classes are called: `patterns`."""
    return plural(class_word(tree))


def deciding(tree: Mapping[str, Any]) -> str:
    """How models decide."""
    if tree["kind"] == MULTICLASS:
        return "by the highest score"
    return "at Youden's thresholds, chosen on other patients"


def several_of(tree: Mapping[str, Any]) -> str:
    """What examples are called: `clips`."""
    return plural(tree["units"][0])
