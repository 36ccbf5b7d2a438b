"""Figures of several models, each as the bytes of a PNG."""

import io
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.report.document import (
    label,
    value_text,
)
from ultrasound_jax.analysis.stats._parts.metrics import roc_points
from ultrasound_jax.analysis.table.predictions import Predictions

# Okabe and Ito's colours, told apart with any kind of colour vision; a second and a
# third round of models is told apart by dashes.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES: tuple[Literal["-", "--", ":"], ...] = ("-", "--", ":")
MOST_MODELS = len(COLOURS) * len(DASHES)
_DPI = 150
# Colour, mark and words of each prediction set.
_SETS = {
    "absent": (COLOURS[0], "o", "{absent}"),
    "present": (COLOURS[1], "s", "{present}"),
    "both": ("0.55", "D", "{both}: cannot tell"),
    "none": ("0.1", "^", "{}: neither fits"),
}


def style(place: int) -> tuple[str, Literal["-", "--", ":"]]:
    """Returns colour and dashes of the model at a place, the same in every figure.

    Raises:
      AnalysisError: more models than can be told apart.
    """
    if place >= MOST_MODELS:
        raise AnalysisError(
            f"{place + 1} models in one figure; at most {MOST_MODELS} can be told apart"
        )
    return COLOURS[place % len(COLOURS)], DASHES[place // len(COLOURS)]


def roc_overlay(tables: Mapping[str, Predictions]) -> bytes:
    """Draws the ROC of every model, one panel a pattern.

    Args:
      tables: name of a model -> the rows that are judged, at one level.
    """
    classes = next(iter(tables.values())).classes
    # Many curves need large panels, a few can stand side by side.
    columns, size = (min(len(classes), 2), 4.6) if len(tables) > 3 else (4, 3.1)
    columns = min(len(classes), columns)
    rows = -(-len(classes) // columns)
    legend = min(len(tables), 4)
    height = (size + 0.2) * rows + 0.28 * -(-len(tables) // legend) + 0.1
    figure = _figure(size * columns, height)
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for k, panel in enumerate(panels):
        if k >= len(classes):
            panel.set_axis_off()
            continue
        panel.plot([0, 1], [0, 1], color="0.75", linewidth=0.8, zorder=1)
        drawn = False
        for place, table in enumerate(tables.values()):
            points = roc_points(table.labels[:, k], table.scores[:, k])
            if not points.defined():
                continue
            colour, dashes = style(place)
            panel.plot(
                np.append(0.0, points.false / points.false[-1]),
                np.append(0.0, points.true / points.true[-1]),
                dashes,
                color=colour,
                linewidth=1.4,
            )
            drawn = True
        if not drawn:
            panel.text(0.5, 0.6, "not defined", ha="center")
        panel.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
        panel.set(xlabel="1 − specificity", ylabel="sensitivity")
        panel.set_title(label(classes[k]), fontsize=10, parse_math=False)
    _models_legend(figure, list(tables), legend)
    return _png(figure)


def auroc_by_model(trees: Mapping[str, Mapping[str, Any]], level: str) -> bytes:
    """Draws AUROC and interval of every model: the macro, then each pattern.

    Args:
      trees: name of a model -> its `assess` tree.
      level: of the AUROCs.
    """
    levels = [tree["levels"][level] for tree in trees.values()]
    patterns = list(levels[0]["classes"])
    columns = len(patterns) + 1
    figure = _figure(1.6 + 2.05 * columns, 1.1 + 0.32 * len(trees))
    panels = figure.subplots(1, columns, sharey=True, squeeze=False)[0]
    entries = [
        [
            {"auroc": e["macro_auroc"], "auroc_ci": e["macro_auroc_ci"]},
            *(e["classes"][name] for name in patterns),
        ]
        for e in levels
    ]
    ends = [
        end
        for row in entries
        for entry in row
        for end in (entry["auroc_ci"] or [entry["auroc"]])
        if end is not None
    ]
    low = min([*ends, 0.5])
    ticks = np.arange(0 if low < 0.25 else 0.25 if low < 0.45 else 0.5, 1.01, 0.25)
    for column, panel in enumerate(panels):
        for place, row in enumerate(entries):
            _draw_estimate(panel, row[column], place)
        panel.axvline(0.5, color="0.75", linewidth=0.8, zorder=1)
        # A margin, so that no interval ends on the frame.
        margin = 0.05 * (1 - low)
        panel.set(xlim=(low - margin, 1 + margin), xlabel="AUROC")
        panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks], fontsize=8)
        name = ["macro", *map(label, patterns)][column]
        panel.set_title(name, fontsize=10, parse_math=False)
        panel.grid(axis="x", color="0.92")
        panel.set_axisbelow(True)
    panels[0].set_yticks(range(len(trees)), [_short(name) for name in trees])
    panels[0].set_ylim(len(trees) - 0.5, -0.5)
    return _png(figure)


def _draw_estimate(panel: Axes, entry: Mapping[str, Any], place: int) -> None:
    colour, _ = style(place)
    if entry["auroc"] is None:
        panel.text(0.75, place, "not defined", fontsize=7, ha="center", va="center")
        return
    if entry["auroc_ci"] is not None:
        panel.plot(entry["auroc_ci"], [place, place], color=colour, linewidth=1.6)
    filled = colour if entry["auroc_ci"] is not None else "white"
    panel.plot([entry["auroc"]], [place], "o", color=colour, mfc=filled, markersize=5)


def reliability(tree: Mapping[str, Any]) -> bytes:
    """Draws the reliability diagram of one model, one panel a pattern.

    Points are bins of equal mass with 95 % intervals over patients; the strip below
    says how the scores are spread.
    """
    classes = tree["calibration"]["classes"]
    columns = min(len(classes), 4)
    rows = -(-len(classes) // columns)
    figure = _figure(3.1 * columns, 3.35 * rows)
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for panel, (name, entry) in zip(panels, classes.items(), strict=False):
        panel.plot([0, 1], [0, 1], color="0.75", linewidth=0.8, zorder=1)
        curve = entry["curve"]
        for point in curve:
            if point["rate_ci"] is not None:
                panel.plot(
                    [point["score"]] * 2,
                    point["rate_ci"],
                    color=COLOURS[5],
                    linewidth=3,
                    solid_capstyle="butt",
                )
        panel.plot(
            [p["score"] for p in curve],
            [p["rate"] for p in curve],
            "o-",
            color=COLOURS[0],
            markersize=3.5,
            linewidth=1.2,
        )
        if not curve:
            panel.text(0.5, 0.6, "not defined", ha="center")
        error = value_text(entry, "ece_equal_mass")
        heading = f"{label(name)}\nECE, equal mass: {error}"
        panel.set_title(heading, fontsize=9, parse_math=False)
        panel.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
        panel.set(xlabel="mean score of the bin", ylabel="observed rate")
    for panel in list(panels)[len(classes) :]:
        panel.set_axis_off()
    return _png(figure)


def set_sizes(trees: Mapping[str, Mapping[str, Any]], way: str, kind: str) -> bytes:
    """Draws the shares of {absent}, {present}, {both} and {} with their intervals."""
    patterns = list(next(iter(trees.values()))["conformal"]["classes"])
    columns = max(len(patterns), 1)
    figure = _figure(1.6 + 2.3 * columns, 1.3 + 0.5 * len(trees))
    panels = figure.subplots(1, columns, sharey=True, squeeze=False)[0]
    for panel, pattern in zip(panels, patterns, strict=False):
        for place, tree in enumerate(trees.values()):
            if place % 2:
                panel.axhspan(place - 0.5, place + 0.5, color="0.95", zorder=0)
            entry = tree["conformal"]["classes"][pattern][kind][way]
            for step, (name, (colour, mark, _)) in enumerate(_SETS.items()):
                if entry[name] is None:
                    continue
                y, ends = place + 0.2 * (step - 1.5), entry[f"{name}_ci"]
                if ends is not None:
                    panel.plot(ends, [y, y], color=colour, linewidth=1.4)
                filled = colour if ends is not None else "white"
                panel.plot(
                    [entry[name]], [y], mark, color=colour, mfc=filled, markersize=4
                )
        panel.set(xlim=(-0.05, 1.05), xlabel="share of examples")
        panel.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        panel.grid(axis="x", color="0.88")
        panel.set_axisbelow(True)
        panel.set_title(label(pattern), fontsize=10, parse_math=False)
    panels[0].set_yticks(range(len(trees)), [_short(name) for name in trees])
    panels[0].set_ylim(len(trees) - 0.5, -0.5)
    handles = [
        Line2D([], [], color=colour, marker=mark, markersize=5)
        for colour, mark, _ in _SETS.values()
    ]
    figure.legend(
        handles,
        [words for *_, words in _SETS.values()],
        loc="outside lower center",
        ncols=4,
        frameon=False,
    )
    return _png(figure)


def kappas(pairs: Sequence[Mapping[str, Any]], patterns: Sequence[str]) -> bytes:
    """Draws Cohen's kappa of every pair of raters, one panel a pattern.

    Args:
      pairs: of a tree of `reader_study.study`.
      patterns: to draw.
    """
    names = [f"{_short(p['first'])} – {_short(p['second'])}" for p in pairs]
    widest = max((len(name) for name in names), default=10)
    columns = max(len(patterns), 1)
    figure = _figure(0.07 * widest + 2.1 * columns, 1.2 + 0.27 * len(pairs))
    panels = figure.subplots(1, columns, sharey=True, squeeze=False)[0]
    low = -0.05
    for panel, name in zip(panels, patterns, strict=False):
        for place, pair in enumerate(pairs):
            entry, colour = pair["patterns"][name], COLOURS[0]
            if "network" not in (pair["first_kind"], pair["second_kind"]):
                colour = COLOURS[1]
            if entry["kappa"] is None:
                continue
            if entry["kappa_ci"] is not None:
                panel.plot(entry["kappa_ci"], [place] * 2, color=colour, linewidth=1.6)
                low = min(low, entry["kappa_ci"][0])
            filled = colour if entry["kappa_ci"] is not None else "white"
            low = min(low, entry["kappa"])
            panel.plot([entry["kappa"]], [place], "o", color=colour, mfc=filled)
        panel.axvline(0, color="0.75", linewidth=0.8, zorder=1)
        panel.set_title(label(name), fontsize=10, parse_math=False)
        panel.set_xlabel("Cohen's kappa")
        panel.grid(axis="x", color="0.92")
        panel.set_axisbelow(True)
    for panel in panels:
        panel.set_xlim(low - 0.05, 1.05)
    panels[0].set_yticks(range(len(pairs)), names, fontsize=8)
    panels[0].set_ylim(len(pairs) - 0.5, -0.5)
    handles = [Line2D([], [], color=c, marker="o") for c in COLOURS[:2]]
    figure.legend(
        handles,
        ["a network and somebody", "people only"],
        loc="outside lower center",
        ncols=2,
        frameon=False,
        fontsize=9,
    )
    return _png(figure)


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _models_legend(figure: Figure, names: Sequence[str], columns: int) -> None:
    handles = []
    for place in range(len(names)):
        colour, dashes = style(place)
        handles.append(Line2D([], [], color=colour, linestyle=dashes, linewidth=1.8))
    figure.legend(
        handles,
        [_short(name) for name in names],
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        fontsize=9,
    )


def _short(name: str, most: int = 28) -> str:
    # A dollar would begin a formula.
    text = name if len(name) <= most else f"{name[: most - 1]}…"
    return text.replace("$", r"\$")


def _png(figure: Figure) -> bytes:
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=_DPI, metadata={"Software": None})
    return image.getvalue()
