"""The report of a study: what is said about all models together, then each model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ultrasound_jax.analysis.report import plots
from ultrasound_jax.analysis.report.comparison_section import (
    appendix,
    compared,
)
from ultrasound_jax.analysis.report.cost_section import cost
from ultrasound_jax.analysis.report.document import (
    Block,
    Heading,
    Picture,
    Table,
    Text,
    label,
    value_text,
)
from ultrasound_jax.analysis.report.methods import methods
from ultrasound_jax.analysis.report.model_section import model
from ultrasound_jax.analysis.report.readers_section import sections as readers_sections
from ultrasound_jax.analysis.report.tables import (
    LEVEL_NAMES,
    macro_text,
    n_text,
)
from ultrasound_jax.analysis.table.inputs import Run
from ultrasound_jax.analysis.table.predictions import Predictions

Trees = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Further:
    """What a report may hold besides the numbers of its runs.

    facts: lines about the study as a whole (command, commit, hardware).
    costs: lists of rows as `cost.json` has them, of networks rather than runs.
    readers: tree of the verb `readers`.
    """

    facts: Mapping[str, str] = field(default_factory=dict)
    costs: Sequence[Any] = ()
    readers: Mapping[str, Any] | None = None


def document(
    runs: Sequence[Run],
    trees: Trees,
    rows: Mapping[str, Predictions],
    comparison: Mapping[str, Any] | None,
    not_compared: str,
    title: str,
    more: Further,
) -> list[Block]:
    """Returns the whole report.

    Args:
      runs: in the order of the report.
      trees: name of a run -> its `assess` tree.
      rows: name of a run -> the rows that are judged, at the level of the trees.
      comparison: `compare` tree, None where there is none.
      not_compared: why there is none.
      title: of the report.
      more: what else belongs into the report.
    """
    first = next(iter(trees.values()))
    blocks: list[Block] = [
        Heading(title, 1),
        Text("Research software: not for diagnosis."),
        Text(
            f"{len(trees)} models; split {label(first['split'])}. Every number that "
            "tells how good a model is, or how it differs from another, is followed by "
            "its 95 % interval over patients, and its table says of how many patients "
            "it is. Without an interval are p values, counts, thresholds, scores and "
            "curves that are drawn, what is promised or aimed at, what a network "
            "costs, and facts about a run."
        ),
    ]
    if more.facts:
        blocks.append(Table(["study", ""], [[k, v] for k, v in more.facts.items()]))
    blocks += overview(trees) + patterns(trees, rows)
    if comparison is not None:
        blocks += compared(comparison)
    elif not_compared:
        blocks += [
            Heading("Differences between models"),
            Text(f"Models were not compared: {not_compared}."),
        ]
    blocks += calibration_overview(trees) + sets_overview(trees)
    blocks += cost(runs, more.costs)
    if more.readers is not None:
        blocks += readers_sections(more.readers)
    for place, one in enumerate(runs):
        blocks += model(one, trees[one.name], place + 1)
    if comparison is not None:
        blocks += appendix(comparison)
    return [*blocks, *methods(first, comparison)]


def overview(trees: Trees) -> list[Block]:
    """Macro values of every model, with the forest figure."""
    rows = []
    for name, tree in trees.items():
        clip, video = tree["levels"]["clip"], tree["levels"]["video_mean"]
        rows.append(
            [
                name,
                macro_text(clip, "auroc"),
                macro_text(video, "auroc"),
                macro_text(clip, "average_precision"),
                macro_text(clip, "f1"),
                f"{clip['n']['examples']} / {clip['n']['videos']}",
                str(clip["n"]["patients"]),
            ]
        )
    return [
        Heading("Overview"),
        Table(
            [
                "model",
                "macro AUROC, clips",
                "macro AUROC, videos",
                "macro average precision, clips",
                "macro F1, clips",
                "clips / videos",
                "patients",
            ],
            rows,
            caption="Value [95 % interval]. A video's score is the mean over its "
            "clips. Intervals that overlap do not tell whether two models differ: see "
            "the differences below.",
        ),
        Picture(
            "auroc",
            plots.auroc_by_model(trees, "clip"),
            alt="AUROC with intervals of every model, macro and by pattern",
            caption="AUROC of clips with 95 % intervals over patients. Hollow: no "
            "interval is defined. The line at 0.5 is chance.",
        ),
    ]


def patterns(trees: Trees, rows: Mapping[str, Predictions]) -> list[Block]:
    """AUROC and average precision of every pattern and model, and the ROC."""
    first = next(iter(trees.values()))
    level = first["level"]
    names = list(first["levels"][level]["classes"])
    blocks: list[Block] = [Heading("Every pattern")]
    for metric, title in (
        ("auroc", "AUROC"),
        ("average_precision", "Average precision"),
    ):
        body = [
            [
                name,
                *(
                    value_text(tree["levels"][level]["classes"][p], metric)
                    for p in names
                ),
                str(tree["levels"][level]["n"]["patients"]),
            ]
            for name, tree in trees.items()
        ]
        shares = ", ".join(
            f"{label(p)} {e['positives']} of {e['positives'] + e['negatives']}, of "
            f"{e['positive_patients']} patients"
            for p, e in first["levels"][level]["classes"].items()
        )
        blocks.append(
            Table(
                ["model", *map(label, names), "patients"],
                body,
                caption=f"{title} by {LEVEL_NAMES[level]}. Positive: {shares}.",
            )
        )
    blocks.append(
        Picture(
            "roc",
            plots.roc_overlay(rows),
            alt="ROC of every model, one panel a pattern",
            caption=f"ROC by {LEVEL_NAMES[level]}: {n_text(first['levels'][level])}.",
        )
    )
    return blocks


def calibration_overview(trees: Trees) -> list[Block]:
    """Brier score and calibration errors (ECE) of every model."""
    names = ("brier", "ece_equal_mass", "ece_equal_width")
    rows = []
    for name, tree in trees.items():
        found = tree["calibration"]
        patients = [e["patients"] for e in found["classes"].values()]
        rows.append(
            [
                name,
                *(value_text(found, f"macro_{m}") for m in names),
                str(max(patients)),
            ]
        )
    return [
        Heading("Calibration"),
        Table(
            [
                "model",
                "macro Brier score",
                "macro ECE, equal mass",
                "macro ECE, equal width",
                "patients",
            ],
            rows,
            caption="Lower is better. ECE is the expected calibration error, in bins "
            "of equal mass or equal width. Each model's patterns and reliability "
            "diagrams are in its section.",
        ),
    ]


def sets_overview(trees: Trees) -> list[Block]:
    """What answers prediction sets give, where they could be calibrated."""
    first = next(iter(trees.values()))["conformal"]
    level = next(iter(trees.values()))["level"]
    heading = Heading("Prediction sets")
    if not all(tree["conformal"]["classes"] for tree in trees.values()):
        text = "There are no validation rows to calibrate prediction sets on."
        return [heading, Text(text)]
    useless = sum(
        kinds["marginal"]["patient"]["useless"]
        for tree in trees.values()
        for kinds in tree["conformal"]["classes"].values()
    )
    text = (
        f"Sets that promise to hold the truth for a clip of a new patient with "
        f"probability {1 - first['alpha']:.2f}. The fewer {{both}}, the more a model "
        "can tell. Coverage is in each model's section."
    )
    if useless:
        text += (
            f" {useless} of them are useless: there are fewer than "
            f"{first['patients_needed']} calibration patients, or the network cannot "
            "tell at all, so that every set holds both answers."
        )
    return [
        heading,
        Text(text),
        Picture(
            "prediction_sets",
            plots.set_sizes(trees, "patient", "marginal"),
            alt="Shares of prediction sets by model and pattern",
            caption="Share of examples with each prediction set, with 95 % intervals "
            f"over patients: {n_text(next(iter(trees.values()))['levels'][level])}.",
        ),
    ]
