"""Cohen's kappa of every pair of raters."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.lines import Line2D

from ultrasound_jax.analysis.canvas import COLOURS, new_figure, png, short
from ultrasound_jax.analysis.document import label


def kappas(pairs: Sequence[Mapping[str, Any]], patterns: Sequence[str]) -> bytes:
    """Draws Cohen's kappa of every pair of raters, one panel a pattern.

    Args:
        pairs: of a tree of `reader_study.study`. patterns: to draw.
    """
    names = [f"{short(p['first'])} – {short(p['second'])}" for p in pairs]
    widest = max((len(name) for name in names), default=10)
    columns = max(len(patterns), 1)
    figure = new_figure(0.07 * widest + 2.1 * columns, 1.2 + 0.27 * len(pairs))
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
    return png(figure)
