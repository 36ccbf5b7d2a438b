"""Decision curves: net benefit against threshold probability, one panel a class."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ultrasound_jax.analysis.canvas import COLOURS, new_figure, png
from ultrasound_jax.analysis.document import label

_SCORES, _ALL, _NONE = (
    {"color": COLOURS[0], "linewidth": 2.0},
    {"color": COLOURS[1], "linewidth": 1.4, "linestyle": "--"},
    {"color": "0.35", "linewidth": 1.2, "linestyle": ":"},
)


def benefit_panels(classes: Mapping[str, Mapping[str, Any]], unit: str) -> bytes:
    """Draws the curves of `decision_curve.compute`.

    Args:
        classes: name of a class -> its entry. unit: what an example is called.
    """
    columns = min(2, len(classes))
    rows = -(-len(classes) // columns)
    figure = new_figure(4.0 * columns, 3.2 * rows + 0.5)
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for panel, (name, entry) in zip(panels, classes.items(), strict=False):
        panel.set_title(label(name), fontsize=10, parse_math=False)
        panel.set(xlabel="threshold probability", ylabel=f"net benefit per {unit}")
        panel.set_xlim(0, 1)
        if entry["curve"]:
            _draw(panel, entry["curve"], entry["positives"] / entry["examples"])
        else:
            panel.text(0.5, 0.5, "not defined", ha="center")
    for panel in panels[len(classes) :]:
        panel.set_axis_off()
    figure.legend(
        [
            Line2D([], [], **_SCORES),
            Patch(color=COLOURS[0], alpha=0.2),
            Line2D([], [], **_ALL),
            Line2D([], [], **_NONE),
        ],
        ["by the scores", "95 % over patients", "acting on all", "acting on none"],
        loc="outside lower center",
        ncols=2,
        frameon=False,
        fontsize=9,
    )
    return png(figure)


def _draw(panel: Axes, curve: Mapping[str, Any], prevalence: float) -> None:
    at = curve["threshold"]
    low, high = (np.array(curve[end], float) for end in ("low", "high"))
    panel.fill_between(at, low, high, color=COLOURS[0], alpha=0.2, linewidth=0)
    panel.plot(at, curve["all"], **_ALL)
    panel.axhline(0, **_NONE)
    panel.plot(at, curve["net_benefit"], **_SCORES)
    # What is worse than acting on none by much more than can be gained is cut off.
    top = max(prevalence, 0.02)
    panel.set_ylim(-0.5 * top, 1.15 * top)
    panel.grid(color="0.92")
    panel.set_axisbelow(True)
