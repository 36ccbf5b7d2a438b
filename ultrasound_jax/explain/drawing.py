"""What all figures of this room share: files, colours, words."""

import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ultrasound_jax.analysis.files import write_whole

# Okabe and Ito's colours, told apart with any kind of colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKED = "#D55E00"  # what the network singled out
TRUTH = "#009E73"  # what annotators marked
_DPI = 150


def new_figure(width: float, height: float) -> Figure:
    """A figure of that many inches whose parts make room for each other."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: Path) -> list[Path]:
    """Writes `path` with the suffixes .png and .svg, the same bytes every time."""
    written = []
    options: dict[str, Any] = {
        "png": {"dpi": _DPI},
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
