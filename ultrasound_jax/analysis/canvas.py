"""What all figures of this room share: colours, dashes, names, and a PNG's bytes."""

import io
from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from ultrasound_jax.analysis.errors import AnalysisError

# Okabe and Ito's colours, told apart with any kind of colour vision; a second and a
# third round of curves is told apart by dashes.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES: tuple[Literal["-", "--", ":"], ...] = ("-", "--", ":")
MOST_MODELS = len(COLOURS) * len(DASHES)
DPI = 150


def style(place: int) -> tuple[str, Literal["-", "--", ":"]]:
    """Colour and dashes of the model at a place, the same in every figure.

    Raises:
        AnalysisError: more models than can be told apart.
    """
    if place >= MOST_MODELS:
        raise AnalysisError(
            f"{place + 1} models in one figure; at most {MOST_MODELS} can be told apart"
        )
    return COLOURS[place % len(COLOURS)], DASHES[place // len(COLOURS)]


def new_figure(width: float, height: float) -> Figure:
    """A figure of that many inches whose parts make room for each other."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def add_legend(figure: Figure, names: Sequence[str], columns: int) -> None:
    """Names the models below the panels, in the order of their styles."""
    handles = []
    for place in range(len(names)):
        colour, dashes = style(place)
        handles.append(Line2D([], [], color=colour, linestyle=dashes, linewidth=1.8))
    figure.legend(
        handles,
        [short(name) for name in names],
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        fontsize=9,
    )


def short(name: str, most: int = 28) -> str:
    """A name as it fits into a legend."""
    # A dollar would begin a formula.
    text = name if len(name) <= most else f"{name[: most - 1]}…"
    return text.replace("$", r"\$")


def png(figure: Figure) -> bytes:
    """The figure as a PNG, the same bytes every time."""
    # `savefig` goes through all parts twice, once without drawing them.
    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    image = io.BytesIO()
    Image.fromarray(np.asarray(canvas.buffer_rgba())).save(
        image, format="png", dpi=(DPI, DPI)
    )
    return image.getvalue()
