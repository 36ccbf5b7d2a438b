"""The report of an evaluation: tables, how they were made, and the ROC figure."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ultrasound_jax.analysis.judge.evaluation import (
    GIVEN,
    OTHER_FOLDS,
    rows_of,
)
from ultrasound_jax.analysis.report.document import (
    Table,
    value_text,
)
from ultrasound_jax.analysis.report.markdown import to_markdown
from ultrasound_jax.analysis.report.roc_figure import (
    STYLES,
    write_roc_figure,
)
from ultrasound_jax.analysis.report.tables import METRIC_NAMES
from ultrasound_jax.analysis.stats._parts.metrics import METRICS
from ultrasound_jax.analysis.table.levels import LEVELS
from ultrasound_jax.analysis.table.predictions import Predictions
from ultrasound_jax.runs.files import write_whole

# What is read first comes first; training data come last.
_ORDER = ("test", "out_of_fold", "validation", "train")


def write_report(
    folder: str | os.PathLike[str],
    metrics: Mapping[str, Any],
    predictions: Predictions,
    *,
    title: str,
    facts: Mapping[str, str],
) -> Path:
    """Writes `report.md` and one `roc_<split>.png` a split; returns the report's path.

    Args:
      folder: an existing folder.
      metrics: the tree of `evaluate` or `evaluate_out_of_fold`.
      predictions: the table that the tree is of.
      title: of the report.
      facts: a line each at the top (data, model, date, …).
    """
    folder = Path(folder)
    known = [split for split in _ORDER if split in metrics]
    splits = [*known, *sorted(set(metrics) - set(known))]
    parts = [f"# {title}", "Research software: **not for diagnosis**."]
    if facts:
        parts.append(_table(["", ""], [[name, text] for name, text in facts.items()]))
    for split in splits:
        figure = folder / f"roc_{split}.png"
        write_roc_figure(
            figure,
            metrics[split],
            rows_of(predictions, split),
            title=f"{title}: {split}",
        )
        parts += _section(split, metrics[split], figure.name)
    parts += _methods(metrics[splits[0]]) if splits else []
    path = folder / "report.md"
    write_whole(path, ("\n\n".join(parts) + "\n").encode())
    return path


def _section(split: str, tree: Mapping[str, Any], figure: str) -> list[str]:
    counts = tree["clip"]["n"]
    parts = [
        f"## {split.replace('_', ' ').capitalize()}",
        f"{counts['examples']} clips of {counts['videos']} videos of "
        f"{counts['patients']} patients.",
        _counts_table(tree),
    ]
    if split == tree["thresholds_from"]:
        parts.append("Thresholds were chosen on these very clips: optimistic.")
    for level in LEVELS:
        parts += [f"### {STYLES[level][2].capitalize()}", _level_table(tree[level])]
    parts.append(f"![ROC of {split}]({figure})")
    return parts


def _counts_table(tree: Mapping[str, Any]) -> str:
    header = [
        "",
        "positive clips",
        "negative",
        "not annotated",
        "positive videos",
        "positive patients",
    ]
    rows = []
    for name, clip in tree["clip"]["classes"].items():
        video = tree["video_max"]["classes"][name]
        cells = (
            clip["positives"],
            clip["negatives"],
            clip["unknown"],
            video["positives"],
            clip["positive_patients"],
        )
        rows.append([name, *map(str, cells)])
    return _table(header, rows)


def _level_table(level: Mapping[str, Any]) -> str:
    total, macro = len(level["classes"]), []
    for metric in METRICS:
        text = value_text(
            {
                metric: level[f"macro_{metric}"],
                f"{metric}_ci": level[f"macro_{metric}_ci"],
            },
            metric,
        )
        count = level["macro_classes"][metric]
        macro.append(
            text if count in (0, total) else f"{text}, {count} of {total} classes"
        )
    rows = [["**macro**", *macro, ""]]
    rows += [
        [name, *(value_text(entry, m) for m in METRICS), _threshold_text(entry)]
        for name, entry in level["classes"].items()
    ]
    return _table(["", *(METRIC_NAMES[m] for m in METRICS), "threshold"], rows)


def _threshold_text(entry: Mapping[str, Any]) -> str:
    if "threshold_by_fold" in entry:
        values = list(entry["threshold_by_fold"].values())
        return ", ".join("not defined" if v is None else f"{v:.3f}" for v in values)
    threshold = entry["threshold"]
    return "not defined" if threshold is None else f"{threshold:.3f}"


def _methods(tree: Mapping[str, Any]) -> list[str]:
    interval = tree["interval"]
    source = {
        GIVEN: "given from outside, not chosen on these data",
        OTHER_FOLDS: "for each fold, Youden's on the pooled predictions of the other "
        "folds; they are listed in the order of the folds",
    }.get(tree["thresholds_from"], f"Youden's on split {tree['thresholds_from']}")
    return [
        "## How the numbers were made",
        f"Thresholds: {source}, at the same level. Youden's threshold maximises "
        "sensitivity + specificity (of equals, the most sensitive) and lies midway "
        "between two scores. A score at or above its threshold is positive.",
        f"In brackets are 95 % intervals: {interval['method']} "
        f"({interval['replicates']} replicates, seed {interval['seed']}). A drawn "
        "patient brings all clips; thresholds stay fixed. Replicates without the "
        "positives or negatives that a metric needs are left out of its interval. An "
        "interval is defined if these are of at least two patients. Where no replicate "
        "differs from a value of 0 or 1, as with perfect separation, it is the exact "
        "binomial interval of patients, or of pairs of patients for AUROC; average "
        "precision then has none. With few patients "
        "intervals are too narrow: in a simulation, those of 7 patients held the true "
        "value in 85 to 88 % of cases, those of 40 in 93 to 94 %.",
        "Macro values are means over the classes in which a value is defined. A class "
        "without positives or without negatives has no AUROC and no average precision: "
        "these are 'not defined', not 0.5. A video is positive if any of its clips is, "
        "and negative if all are; its score is the mean or the maximum over its clips.",
    ]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return to_markdown([Table(header, rows)]).rstrip("\n")
