"""What all figures of this room share: files, colours, words."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Float, Int, UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ultrasound_jax.analysis.canvas import COLOURS as OF_CURVES
from ultrasound_jax.analysis.canvas import DPI
from ultrasound_jax.runs.files import write_whole

COLOURS = (*OF_CURVES, "#000000")
MARKED = COLOURS[1]  # what the network singled out
TRUTH = COLOURS[2]  # what annotators marked


def new_figure(width: float, height: float) -> Figure:
    """A figure of that many inches whose parts make room for each other."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: Path) -> list[Path]:
    """Writes `path` with the suffixes .png and .svg, the same bytes every time."""
    written = []
    options: dict[str, Any] = {
        "png": {"dpi": DPI},
        "svg": {"metadata": {"Date": None}},
    }
    for kind, more in options.items():
        image = io.BytesIO()
        with mpl.rc_context({"svg.hashsalt": "ultrasound_jax"}):
            figure.savefig(image, format=kind, **more)
        target = path.with_name(f"{path.name}.{kind}")
        write_whole(target, image.getvalue())
        written.append(target)
    return written


def pixels(figure: Figure) -> UInt8[np.ndarray, "h w 3"]:
    """The figure as it would be seen, with even sides as H.264 wants them."""
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)  # noqa: S101 - made in new_figure
    canvas.draw()
    shown = np.asarray(canvas.buffer_rgba())[..., :3]
    height, width = shown.shape[0] // 2 * 2, shown.shape[1] // 2 * 2
    return np.ascontiguousarray(shown[:height, :width])


def show_range(panel: Axes, low: float, high: float, below: float) -> None:
    """Sets a vertical axis to a range, with room of `below` of it under the lowest.

    Ticks are within the range and have no offset ("+1") to be added in one's head.
    """
    span = high - low
    panel.set_ylim(low - below * span, high + 0.08 * span)
    ticks = MaxNLocator(5).tick_values(low, high)
    slack = 1e-6 * span
    panel.set_yticks([t for t in ticks if low - slack <= t <= high + slack])
    panel.ticklabel_format(axis="y", useOffset=False)


def draw_line(
    panel: Axes,
    frames: Int[np.ndarray, " t"],
    values: Float[np.ndarray, " t"],
    *,
    colour: str,
    width: float,
    zorder: int,
) -> None:
    """Draws a curve; a frame between gaps, or all by itself, as a dash."""
    panel.plot(frames, values, color=colour, linewidth=width, zorder=zorder)
    known = np.pad(np.isfinite(values), 1)
    alone = known[1:-1] & ~known[:-2] & ~known[2:]
    panel.plot(
        frames[alone],
        values[alone],
        "_",
        color=colour,
        markersize=16,
        markeredgewidth=width,
        zorder=zorder,
    )


def told_apart(values: Sequence[float]) -> list[str]:
    """Numbers with as many decimals, two to six, as it takes to tell them apart."""
    written = [f"{value:.6f}" for value in values]
    different = len(set(written))
    for decimals in range(2, 6):
        shorter = [f"{value:.{decimals}f}" for value in values]
        if len(set(shorter)) == different:
            return shorter
    return written


def words(name: str) -> str:
    """A class's name as one reads it."""
    return name.replace("_", " ")


def label_words(value: float) -> str:
    """What annotators say of a pattern."""
    if np.isnan(value) or value < 0:
        return "not annotated"
    return "present" if value > 0 else "absent"


def unit_scale(maps: Float[np.ndarray, "k *rest"]) -> Float[np.ndarray, "k *rest"]:
    """Each pattern's maps over the largest of them all; zeros where there is nothing.

    Frames compare with each other, patterns do not.
    """
    top = np.nanmax(np.nan_to_num(maps).reshape(len(maps), -1), axis=1)
    top = np.where(top > 0, top, 1.0)
    return np.nan_to_num(maps) / top.reshape(-1, *(1,) * (maps.ndim - 1))
