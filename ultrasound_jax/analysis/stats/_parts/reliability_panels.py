"""The reliability diagram: observed rate against score, and where the scores lie."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from scipy.special import expit, logit

from ultrasound_jax.analysis.canvas import COLOURS, new_figure, png
from ultrasound_jax.analysis.document import label
from ultrasound_jax.analysis.stats._parts.reliability_curve import BARS
from ultrasound_jax.analysis.table.units import plural

_COLUMNS, _WIDTH, _HEIGHT = 2, 3.3, 3.6  # inches of a panel, histogram included
_NUMBERS = {"intercept": "calibration_intercept", "slope": "calibration_slope"}
_ENDS = (0.01, 0.99)  # between which the fitted curve is drawn


def reliability(tree: Mapping[str, Any]) -> bytes:
    """Draws the reliability diagram of one model, one panel a class.

    Points are bins with 95 % intervals over patients; the curve is the logistic one
    whose slope is the calibration slope; below are the scores of examples with the
    finding (up) and without it (down).
    """
    classes = tree["calibration"]["classes"]
    columns = min(len(classes), _COLUMNS)
    rows = -(-len(classes) // columns)
    figure = new_figure(_WIDTH * columns, _HEIGHT * rows + 0.4)
    panels = figure.subplots(
        2 * rows, columns, squeeze=False, height_ratios=(4, 1) * rows
    )
    unit = plural(tree["units"][0])
    for place in range(rows * columns):
        row, column = divmod(place, columns)
        above, below = panels[2 * row, column], panels[2 * row + 1, column]
        if place >= len(classes):
            above.set_axis_off()
            below.set_axis_off()
            continue
        name, entry = list(classes.items())[place]
        _curve(above, entry)
        _histogram(below, entry)
        above.set_title(_heading(name, entry, unit), fontsize=9, parse_math=False)
        above.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), ylabel="observed rate")
        below.set(xlim=(-0.02, 1.02), xlabel="score", yticks=[])
        above.set_xticklabels([])
    marks = {
        "rate in a bin, 95 %": Line2D([], [], color=COLOURS[0], marker="o", ls=""),
        "perfect": Line2D([], [], color="0.6", ls="--"),
        "with": Line2D([], [], color=COLOURS[1], marker="s", ls=""),
        "without": Line2D([], [], color=COLOURS[5], marker="s", ls=""),
    }
    if any(entry["diagram"]["line"] for entry in classes.values()):
        marks["fitted, logistic"] = Line2D([], [], color=COLOURS[2])
    figure.legend(
        list(marks.values()),
        list(marks),
        loc="outside lower center",
        ncols=3 if columns > 1 else 2,
        frameon=False,
        fontsize=8,
    )
    return png(figure)


def _heading(name: str, entry: Mapping[str, Any], unit: str) -> str:
    of = f"{entry['examples']} {unit} of {entry['patients']} patients"
    told = [
        f"{words} {entry[key]:.2f}"
        for words, key in _NUMBERS.items()
        if entry[key] is not None
    ]
    return "\n".join([label(name), of, ", ".join(told)])


def _curve(panel: Axes, entry: Mapping[str, Any]) -> None:
    panel.plot([0, 1], [0, 1], "--", color="0.6", linewidth=0.9, zorder=1)
    points = entry["diagram"]["points"]
    if not points:
        panel.text(0.5, 0.6, "not defined", ha="center")
    if entry["diagram"]["line"]:
        intercept, slope = entry["diagram"]["line"]
        scores = np.linspace(*_ENDS, 99)
        fitted = expit(intercept + slope * logit(scores))
        panel.plot(scores, fitted, color=COLOURS[2], linewidth=1.4, zorder=2)
    for point in points:
        x, filled = point["score"], "white"
        if point["rate_ci"] is not None:
            panel.plot([x, x], point["rate_ci"], color=COLOURS[0], linewidth=1.4)
            filled = COLOURS[0]
        panel.plot([x], [point["rate"]], "o", color=COLOURS[0], mfc=filled, ms=5)


def _histogram(panel: Axes, entry: Mapping[str, Any]) -> None:
    left = np.arange(BARS) / BARS
    for name, sign, colour in (
        ("positive", 1, COLOURS[1]),
        ("negative", -1, COLOURS[5]),
    ):
        counts = sign * np.array(entry["diagram"][name])
        panel.bar(left, counts, width=1 / BARS, align="edge", color=colour)
    panel.axhline(0, color="0.3", linewidth=0.6)
