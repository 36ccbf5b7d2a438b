"""The shares of prediction sets, with their intervals."""

from collections.abc import Mapping
from typing import Any

from matplotlib.lines import Line2D

from ultrasound_jax.analysis.canvas import COLOURS, new_figure, png, short
from ultrasound_jax.analysis.document import label

# Colour, mark and words of each prediction set.
_SETS = {
    "absent": (COLOURS[0], "o", "{absent}"),
    "present": (COLOURS[1], "s", "{present}"),
    "both": ("0.55", "D", "{both}: cannot tell"),
    "none": ("0.1", "^", "{}: neither fits"),
}


def set_sizes(trees: Mapping[str, Mapping[str, Any]], way: str, kind: str) -> bytes:
    """Draws the shares of {absent}, {present}, {both} and {} with their intervals."""
    patterns = list(next(iter(trees.values()))["conformal"]["classes"])
    columns = max(len(patterns), 1)
    figure = new_figure(1.6 + 2.3 * columns, 1.3 + 0.5 * len(trees))
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
    panels[0].set_yticks(range(len(trees)), [short(name) for name in trees])
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
    return png(figure)
