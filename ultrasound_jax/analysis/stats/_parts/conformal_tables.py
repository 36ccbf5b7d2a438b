"""The tables of prediction sets, of one model and of several."""

from collections.abc import Mapping

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
    unit_of,
    units_text,
)
from ultrasound_jax.analysis.table.units import plural

_LIMITS = {"marginal": "both labels together.", "by_class": "each label (Mondrian)."}
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
    text = (
        f"Promise: {promise}, calibrated on {label(found['calibrated_on'])}. With "
        f"fewer than {found['patients_needed']} calibration patients a promise about a "
        "new patient can only be kept by sets that hold both answers; such rows are "
        "marked useless."
    )
    return [heading, Text(text), *(_table(tree, limits) for limits in _LIMITS)]


def _table(tree: Tree, limits: str) -> Table:
    several = plural(unit_of(tree))
    ways = {
        "clip": f"{several} as if independent",
        "patient": f"one of a new patient's {several}",
        "whole_patient": f"all {several} of a new patient",
    }
    rows = []
    for name, kinds in tree["conformal"]["classes"].items():
        for way, words in ways.items():
            entry = kinds[limits][way]
            values = [value_text(entry, n) for n in (*_COVERAGES, *_SETS)]
            useless = " (useless)" if entry["useless"] else ""
            of = f"{entry['patients']} ({entry['calibration_patients']})"
            rows.append([label(name), words + useless, *values, of])
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
    useless = sum(
        kinds["marginal"]["patient"]["useless"]
        for one in trees.values()
        for kinds in one["conformal"]["classes"].values()
    )
    text = (
        f"Sets that promise to hold the truth for one of a new patient's "
        f"{plural(unit_of(tree))} with probability {1 - first['alpha']:.2f}. The fewer "
        "{both}, the more a model can tell. Coverage is in each model's section."
    )
    if useless:
        text += (
            f" {useless} of them are useless: there are fewer than "
            f"{first['patients_needed']} calibration patients, or the network cannot "
            "tell at all, so that every set holds both answers."
        )
    picture = Picture(
        "prediction_sets",
        set_sizes(trees, "patient", "marginal"),
        alt=f"Shares of prediction sets by model and {class_word(tree)}",
        caption="Share of examples with each prediction set, with 95 % intervals over "
        f"patients: {n_text(tree['levels'][tree['level']], tree)}.",
    )
    return [heading, Text(text), picture]
