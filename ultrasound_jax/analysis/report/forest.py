"""The figure of a comparison: each difference with its interval."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ultrasound_jax.analysis.canvas import COLOURS, new_figure, png
from ultrasound_jax.analysis.judge.comparison import macro_first
from ultrasound_jax.analysis.report.comparison_words import measure_of
from ultrasound_jax.analysis.stats._parts.wording import patients_words
from ultrasound_jax.analysis.table.units import plural

# Filled and hollow tell the same without colour.
SURVIVES, NOT, UNTESTED = COLOURS[1], COLOURS[0], "0.6"


def forest_figure(comparison: Mapping[str, Any]) -> bytes:
    """Draws a panel for each class and the macro, a line for each model, as a PNG."""
    rows = macro_first(comparison["differences"])
    classes = list(dict.fromkeys(row["class"] for row in rows))
    models = list(dict.fromkeys(row["model"] for row in rows))
    widest = max(len(name) for name in models)
    figure = new_figure(
        0.075 * widest + 2.3 * len(classes) + 0.4, 0.42 * len(models) + 2.0
    )
    panels = figure.subplots(1, len(classes), squeeze=False, sharex=True, sharey=True)[
        0
    ]
    for panel, name in zip(panels, classes, strict=True):
        chosen = {row["model"]: row for row in rows if row["class"] == name}
        for place, model in enumerate(models):
            _draw_row(panel, place, chosen[model])
        panel.axvline(0, color="0.3", linewidth=0.8, zorder=0)
        several = plural(comparison["units"][0])
        title = _title(name, chosen[models[0]], several)
        panel.set_title(title, fontsize=9, parse_math=False)
        panel.set_xlabel(f"difference in {measure_of(comparison)}", fontsize=8)
        panel.tick_params(labelsize=8)
        panel.grid(axis="x", color="0.9", linewidth=0.6, zorder=-1)
        panel.locator_params(axis="x", nbins=4)
    panels[0].set_yticks(range(len(models)), models, fontsize=9, parse_math=False)
    panels[0].set_ylim(len(models) - 0.5, -0.5)
    reference, n = comparison["reference"], comparison["n"]
    figure.suptitle(
        f"Model minus {reference}, 95 % interval of the clustered test, "
        f"{patients_words(n)}",
        fontsize=10,
        parse_math=False,
    )
    marks = [
        Line2D([], [], color=SURVIVES, marker="o", label="survives Holm's correction"),
        Line2D([], [], color=NOT, marker="o", mfc="white", label="does not"),
        Line2D([], [], color=UNTESTED, marker="x", ls="", label="not tested"),
    ]
    figure.legend(
        handles=marks, loc="outside lower center", ncols=3, fontsize=8, frameon=False
    )
    return png(figure)


def _draw_row(panel: Axes, place: int, row: Mapping[str, Any]) -> None:
    if row["difference"] is None:
        panel.plot([0], [place], marker="x", color=UNTESTED, linestyle="")
        return
    colour = SURVIVES if row["survives"] else NOT
    if row["survives"] is None:
        colour = UNTESTED
    if row["ci"] is not None:
        panel.plot(row["ci"], [place, place], color=colour, linewidth=1.6)
    panel.plot(
        [row["difference"]],
        [place],
        marker="x" if row["survives"] is None else "o",
        color=colour,
        markerfacecolor=colour if row["survives"] else "white",
        linestyle="",
        markersize=6,
    )


def _title(name: str, row: Mapping[str, Any], several: str) -> str:
    title = name.replace("_", " ")
    if row.get("positive_patients") is None:
        return f"{title}\n\n"
    return (
        f"{title}\npositive {several} of {row['positive_patients']} patients,"
        f"\nnegative {several} of {row['negative_patients']}"
    )
