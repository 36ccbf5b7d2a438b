"""The tables of AUROC and what goes with it, of one model and of several."""

from collections.abc import Mapping, Sequence

from ultrasound_jax.analysis.document import (
    NOT_DEFINED,
    Block,
    Heading,
    Picture,
    Table,
    Text,
    label,
    rate_text,
    value_text,
)
from ultrasound_jax.analysis.stats._parts.auroc_panels import auroc_by_model
from ultrasound_jax.analysis.stats._parts.metrics import METRICS
from ultrasound_jax.analysis.stats._parts.roc_panels import roc_overlay
from ultrasound_jax.analysis.stats._parts.statistic import Tree
from ultrasound_jax.analysis.stats._parts.wording import (
    class_word,
    folds_text,
    macro_text,
    n_text,
    patients_text,
    source_text,
    threshold_text,
    unit_of,
    units_text,
)
from ultrasound_jax.analysis.table.predictions import Predictions
from ultrasound_jax.analysis.table.units import plural, split_level

_APART = (
    " Intervals that overlap do not tell whether two models differ: see the "
    "differences below."
)
METRIC_NAMES = {
    "auroc": "AUROC",
    "average_precision": "average precision",
    "f1": "F1",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
}


def blocks(tree: Tree) -> list[Block]:
    """What decisions rest on, who was judged, and every level's metrics."""
    tables = [discrimination(tree, level) for level in tree["levels"]]
    return [Text(source_text(tree)), counts(tree), *tables]


def counts(tree: Tree) -> Table:
    """How many positives there are, of how many patients."""
    levels, units = list(tree["levels"]), tuple(tree["units"])
    own, several = tree["levels"][levels[0]], plural(unit_of(tree))
    # Of videos or lesions, where the table has such a level, at either way of joining.
    group = next((n for n in levels[1:] if split_level(n, units)[0] == units[1]), "")
    rows = []
    for name, entry in own["classes"].items():
        cells = [entry["positives"], entry["negatives"], entry["unknown"]]
        if group:
            cells.append(tree["levels"][group]["classes"][name]["positives"])
        cells.append(entry["positive_patients"])
        cells += [f"{entry['effective_patients']:.1f}", _percent(entry)]
        rows.append([label(name), *map(str, cells)])
    header = [f"positive {several}", f"negative {several}", "not annotated"]
    header += [f"positive {plural(units[1])}"] if group else []
    header += ["positive patients", "effective patients of the rarer side"]
    header.append("largest patient's share of it")
    return Table(
        [class_word(tree), *header],
        rows,
        caption=f"What was judged (split {label(tree['split'])}): "
        f"{n_text(own, tree, levels[0])}.",
    )


def _percent(entry: Tree) -> str:
    share = entry["largest_share"]
    return NOT_DEFINED if share is None else f"{100 * share:.0f} %"


def discrimination(tree: Tree, name: str) -> Table:
    """Every metric of every class at one level, thresholds being Youden's."""
    level, word = tree["levels"][name], class_word(tree)
    classes = level["classes"]
    decided = any("threshold" in entry for entry in classes.values())
    first = ["macro", *(macro_text(level, m, word) for m in METRICS)]
    rows = [first + [""] * decided]
    for pattern, entry in classes.items():
        cells = [rate_text(entry, m) for m in METRICS]
        cells += [threshold_text(entry)] if decided else []
        rows.append([label(pattern), *cells])
    return Table(
        [word, *(METRIC_NAMES[m] for m in METRICS)] + ["threshold"] * decided,
        rows,
        caption=f"By {units_text(tree, name)}: value [95 % interval] of "
        f"{n_text(level, tree, name)}; behind sensitivity and specificity the counts, "
        "as in 20/31." + _unknown_text(classes) + folds_text(classes),
        strong=frozenset([0]),
    )


def _unknown_text(classes: Tree) -> str:
    """How many are not judged, as their images disagree or nobody has labelled them."""
    counts = {entry.get("unknown", 0) for entry in classes.values()}
    if not (most := max(counts, default=0)):
        return ""
    many = f"{most}" if len(counts) == 1 else f"Up to {most} a class"
    return f" {many} without one known label are left out."


def overview(
    trees: Mapping[str, Tree], tables: Mapping[str, Predictions]
) -> list[Block]:
    """Macro values of every model with their figure, then every class and the ROC."""
    first = next(iter(trees.values()))
    units, word = tuple(first["units"]), class_word(first)
    # Means, as the maxima are in each model's section.
    levels = [name for name in first["levels"] if not name.endswith("_max")]
    own, unit = levels[0], plural(units[0])
    names = {level: plural(split_level(level, units)[0]) for level in levels}
    groups = [name for name in first["levels"][own]["n"] if name == plural(units[1])]
    rows = []
    for name, tree in trees.items():
        at = tree["levels"]
        counted = [
            str(v) for k, v in at[own]["n"].items() if k in ("examples", *groups)
        ]
        rows.append(
            [
                name,
                *(macro_text(at[level], "auroc", word) for level in levels),
                macro_text(at[own], "average_precision", word),
                macro_text(at[own], "f1", word),
                " / ".join(counted),
                patients_text(at[own]["n"]),
            ]
        )
    grouped = ""
    if len(levels) > 1:
        whose = " and a ".join(
            split_level(level, units)[0] + "'s" for level in levels[1:]
        )
        grouped = f" A {whose} score is the mean over its {unit}."
    return [
        Heading("Overview"),
        Table(
            ["model", *(f"macro AUROC, {names[level]}" for level in levels)]
            + [f"macro average precision, {unit}", f"macro F1, {unit}"]
            + [" / ".join([unit, *groups]), "patients"],
            rows,
            caption=f"Value [95 % interval] of split {label(first['split'])}; AUROC is "
            "the area under the receiver operating characteristic, macro the mean over "
            f"{plural(word)}.{grouped}{_APART if len(trees) > 1 else ''}",
        ),
        Picture(
            "auroc",
            auroc_by_model(trees, own),
            alt=f"AUROC with intervals of every model, macro and by {word}",
            caption=f"AUROC of {unit} with 95 % intervals over patients. Hollow: no "
            "interval is defined. The line at 0.5 is chance.",
        ),
        *_every_class(trees, tables),
    ]


def _every_class(
    trees: Mapping[str, Tree], tables: Mapping[str, Predictions]
) -> Sequence[Block]:
    """AUROC and average precision of every class and model, and the ROC."""
    first, word = next(iter(trees.values())), class_word(next(iter(trees.values())))
    level = first["level"]
    names = list(first["levels"][level]["classes"])
    found: list[Block] = [Heading(f"Every {word}")]
    shares = ", ".join(
        f"{label(p)} {e['positives']} of {e['positives'] + e['negatives']}, of "
        f"{e['positive_patients']} patients"
        for p, e in first["levels"][level]["classes"].items()
    )
    for metric, title in (
        ("auroc", "AUROC"),
        ("average_precision", "Average precision"),
    ):
        body = []
        for name, tree in trees.items():
            here = tree["levels"][level]
            cells = [value_text(here["classes"][p], metric) for p in names]
            body.append([name, *cells, patients_text(here["n"])])
        found.append(
            Table(
                ["model", *map(label, names), "patients"],
                body,
                caption=f"{title} by {units_text(first)}. Positive: {shares}.",
            )
        )
    picture = Picture(
        "roc",
        roc_overlay(tables),
        alt=f"ROC of every model, one panel a {word}",
        caption=f"ROC by {units_text(first)}: "
        f"{n_text(first['levels'][level], first, level)}.",
    )
    return [*found, picture]
