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
    "Cochran WG. Sampling techniques. Wiley, 1977.",
    "Kish L. Survey sampling. Wiley, 1965.",
    "Korn EL, Graubard BI. Confidence intervals for proportions with small expected "
    "number of positive counts estimated from survey data. Survey Methodology 24, "
    "1998.",
    "Obuchowski NA. Nonparametric analysis of clustered ROC curve data. Biometrics 53, "
    "1997.",
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
        "In brackets are 95 % intervals over patients. Those of AUROC, sensitivity, "
        "specificity and other shares, Dice and the Brier score are Student's t on the "
        "logit scale: what each patient adds to a number gives its variance (Cochran "
        "1977; of AUROC, Obuchowski 1997), and patients count as they weigh, so that "
        "one who has most of the examples does not pass for many (effective patients, "
        "Kish 1965). Near 0 and 1, where few patients err, a part of the variance is "
        "that of trials as few as there are effective patients (after Korn and "
        "Graubard 1998), and where none errs the interval is not longer than the exact "
        "binomial one of so many (Clopper and Pearson 1934). F1, average precision, "
        "kappa, medians and the coverage of prediction sets have the percentile "
        f"bootstrap over patients ({interval['replicates']} replicates, seed "
        f"{interval['seed']}): a drawn patient brings all {several}, thresholds stay "
        "fixed (Field and Welsh 2007), and replicates without what a number is divided "
        "by are left out; with few patients it is too narrow. An interval is not "
        "defined where the number rests on fewer than two effective patients, or on "
        "nothing that varies."
    )
