"""The tables of one model's numbers, as blocks of a document."""

from collections.abc import Mapping, Sequence
from typing import Any

from ultrasound_jax.analysis.report.document import (
    NOT_DEFINED,
    Block,
    Heading,
    Table,
    Text,
    label,
    value_text,
)
from ultrasound_jax.analysis.stats._parts.metrics import METRICS
from ultrasound_jax.analysis.stats.calibration import (
    EQUAL_MASS,
    EQUAL_WIDTH,
)
from ultrasound_jax.analysis.stats.conformal import (
    KINDS,
    SETS,
    WAYS,
)
from ultrasound_jax.analysis.stats.operating import RATES

LEVEL_NAMES = {
    "clip": "clips",
    "video_mean": "videos, mean of their clips",
    "video_max": "videos, maximum of their clips",
}
METRIC_NAMES = {
    "auroc": "AUROC",
    "average_precision": "average precision",
    "f1": "F1",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
}
RATE_NAMES = {
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "positive_predictive_value": "PPV",
    "negative_predictive_value": "NPV",
    "flagged": "share flagged",
}
_WAY_NAMES = {
    "clip": "clips as if independent",
    "patient": "a clip of a new patient",
    "whole_patient": "all clips of a new patient",
}
_KIND_NAMES = {"marginal": "both labels", "by_class": "each label"}


def n_text(entry: Mapping[str, Any]) -> str:
    """Writes how many of whom: `474 clips, 40 videos, 7 patients`."""
    n = entry["n"]
    return f"{n['examples']} examples, {n['videos']} videos, {n['patients']} patients"


def source_text(tree: Mapping[str, Any]) -> str:
    """Writes what thresholds were chosen on."""
    source = tree["thresholds_from"]
    if source is None:
        return "There are no validation rows, so there are no thresholds."
    if tree["optimistic"]:
        return (
            f"Thresholds were chosen on the very rows of split {source} that they "
            "judge: all numbers at a threshold are optimistic."
        )
    return f"Thresholds were chosen on: {label(source)}."


def assessment(tree: Mapping[str, Any], *, depth: int = 3) -> list[Block]:
    """Returns all of an `assess` tree's tables, under headings of the given level."""
    level = LEVEL_NAMES[tree["level"]]
    blocks: list[Block] = [Text(source_text(tree)), counts(tree)]
    blocks += [discrimination(tree["levels"][name], name) for name in LEVEL_NAMES]
    blocks += [Heading(f"Calibration ({level})", depth), calibration(tree)]
    blocks += [Heading(f"Operating points ({level})", depth), operating(tree)]
    if tree["subgroups"]:
        blocks.append(Heading(f"Subgroups ({level})", depth))
        blocks += [subgroup(column, groups) for column, groups in _groups(tree)]
    blocks.append(Heading(f"Conformal prediction sets ({level})", depth))
    return [*blocks, *prediction_sets(tree)]


def _groups(tree: Mapping[str, Any]) -> Sequence[tuple[str, Mapping[str, Any]]]:
    return list(tree["subgroups"].items())


def counts(tree: Mapping[str, Any]) -> Table:
    """How many positives there are, of how many patients."""
    clip, video = tree["levels"]["clip"], tree["levels"]["video_max"]
    rows = []
    for name, entry in clip["classes"].items():
        cells = (
            entry["positives"],
            entry["negatives"],
            entry["unknown"],
            video["classes"][name]["positives"],
            entry["positive_patients"],
        )
        rows.append([label(name), *map(str, cells)])
    return Table(
        [
            "pattern",
            "positive clips",
            "negative clips",
            "not annotated",
            "positive videos",
            "positive patients",
        ],
        rows,
        caption=f"What was judged (split {label(tree['split'])}): {n_text(clip)}.",
    )


def macro_text(level: Mapping[str, Any], metric: str) -> str:
    """Writes a macro value, and over how many classes it is if not over all."""
    entry = {
        metric: level[f"macro_{metric}"],
        f"{metric}_ci": level[f"macro_{metric}_ci"],
    }
    text, count = value_text(entry, metric), level["macro_classes"][metric]
    total = len(level["classes"])
    return text if count in (0, total) else f"{text} ({count} of {total} patterns)"


def discrimination(level: Mapping[str, Any], name: str) -> Table:
    """Every metric of every pattern at one level, thresholds being Youden's."""
    classes = level["classes"]
    rows = [["macro", *(macro_text(level, m) for m in METRICS), ""]]
    rows += [
        [label(pattern), *(value_text(entry, m) for m in METRICS), _threshold(entry)]
        for pattern, entry in classes.items()
    ]
    return Table(
        ["pattern", *(METRIC_NAMES[m] for m in METRICS), "threshold"],
        rows,
        caption=f"By {LEVEL_NAMES[name]}: value [95 % interval] of {n_text(level)}."
        + _folds_text(classes),
        strong=frozenset([0]),
    )


def _threshold(entry: Mapping[str, Any]) -> str:
    """Writes a threshold, or the lowest and the highest of all folds."""
    values = list(entry.get("threshold_by_fold", {0: entry["threshold"]}).values())
    known = [f"{value:.3f}" for value in sorted(v for v in values if v is not None)]
    if not known:
        return NOT_DEFINED
    text = known[0] if known[0] == known[-1] else f"{known[0]}–{known[-1]}"
    lacking = len(values) - len(known)
    return f"{text}, {NOT_DEFINED} in {lacking} of {len(values)}" if lacking else text


