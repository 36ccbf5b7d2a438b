"""How the numbers were made, in words, with their sources."""

from collections.abc import Mapping, Sequence
from typing import Any

from ultrasound_jax.analysis.document import Block, Heading, Listing, Text, label
from ultrasound_jax.analysis.report.comparison_methods import (
    methods_text,
    sources_of,
)
from ultrasound_jax.analysis.stats._parts.statistic import of_tree
from ultrasound_jax.analysis.table.judged import GIVEN, OTHER_FOLDS
from ultrasound_jax.analysis.table.predictions import MULTILABEL
from ultrasound_jax.analysis.table.units import plural

SOURCES = (
    "Clopper CJ, Pearson ES. The use of confidence or fiducial limits illustrated in "
    "the case of the binomial. Biometrika 26, 1934.",
    "Field CA, Welsh AH. Bootstrapping clustered data. Journal of the Royal "
    "Statistical Society B 69, 2007.",
    "Kish L. Survey sampling. Wiley, 1965.",
    "Korn EL, Graubard BI. Confidence intervals for proportions with small expected "
    "number of positive counts estimated from survey data. Survey Methodology 24, "
    "1998.",
    "Obuchowski NA. Nonparametric analysis of clustered ROC curve data. Biometrics 53, "
    "1997.",
    "Obuchowski NA, Lieber ML. Confidence bounds when the estimated ROC area is 1.0. "
    "Academic Radiology 9, 2002.",
    "Pepe MS. The statistical evaluation of medical tests for classification and "
    "prediction. Oxford University Press, 2003.",
)


def methods(
    trees: Sequence[Mapping[str, Any]], comparison: Mapping[str, Any] | None = None
) -> list[Block]:
    """The methods of `assess` trees, and of a `compare` tree where given.

    The trees are of one kind of table: the splits of a run, or several runs.
    """
    if not trees:
        return []
    first = trees[0]
    splits = ", ".join(dict.fromkeys(label(tree["split"]) for tree in trees))
    found: list[Block] = [
        Heading("How the numbers were made"),
        Text(f"Judged: split {splits}.{_thresholds(first)}{_weights(first)}"),
        Text(_intervals(first)),
    ]
    known = of_tree(first)
    found += [Text(one.methods) for one in known if one.methods]
    sources = [*SOURCES, *(source for one in known for source in one.sources)]
    if comparison is not None:
        found.append(Text(f"Comparisons: {methods_text(comparison)}"))
        sources += sources_of(comparison)
    listed = Listing(sorted(set(sources)))
    return [*found, Heading("References", 3), listed]


def _thresholds(tree: Mapping[str, Any]) -> str:
    """Says where thresholds are from, at the level that they judge."""
    if tree["kind"] != MULTILABEL:
        return ""
    source = {
        GIVEN: "were given from outside, not chosen on these data",
        OTHER_FOLDS: "of each fold were chosen on the pooled predictions of the other "
        "folds, at the same level",
        None: "were chosen on nothing: there are no validation rows",
    }.get(
        tree["thresholds_from"],
        f"were chosen on: {label(str(tree['thresholds_from']))}, at the same level",
    )
    return f" Thresholds {source}."


def _weights(tree: Mapping[str, Any]) -> str:
    """Says that a mean weighs by frames, which older trees do not tell."""
    if tree.get("weighed_by") is None:
        return ""
    unit, group = tree["units"]
    return f" The mean of a {group} weighs each {unit} by its {tree['weighed_by']}."


def _intervals(tree: Mapping[str, Any]) -> str:
    interval, several = tree["interval"], plural(tree["units"][0])
    return (
        "In brackets are 95 % intervals over patients; thresholds stay fixed. Most are "
        "made without resampling, of what each patient adds to a number, and referred "
        "to Student's t by effective patients, (sum n)² / sum n² of the "
        f"{several} n of each patient (Kish 1965), so that one patient with half of "
        f"the {several} counts as the few that he is worth: AUROC by placement values "
        "(Obuchowski 1997), and shares such as sensitivity, specificity, accuracy and "
        "predictive values by linearisation, both on the logit scale, which keeps them "
        "between 0 and 1 (Korn and Graubard 1998; Pepe 2003). F1, average precision, "
        "kappa, medians and what prediction sets cover have percentile bootstrap "
        f"intervals ({interval['replicates']} replicates, seed {interval['seed']}): a "
        f"drawn patient brings all {several} (Field and Welsh 2007), and replicates "
        "without what a number is divided by are left out; where a share is 0 or 1 in "
        "every replicate, the interval is the exact binomial one of the patients "
        "(Clopper and Pearson 1934; Obuchowski and Lieber 2002). An interval is not "
        "defined where a number is of fewer than two effective patients. With few "
        "patients the bootstrap's intervals are too narrow: in a simulation, those of "
        "7 patients held the true value in 85 to 88 % of cases, those of 40 in 93 to "
        "94 %."
    )
