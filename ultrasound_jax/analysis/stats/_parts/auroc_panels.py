"""AUROC and interval of several models, one panel a class."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ultrasound_jax.analysis.canvas import new_figure, png, short, style
from ultrasound_jax.analysis.document import label


def auroc_by_model(trees: Mapping[str, Mapping[str, Any]], level: str) -> bytes:
    """Draws AUROC and interval of every model: the macro, then each pattern.

    Args:
        trees: name of a model -> its `assess` tree. level: of the AUROCs.
    """
    levels = [tree["levels"][level] for tree in trees.values()]
    patterns = list(levels[0]["classes"])
    columns = len(patterns) + 1
    figure = new_figure(1.6 + 2.05 * columns, 1.1 + 0.32 * len(trees))
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
    panels[0].set_yticks(range(len(trees)), [short(name) for name in trees])
    panels[0].set_ylim(len(trees) - 0.5, -0.5)
    return png(figure)


def _draw_estimate(panel: Axes, entry: Mapping[str, Any], place: int) -> None:
    colour, _ = style(place)
    if entry["auroc"] is None:
        panel.text(0.75, place, "not defined", fontsize=7, ha="center", va="center")
        return
    if entry["auroc_ci"] is not None:
        panel.plot(entry["auroc_ci"], [place, place], color=colour, linewidth=1.6)
    filled = colour if entry["auroc_ci"] is not None else "white"
    panel.plot([entry["auroc"]], [place], "o", color=colour, mfc=filled, markersize=5)
