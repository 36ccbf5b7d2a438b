"""The tables of prediction sets, of one model and of several."""

from collections.abc import Mapping, Sequence

from ultrasound_jax.analysis.document import (
    Block,
    Heading,
    Picture,
    Table,
    Text,
    label,
    value_text,
)
from ultrasound_jax.analysis.stats._parts.set_panels import set_sizes
from ultrasound_jax.analysis.stats._parts.statistic import Tree
from ultrasound_jax.analysis.stats._parts.wording import (
    class_word,
    n_text,
    patients_text,
    unit_of,
    units_text,
)
from ultrasound_jax.analysis.table.units import plural

_LIMITS = {"marginal": "both labels together.", "by_class": "each label (Mondrian)."}
_WAYS = {
    "clip": "{several} as if independent",
    "patient": "one of a new patient's {several}",
    "whole_patient": "all {several} of a new patient",
}
_SETS = {"none": "{}", "absent": "{absent}", "present": "{present}", "both": "{both}"}
_COVERAGES = ("coverage", "patient_coverage", "whole_patients") + (
    "coverage_positive",
    "coverage_negative",
)
_NOTHING = "There are no validation rows to calibrate prediction sets on."


def blocks(tree: Tree) -> list[Block]:
    """Coverage and size of prediction sets, for each promise."""
    found = tree["conformal"]
    heading = Heading(f"Conformal prediction sets ({units_text(tree)})", 3)
    if not found["classes"]:
        return [heading, Text(_NOTHING)]
    promise = f"{1 - found['alpha']:.0%}".replace("%", " %")
    text = f"Promise: {promise}, calibrated on {label(found['calibrated_on'])}."
    shown: list[Block] = [heading, Text(text)]
    for limits, words in _LIMITS.items():
        useless = [useful for useful in _entries(tree, limits) if useful[2]["useless"]]
        if len(useless) < len(_entries(tree, limits)):
            shown.append(_table(tree, limits))
        if useless:
            shown.append(Text(_useless_text(tree, words, useless)))
    return shown


def _entries(tree: Tree, limits: str) -> list[tuple[str, str, Tree]]:
    """Class, way to count and numbers of all sets with these limits."""
    return [
        (name, way, kinds[limits][way])
        for name, kinds in tree["conformal"]["classes"].items()
        for way in _WAYS
    ]


def _useless_text(
    tree: Tree, words: str, useless: Sequence[tuple[str, str, Tree]]
) -> str:
    """The line that stands for sets that all hold both answers, and why they do."""
    needed = tree["conformal"]["patients_needed"]
    told = _ways(tree)
    by_way = {}
    for name, way, entry in useless:
        by_way.setdefault(way, []).append((label(name), entry["calibration_patients"]))
    every = len(tree["conformal"]["classes"])
    parts = []
    for way, found in by_way.items():
        names = ", ".join(name for name, _ in found) if len(found) < every else "all"
        fewest, most = (pick(count for _, count in found) for pick in (min, max))
        count = str(fewest) if fewest == most else f"{fewest} to {most}"
        parts.append(f"{told[way]} ({names}; {count} calibration patients)")
    return (
        f"Useless, as every set holds both answers, are those with limits of "
        f"{words.rstrip('.')} for {'; '.join(parts)}. A promise about a new patient "
        f"needs {needed} calibration patients or more, and scores that tell."
    )


def _ways(tree: Tree) -> dict[str, str]:
    several = plural(unit_of(tree))
    return {way: words.format(several=several) for way, words in _WAYS.items()}


def _table(tree: Tree, limits: str) -> Table:
    several, told = plural(unit_of(tree)), _ways(tree)
    rows = []
    for name, way, entry in _entries(tree, limits):
        if entry["useless"]:
            continue
        values = [value_text(entry, n) for n in (*_COVERAGES, *_SETS)]
        of = f"{patients_text(entry)} ({entry['calibration_patients']})"
        rows.append([label(name), told[way], *values, of])
    return Table(
        [
            class_word(tree),
            "promised for",
            f"{several} covered",
            "mean over patients",
            "whole patients",
            f"positive {several}",
            f"negative {several}",
            *_SETS.values(),
            "patients (calibration)",
        ],
        rows,
        caption=f"Limits calibrated on {_LIMITS[limits]} First what the sets cover, "
        "then the share of each set: {} neither answer fits, {both} the network cannot "
        "tell.",
    )


def overview(trees: Mapping[str, Tree]) -> list[Block]:
    """What answers prediction sets give, where they could be calibrated."""
    tree = next(iter(trees.values()))
    first, heading = tree["conformal"], Heading("Prediction sets")
    if not all(tree["conformal"]["classes"] for tree in trees.values()):
        return [heading, Text(_NOTHING)]
    entries = [
        kinds["marginal"]["patient"]
        for one in trees.values()
        for kinds in one["conformal"]["classes"].values()
    ]
    useless = sum(entry["useless"] for entry in entries)
    reason = (
        f"there are fewer than {first['patients_needed']} calibration patients, or the "
        "network cannot tell at all, so that every set holds both answers."
    )
    if useless == len(entries):
        return [heading, Text(f"All prediction sets are useless: {reason}")]
    text = (
        f"Sets that promise to hold the truth for one of a new patient's "
        f"{plural(unit_of(tree))} with probability {1 - first['alpha']:.2f}. The fewer "
        "{both}, the more a model can tell. Coverage is in each model's section."
    )
    if useless:
        text += f" {useless} of {len(entries)} are useless: {reason}"
    picture = Picture(
        "prediction_sets",
        set_sizes(trees, "patient", "marginal"),
        alt=f"Shares of prediction sets by model and {class_word(tree)}",
        caption="Share of examples with each prediction set, with 95 % intervals over "
        f"patients: {n_text(tree['levels'][tree['level']], tree)}.",
    )
    return [heading, Text(text), picture]
