"""The figure of maps' agreement with regions: each number beside those of chance."""

from collections.abc import Mapping
from typing import Any

from ultrasound_jax.analysis.canvas import COLOURS, new_figure, png
from ultrasound_jax.analysis.judge.map_agreement import MEASURES, NULLS
from ultrasound_jax.analysis.judge.map_verdict import WORDS
from ultrasound_jax.analysis.stats._parts.wording import patients_words

OWN = "the map on its region"


def map_figure(tree: Mapping[str, Any]) -> bytes:
    """Draws a panel for each measure, a line for the maps and for each null, as a PNG.

    `tree` is that of `judge_maps`.
    """
    names = [OWN, *(WORDS[null] for null in NULLS)]
    figure = new_figure(0.07 * max(map(len, names)) + 1.9 * len(MEASURES), 2.6)
    panels = figure.subplots(1, len(MEASURES), sharey=True)
    for panel, measure in zip(panels, MEASURES, strict=True):
        rows = [tree["measures"], *(tree["nulls"][null] for null in NULLS)]
        for place, row in enumerate(rows):
            colour = COLOURS[0] if place else COLOURS[1]
            entry = row[measure]
            if entry["mean_ci"] is not None:
                panel.plot(entry["mean_ci"], [place] * 2, color=colour, linewidth=1.6)
            filled = "white" if place else colour
            panel.plot([entry["mean"]], [place], "o", color=colour, mfc=filled)
        panel.set_title(WORDS[measure], fontsize=10)
        panel.set_xlim(-0.03, 1.03)
        panel.set_ylim(len(rows) - 0.5, -0.5)
        panel.grid(axis="x", color="0.92")
        panel.set_axisbelow(True)
        panel.tick_params(labelsize=8)
        panel.locator_params(axis="x", nbins=4)
    panels[0].set_yticks(range(len(names)), names, fontsize=9)
    figure.suptitle(
        f"{tree['n']['examples']} images, {patients_words(tree['n'])}, 95 % intervals "
        "over patients",
        fontsize=10,
    )
    return png(figure)
