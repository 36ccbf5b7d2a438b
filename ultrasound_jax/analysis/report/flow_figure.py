"""A flow diagram in a column that a phone shows without scrolling."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, Rectangle

from ultrasound_jax.analysis.canvas import COLOURS, new_figure, png

# Inches: of the figure, between boxes, of a line of letters and of a letter (8 points).
WIDTH, GAP, LINE, LETTER = 3.4, 0.2, 0.145, 0.0625
_SIZE, _PAD, _ASIDE = 8, 0.07, 0.55
_BESIDE = 3  # boxes in a row


@dataclass(frozen=True)
class Box:
    """Boxes of one step, side by side: their lines, the first standing out.

    aside: what leaves the flow here. under: of the step above, the box that this one
    comes from; None for all of them. more: the boxes before did not fit into one row.
    """

    columns: Sequence[Sequence[str]]
    aside: bool = False
    under: int | None = None
    more: bool = False


def draw(boxes: Sequence[Box]) -> bytes:
    """Draws the steps from above to below, as a PNG."""
    steps = [row for box in boxes for row in _rows(box)]
    heights = [max(_height(lines) for lines in step.columns) for step in steps]
    total = sum(heights) + GAP * (len(steps) - 1) + 2 * _PAD
    figure = new_figure(WIDTH, total)
    figure.set_layout_engine("none")
    panel = figure.add_axes((0, 0, 1, 1))
    panel.set(xlim=(0, WIDTH), ylim=(total, 0))
    panel.set_axis_off()
    top, above, centres, beside = _PAD, None, [WIDTH / 2], False
    for step, height in zip(steps, heights, strict=True):
        left = _ASIDE if step.aside else _PAD
        width = (WIDTH - left - _PAD - GAP / 2 * (len(step.columns) - 1)) / len(
            step.columns
        )
        for lines in step.columns:
            colour = "0.55" if step.aside else COLOURS[0]
            box = Rectangle(
                (left, top), width, height, fill=False, edgecolor=colour, linewidth=1
            )
            panel.add_patch(box)
            for place, line in enumerate(lines):
                panel.text(
                    left + _PAD,
                    top + _PAD + LINE * (place + 0.5),
                    line,
                    fontsize=_SIZE,
                    va="center",
                    weight="bold" if place == 0 else "normal",
                    parse_math=False,
                )
            if above is not None and step.aside:
                middle = top + height / 2
                _arrow(panel, (_ASIDE / 2, middle), (left, middle))
            elif above is not None and not step.more:
                x = left + width / 2
                if len(step.columns) == 1:
                    x = WIDTH / 2 if step.under is None else centres[step.under]
                x = _ASIDE / 2 if beside else x
                _arrow(panel, (x, above), (x, top))
            left += width + GAP / 2
        if step.aside and above is not None:  # the flow goes on beside it
            panel.plot([_ASIDE / 2] * 2, [above, top + height], color="0.3", lw=1)
        else:
            share = (WIDTH - 2 * _PAD) / len(step.columns)
            centres = [_PAD + share * (k + 0.5) for k in range(len(step.columns))]
        above, beside = top + height, step.aside
        top = above + GAP
    return png(figure)


def _arrow(panel: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    arrow = FancyArrowPatch(
        start, end, arrowstyle="-|>", mutation_scale=8, color="0.3", lw=1, shrinkA=0
    )
    panel.add_patch(arrow)


def _rows(box: Box) -> list[Box]:
    """The boxes of a step, so many in a row that their lines are readable."""
    beside = min(_BESIDE, len(box.columns))
    wide = (WIDTH - (_ASIDE if box.aside else _PAD)) / beside - 2 * _PAD - GAP / 2
    columns = [_wrapped(lines, int(wide / LETTER)) for lines in box.columns]
    return [
        Box(columns[i : i + beside], box.aside, box.under, more=i > 0)
        for i in range(0, len(columns), beside)
    ]


def _wrapped(lines: Sequence[str], letters: int) -> list[str]:
    return [
        part
        for line in lines
        for part in textwrap.wrap(line, letters, subsequent_indent="  ") or [""]
    ]


def _height(lines: Sequence[str]) -> float:
    return LINE * len(lines) + 2 * _PAD
