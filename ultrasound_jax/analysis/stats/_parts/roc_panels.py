"""The ROC of several curves, one panel a class: models, or the levels of one model."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from ultrasound_jax.analysis.canvas import (
    COLOURS,
    DASHES,
    add_legend,
    new_figure,
    png,
    style,
)
from ultrasound_jax.analysis.document import label, value_text
from ultrasound_jax.analysis.stats._parts.metrics import RocPoints, roc_points
from ultrasound_jax.analysis.table.predictions import Predictions
from ultrasound_jax.analysis.table.units import plural

# Inches: two panels of one model are 1200 pixels; of several models, a panel is as wide
# as a phone, or four as a page.
_PANEL, _PHONE, _SMALL = 4.0, 3.4, 2.95
_CELLS = 2048  # of the grid on which points of a curve are told apart
# The levels of a model lie close together, so their dashes differ, too.
LEVEL_STYLES = tuple(zip(COLOURS, DASHES, strict=False))


def roc_overlay(tables: Mapping[str, Predictions]) -> bytes:
    """Draws the ROC of every model, one panel a class.

    Args:
        tables: name of a model -> the rows that are judged, at one level.
    """
    classes = next(iter(tables.values())).classes
    # Many curves need larger panels, a few can stand side by side.
    columns, size = (2, _PHONE) if len(tables) > 3 else (4, _SMALL)
    columns = min(len(classes), columns)
    rows = -(-len(classes) // columns)
    legend = min(len(tables), columns, 4)
    height = (size + 0.2) * rows + 0.28 * -(-len(tables) // legend) + 0.1
    figure = new_figure(size * columns, height)
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for k, panel in enumerate(panels):
        if k >= len(classes):
            panel.set_axis_off()
            continue
        drawn = [
            _draw_curve(panel, table, k, *style(place))
            for place, table in enumerate(tables.values())
        ]
        if not any(drawn):
            panel.text(0.5, 0.6, "not defined", ha="center")
        _finish(panel, label(classes[k]))
    add_legend(figure, list(tables), legend)
    return png(figure)


def roc_panels(
    curves: Mapping[str, Predictions], levels: Sequence[Mapping[str, Any]], unit: str
) -> bytes:
    """Draws the ROC of one model at every level, with its AUROCs in each panel.

    Args:
        curves: a level in words -> its judged rows, the examples' first.
        levels: the LEVELs of the same, in this order.
        unit: what an example is called.
    """
    classes = next(iter(curves.values())).classes
    columns = min(2, len(classes))
    rows = -(-len(classes) // columns)
    figure = new_figure(_PANEL * columns, (_PANEL + 0.15) * rows)
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for k, panel in enumerate(panels):
        if k >= len(classes):
            panel.set_axis_off()
            continue
        entries = [level["classes"][classes[k]] for level in levels]
        drawn = []
        for (name, table), entry, (colour, dashes) in zip(
            curves.items(), entries, LEVEL_STYLES, strict=False
        ):
            text = f"{name}: {value_text(entry, 'auroc')}"
            drawn.append(_draw_curve(panel, table, k, colour, dashes, text))
        own = entries[0]
        if not drawn[0]:
            lacking = "positives" if own["positives"] == 0 else "negatives"
            text = f"not defined:\nno {lacking}"
            panel.text(0.3, 0.75, text, ha="center", va="center")
        total = own["positives"] + own["negatives"]
        _finish(
            panel,
            f"{label(classes[k])}\n{own['positives']} of {total} {plural(unit)} "
            f"positive, in {own['positive_patients']} patients",
        )
        panel.legend(
            loc="lower right", fontsize=8, title="AUROC [95 %]", title_fontsize=8
        )
    return png(figure)


def _draw_curve(
    panel: Axes,
    table: Predictions,
    k: int,
    colour: str,
    dashes: str,
    text: str | None = None,
) -> bool:
    """Draws one class of one table; says whether it has a ROC."""
    points = roc_points(table.labels[:, k], table.scores[:, k])
    x, y = [], []
    if points.defined():
        x, y = drawn_points(points)
    panel.plot(x, y, dashes, color=colour, linewidth=1.6, label=text)
    return points.defined()


def drawn_points(
    points: RocPoints,
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """1 - specificity and sensitivity from (0, 0) to (1, 1), as many as can be seen.

    Of the points that share a cell of a grid finer than a panel's pixels, the first is
    drawn, so that a curve of 200,000 scores has no more corners than eyes can tell.
    """
    x = np.append(0.0, points.false / points.false[-1])
    y = np.append(0.0, points.true / points.true[-1])
    cells = np.stack([np.floor(x * _CELLS), np.floor(y * _CELLS)])
    other = np.append(True, (np.diff(cells) != 0).any(axis=0))
    other[-1] = True
    return x[other], y[other]


def _finish(panel: Axes, title: str) -> None:
    panel.plot([0, 1], [0, 1], color="0.7", linewidth=0.8, zorder=1)
    panel.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    panel.set(xlabel="1 − specificity", ylabel="sensitivity")
    panel.set_title(title, fontsize=10, parse_math=False)
