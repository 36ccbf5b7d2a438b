"""How the numbers were made, in words, with their sources."""

from collections.abc import Mapping
from typing import Any

from ultrasound_jax.analysis.report.comparison_section import methods_text
from ultrasound_jax.analysis.report.document import (
    Block,
    Heading,
    Listing,
    Text,
    label,
)

CITATIONS = (
    "Brier GW. Verification of forecasts expressed in terms of probability. Monthly "
    "Weather Review 78, 1950.",
    "Clopper CJ, Pearson ES. The use of confidence or fiducial limits illustrated in "
    "the case of the binomial. Biometrika 26, 1934.",
    "DeLong ER, DeLong DM, Clarke-Pearson DL. Comparing the areas under two or more "
    "correlated receiver operating characteristic curves. Biometrics 44, 1988.",
    "Dunn R, Wasserman L, Ramdas A. Distribution-free prediction sets for two-layer "
    "hierarchical models. Journal of the American Statistical Association 118, 2023.",
    "Field CA, Welsh AH. Bootstrapping clustered data. Journal of the Royal "
    "Statistical Society B 69, 2007.",
    "Holm S. A simple sequentially rejective multiple test procedure. Scandinavian "
    "Journal of Statistics 6, 1979.",
    "Lee Y, Barber RF, Willett R. Distribution-free inference with hierarchical data. "
    "arXiv:2306.06342, 2023.",
    "Murphy AH. A new vector partition of the probability score. Journal of Applied "
    "Meteorology 12, 1973.",
    "Naeini MP, Cooper GF, Hauskrecht M. Obtaining well calibrated probabilities using "
    "Bayesian binning. AAAI, 2015.",
    "Obuchowski NA. Nonparametric analysis of clustered ROC curve data. Biometrics 53, "
    "1997.",
    "Obuchowski NA, Lieber ML. Confidence bounds when the estimated ROC area is 1.0. "
    "Academic Radiology 9, 2002.",
    "Stephenson DB, Coelho CAS, Jolliffe IT. Two extra components in the Brier score "
    "decomposition. Weather and Forecasting 23, 2008.",
    "Sun X, Xu W. Fast implementation of DeLong's algorithm for comparing the areas "
    "under correlated receiver operating characteristic curves. IEEE Signal Processing "
    "Letters 21, 2014.",
    "Vovk V, Gammerman A, Shafer G. Algorithmic learning in a random world. Springer, "
    "2005.",
    "Youden WJ. Index for rating diagnostic tests. Cancer 3, 1950.",
)


def methods(
    tree: Mapping[str, Any], comparison: Mapping[str, Any] | None = None
) -> list[Block]:
    """Returns the methods of an `assess` tree, and of a `compare` tree where given."""
    interval, split = tree["interval"], label(tree["split"])
    chosen = tree["thresholds_from"] or "nothing: there are no validation rows"
    blocks: list[Block] = [
        Heading("How the numbers were made"),
        Text(
            f"Judged: split {split}. AUROC is the share of pairs of a positive and a "
            "negative ranked rightly, ties counting half; average precision is not "
            "interpolated. Examples without a label are left out of a pattern. Macro "
            "values are means over the patterns in which a value is defined. A pattern "
            "without positives or without negatives has no AUROC: it is not defined, "
            "not 0.5. A video is positive if any of its clips is, and negative if all "
            "are; its score is the mean or the maximum over its clips."
        ),
        Text(
            f"Thresholds were chosen on: {label(chosen)}. Youden's threshold maximises "
            "sensitivity + specificity (Youden 1950); a threshold for a fixed "
            "sensitivity is the highest that reaches it where it is chosen. A score at "
            "or above its threshold is positive. In cross-validation a fold's "
            "thresholds come from the pooled predictions of all other folds."
        ),
        Text(
            f"In brackets are 95 % intervals by the percentile bootstrap over patients "
            f"({interval['replicates']} replicates, seed {interval['seed']}; Field and "
            "Welsh 2007): a drawn patient brings all clips, thresholds stay fixed. An "
            "interval is not defined where fewer than two patients carry the number. "
            "Where a value is 0 or 1 in every replicate, resampling says nothing "
            "(Obuchowski and Lieber 2002), and the interval is the exact binomial one "
            "(Clopper and Pearson 1934): of the patients for a share (for F1, carried "
            "over from the share of right ones among examples positive or called so), "
            "and for AUROC, where separation is perfect, of as many pairs of a "
            "positive and a negative patient as share no patient, which is cautious. "
            "For average precision, and any other number that does not vary, it is "
            "not defined. With few patients the bootstrap's intervals are too narrow: "
            "in a simulation, those of 7 patients held the true value in 85 to 88 % of "
            "cases, those of 40 in 93 to 94 %."
        ),
        Text(
            "Calibration: Brier score (1950) with Murphy's decomposition (1973) in the "
            "form exact for binned scores (Stephenson and others 2008); expected "
            "calibration error (Naeini and others 2015). Noise in the bins only ever "
            "raises the latter, reliability and resolution, so their intervals are the "
            "basic bootstrap's, which take that bias off; they may end below the value."
        ),
        Text(
            "Prediction sets: split conformal prediction for each pattern (Vovk and "
            "others 2005). Clips of a patient are not exchangeable, so besides the "
            "plain limits there are some that give each calibration patient the same "
            "weight (Lee, Barber and Willett 2023; Dunn and others 2023), and cover a "
            "clip of a new patient, and some from each patient's worst clip, which "
            "cover all of a new patient's clips together. In cross-validation a fold's "
            "limits come from the other folds, whose networks are alike but not the "
            "same, so that the promise is kept approximately."
        ),
    ]
    if comparison is not None:
        blocks.append(Text(f"Comparisons: {methods_text(comparison)}"))
    return [*blocks, Heading("References", 3), Listing(CITATIONS)]
