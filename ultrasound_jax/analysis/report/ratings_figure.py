"""AUROC of every reader, of the average reader and of models, one panel a pattern."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ultrasound_jax.analysis.canvas import COLOURS, new_figure, png, short
from ultrasound_jax.analysis.document import label
from ultrasound_jax.analysis.judge.multireader_study import (
    AVERAGE,
    MODEL,
    WITH,
    WITHOUT,
)

# Told apart by shape and place, too.
_STYLES = {
    WITHOUT: (COLOURS[0], "o"),
    WITH: (COLOURS[1], "s"),
    MODEL: (COLOURS[2], "D"),
}
_APART = {WITHOUT: -0.17, WITH: 0.17, MODEL: 0.0}


def rated_aurocs(found: Mapping[str, Any]) -> bytes:
    """Draws the AUROCs of a tree of `multireader_study.rated_study`."""
    names = [*found["readers"], AVERAGE, *found["models"]]
    columns = len(found["classes"])
    widest = max(len(short(name)) for name in names)
    height = 1.3 + 0.36 * len(names)
    figure = new_figure(0.075 * widest + 2.3 * columns + 0.4, height)
    panels = figure.subplots(1, columns, sharey=True, squeeze=False)[0]
    for panel, (name, entry) in zip(panels, found["classes"].items(), strict=True):
        averages = [{"rater": AVERAGE} | one for one in entry["averages"]]
        for one in [*entry["aurocs"], *averages]:
            _draw(panel, one, names.index(one["rater"]), found["aided"])
        if entry["reason"]:
            panel.text(0.5, 0.5, "not defined", ha="center", transform=panel.transAxes)
        panel.axvline(0.5, color="0.75", linewidth=0.8, zorder=1)
        panel.axhspan(
            len(found["readers"]) - 0.5, len(found["readers"]) + 0.5, color="0.94"
        )
        panel.set_title(label(name), fontsize=10, parse_math=False)
        panel.set_xlabel("AUROC")
        panel.grid(axis="x", color="0.9")
        panel.set_axisbelow(True)
    panels[0].set_yticks(range(len(names)), [short(name) for name in names], fontsize=8)
    panels[0].set_ylim(len(names) - 0.5, -0.5)
    shown = [how for how in _STYLES if how != WITH or found["aided"]]
    shown = [how for how in shown if how != MODEL or found["models"]]
    figure.legend(
        [
            Line2D([], [], color=colour, marker=marker)
            for colour, marker in map(_STYLES.__getitem__, shown)
        ],
        shown,
        loc="outside lower center",
        ncols=len(shown),
        frameon=False,
        fontsize=9,
    )
    return png(figure)


def _draw(panel: Axes, one: Mapping[str, Any], place: int, aided: bool) -> None:
    colour, marker = _STYLES[one["how"]]
    at = place + _APART[one["how"]] * aided
    ends = one["auroc_ci"]
    if ends is not None:
        panel.plot(ends, [at, at], color=colour, linewidth=1.6)
    filled = colour if ends is not None else "white"
    panel.plot([one["auroc"]], [at], marker, color=colour, mfc=filled, markersize=5)
