"""The reliability diagram: observed rate against score."""

from collections.abc import Mapping
from typing import Any

from ultrasound_jax.analysis.canvas import COLOURS, new_figure, png
from ultrasound_jax.analysis.document import label, value_text


def reliability(tree: Mapping[str, Any]) -> bytes:
    """Draws the reliability diagram of one model, one panel a pattern.

    Points are bins of equal mass with 95 % intervals over patients; the strip below
    says how the scores are spread.
    """
    classes = tree["calibration"]["classes"]
    columns = min(len(classes), 4)
    rows = -(-len(classes) // columns)
    figure = new_figure(3.1 * columns, 3.35 * rows)
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
    return png(figure)
