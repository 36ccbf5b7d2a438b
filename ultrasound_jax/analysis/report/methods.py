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
    "Obuchowski NA, Lieber ML. Confidence bounds when the estimated ROC area is 1.0. "
    "Academic Radiology 9, 2002.",
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
        f"In brackets are 95 % intervals by the percentile bootstrap over patients "
        f"({interval['replicates']} replicates, seed {interval['seed']}): "
        f"a drawn patient brings all {several}, thresholds stay fixed (Field and Welsh "
        "2007). "
        "Replicates without what a number is divided by are left out. An interval is "
        "not defined where fewer than two patients carry the number. Where a share is "
        "0 or 1 in every replicate, resampling says nothing (Obuchowski and Lieber "
        "2002), and the interval is the exact binomial one (Clopper and Pearson 1934): "
        "of the patients for a share (for F1, carried over from the share of right "
        "ones among examples positive or called so), and for AUROC, where separation "
        "is perfect, of as many pairs of a positive and a negative patient as share no "
        "patient, which is cautious. For average precision, and any other number that "
        "does not vary, it is not defined. With few patients the bootstrap's intervals "
        "are too narrow: in a simulation, those of 7 patients held the true value in "
        "85 to 88 % of cases, those of 40 in 93 to 94 %."
    )