def _folds_text(classes: Mapping[str, Any]) -> str:
    """Says what a range of thresholds is, where there is one for each fold."""
    if not any("threshold_by_fold" in entry for entry in classes.values()):
        return ""
    return (
        " Each fold has a threshold of its own: from the lowest to the highest; the "
        "JSON file beside this one has them all."
    )


def calibration(tree: Mapping[str, Any]) -> Table:
    """Brier score with its terms, and both calibration errors."""
    found = tree["calibration"]
    names = {
        "brier": "Brier score",
        "reliability": "reliability",
        "resolution": "resolution",
        "uncertainty": "uncertainty",
        f"ece_{EQUAL_MASS}": "ECE, equal mass",
        f"ece_{EQUAL_WIDTH}": "ECE, equal width",
        "score_minus_rate": "mean score − rate",
    }
    macro = [
        value_text(found, f"macro_{name}") if f"macro_{name}" in found else ""
        for name in names
    ]
    rows = [["macro", *macro, ""]]
    rows += [
        [label(pattern), *(value_text(entry, n) for n in names), _of(entry)]
        for pattern, entry in found["classes"].items()
    ]
    return Table(
        ["pattern", *names.values(), "examples / patients"],
        rows,
        caption=f"Calibration over at most {found['bins']} bins. Brier = reliability − "
        "resolution + uncertainty; lower is better but for resolution. ECE: expected "
        "calibration error.",
        strong=frozenset([0]),
    )


def _of(entry: Mapping[str, Any]) -> str:
    return f"{entry['examples']} / {entry['patients']}"


def operating(tree: Mapping[str, Any]) -> Table:
    """Rates at Youden's point and at thresholds for fixed sensitivities."""
    found, rows = tree["operating"], []
    for point, classes in found["points"].items():
        for pattern, entry in classes.items():
            cells = [value_text(entry, name) for name in RATES]
            rows.append(
                [
                    "Youden" if point == "youden" else point,
                    label(pattern),
                    _threshold(entry),
                    *cells,
                    str(entry["patients"]),
                ]
            )
    return Table(
        ["point", "pattern", "threshold", *RATE_NAMES.values(), "patients"],
        rows,
        caption="A fixed sensitivity is what is aimed at where thresholds are chosen; "
        f"what new patients get is in the table. {source_text(tree)}"
        + _folds_text(found["points"]["youden"]),
    )


def subgroup(column: str, groups: Mapping[str, Any]) -> Table:
    """One row a group: AUROC of every pattern, and the macro."""
    patterns = list(next(iter(groups.values()))["classes"])
    rows = []
    for value, level in groups.items():
        cells = [
            f"{value_text(entry, 'auroc')}; {entry['positives']} of "
            f"{entry['positives'] + entry['negatives']} positive"
            for entry in level["classes"].values()
        ]
        n = level["n"]
        rows.append(
            [
                value,
                str(n["examples"]),
                str(n["patients"]),
                macro_text(level, "auroc"),
                *cells,
            ]
        )
    return Table(
        [column, "examples", "patients", "macro AUROC", *map(label, patterns)],
        rows,
        caption=f"AUROC by {label(column)}. Groups were not randomised: a difference "
        "between them has many possible causes.",
    )


def prediction_sets(tree: Mapping[str, Any]) -> list[Block]:
    """Coverage and size of prediction sets, for each promise."""
    found = tree["conformal"]
    if not found["classes"]:
        return [Text("There are no validation rows to calibrate prediction sets on.")]
    promise = f"{1 - found['alpha']:.0%}".replace("%", " %")
    blocks: list[Block] = [
        Text(
            f"Promise: {promise}, calibrated on {label(found['calibrated_on'])}. With "
            f"fewer than {found['patients_needed']} calibration patients a promise "
            "about a new patient can only be kept by sets that hold both answers; such "
            "rows are marked useless."
        )
    ]
    for kind in KINDS:
        rows = []
        for pattern, kinds in found["classes"].items():
            rows += [_sets_row(pattern, way, kinds[kind][way]) for way in WAYS]
        blocks.append(
            Table(
                [
                    "pattern",
                    "promised for",
                    "clips covered",
                    "mean over patients",
                    "whole patients",
                    "positive clips",
                    "negative clips",
                    *(f"{{{name}}}" if name != "none" else "{}" for name in SETS),
                    "patients (calibration)",
                ],
                rows,
                caption=f"Limits calibrated on {_KIND_NAMES[kind]}"
                + (" (Mondrian)." if kind == "by_class" else " together.")
                + " First what the sets cover, then the share of each set: {} neither "
                "answer fits, {both} the network cannot tell.",
            )
        )
    return blocks


def _sets_row(pattern: str, way: str, entry: Mapping[str, Any]) -> list[str]:
    names = (
        "coverage",
        "patient_coverage",
        "whole_patients",
        "coverage_positive",
        "coverage_negative",
    )
    useless = " (useless)" if entry["useless"] else ""
    return [
        label(pattern),
        _WAY_NAMES[way] + useless,
        *(value_text(entry, name) for name in (*names, *SETS)),
        f"{entry['patients']} ({entry['calibration_patients']})",
    ]
