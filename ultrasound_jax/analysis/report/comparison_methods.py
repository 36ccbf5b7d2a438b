"""How a comparison was made, in words, with its sources."""

from collections.abc import Mapping
from typing import Any

from ultrasound_jax.analysis.report.comparison_words import (
    classes_of,
    deciding,
    several_of,
)
from ultrasound_jax.analysis.table.mask_table import MASKS

HOLM = (
    "Holm S. A simple sequentially rejective multiple test procedure. Scandinavian "
    "Journal of Statistics 6, 1979."
)
KISH = "Kish L. Survey sampling. Wiley, 1965."
DRAWN = "paired percentile bootstrap over patients"
OF_MASKS = ("Cochran WG. Sampling techniques. Wiley, 1977.", HOLM, KISH)
OF_SCORES = (
    "DeLong ER, DeLong DM, Clarke-Pearson DL. Comparing the areas under two or more "
    "correlated receiver operating characteristic curves. Biometrics 44, 1988.",
    HOLM,
    KISH,
    "Satterthwaite FE. An approximate distribution of estimates of variance "
    "components. Biometrics Bulletin 2, 1946.",
    "Obuchowski NA. Nonparametric analysis of clustered ROC curve data. Biometrics 53, "
    "1997.",
    "Sun X, Xu W. Fast implementation of DeLong's algorithm for comparing the areas "
    "under correlated receiver operating characteristic curves. IEEE Signal Processing "
    "Letters 21, 2014.",
)

OF_MARGINS = (
    "Piaggio G, Elbourne DR, Pocock SJ, Evans SJW, Altman DG. Reporting of "
    "noninferiority and equivalence randomized trials: extension of the CONSORT 2010 "
    "statement. JAMA 308, 2012.",
)


def sources_of(comparison: Mapping[str, Any]) -> tuple[str, ...]:
    """What its methods cite."""
    of_tests = OF_MASKS if comparison["kind"] == MASKS else OF_SCORES
    return (*of_tests, *(OF_MARGINS if "margin" in comparison else ()))


def methods_text(comparison: Mapping[str, Any]) -> str:
    """How the numbers were made, with the sources."""
    interval, families = comparison["interval"], comparison["families"]
    if comparison["kind"] == MASKS:
        return (
            f"P bootstrap: {DRAWN}, "
            f"{interval['replicates']} replicates, seed {interval['seed']}; it inverts "
            "their interval, which is not shown. Means are over the examples that have "
            "the structure, of which a miss counts; what is found in the others counts "
            "in the false-positive rate alone. Clustered, with the intervals: "
            "Student's t over patients, whose parts in the two means are linearised "
            "(Cochran 1977), of as many degrees of freedom as effective patients (Kish "
            "1965), less one. Holm 1979 over "
            f"{families['classes']['comparisons']} comparisons of classes and models. "
            f"A difference survives if this p is at most {comparison['alpha']}. "
            "Surviving is not importance, and not surviving is not equality: read the "
            "interval."
        )
    return (
        f"P bootstrap: {DRAWN}, {interval['replicates']} replicates, seed "
        f"{interval['seed']}; it inverts their interval, which is not shown. "
        "DeLong: DeLong et al. 1988 by the midranks of Sun and Xu 2014; "
        f"{several_of(comparison)} are taken for independent, as in the paper, so "
        "that it rejects far too often where they are clustered. Clustered, with the "
        "intervals of differences: Obuchowski 1997, whose variance is corrected for "
        "few, and referred to Student's t, by effective patients (Kish 1965): as many "
        "with equally many examples as tell as much; both sides pool their degrees of "
        "freedom (Satterthwaite 1946). A single AUROC or share has the interval of the "
        "methods above. Holm 1979 over "
        f"{families['classes']['comparisons']} comparisons of "
        f"{classes_of(comparison)} and models; the "
        f"{families['macro']['comparisons']} macro values are a family of their own. A "
        f"difference survives if this p is at most {comparison['alpha']}. McNemar: "
        "exact and mid-p, and a randomisation test that flips whole patients, of "
        f"decisions {deciding(comparison)}. Surviving is not "
        "importance, and not surviving is not equality: read the interval."
    )
