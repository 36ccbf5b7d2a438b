"""The video with what the network made of each frame, as H.264 in an MP4."""

import io
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from ultrasound_jax.explain.draw.strips import (
    CMAP,
    NOTHING,
    OVERLAY,
    SCALE,
)
from ultrasound_jax.explain.draw.style import (
    COLOURS,
    TRUTH,
    draw_line,
    label_words,
    new_figure,
    pixels,
    show_range,
    words,
)
from ultrasound_jax.explain.errors import ExplainError
from ultrasound_jax.explain.see.frame_weights import (
    AXES,
    FrameWeights,
    axis_range,
)
from ultrasound_jax.runs.files import write_whole

_DPI = 100
_CURVE_CMAP = "viridis"


def write_mp4(path: Path, pictures: Iterable[UInt8[np.ndarray, "h w 3"]], rate: float):
    """Writes RGB pictures of one even size as H.264, whole or not at all."""
    content, stream = io.BytesIO(), None
    options = {"fflags": "+bitexact"}  # no version and no date
    with av.open(content, "w", format="mp4", container_options=options) as container:
        for number, picture in enumerate(pictures):
            if stream is None:
                pace = Fraction(rate).limit_denominator(10_000)
                stream = container.add_stream("libx264", pace)
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = "yuv420p"  # what every player shows
                stream.options = {"crf": "18"}
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, 1 / Fraction(pace)
            container.mux(stream.encode(frame))
        if stream is None:
            raise ExplainError(f"{path}: a video without frames")
        container.mux(stream.encode())
    write_whole(path, content.getvalue())


def attention_pictures(
    frames: UInt8[np.ndarray, "t h w"],
    weights: FrameWeights,
    *,
    title: str,
    classes: Sequence[str],
    chosen: Sequence[int],
    scores: Float[np.ndarray, " k"],
    labels: Float[np.ndarray, " k"],
    marks: Float[np.ndarray, "k t"] | None,
    first: int,
) -> Iterator[UInt8[np.ndarray, "y x 3"]]:
    """Yields each frame beside the curves, a dot walking along each of them.

    The dot's colour is the curve's value on the colour bar, which all share. Where
    annotators marked a pattern the panel is shaded.
    """
    rows = len(chosen)
    figure = new_figure(9.6, max(1.25 * rows + 0.7, 4.4))
    figure.set_dpi(_DPI)
    grid = figure.add_gridspec(rows, 2, width_ratios=(1.0, 1.25))
    picture = figure.add_subplot(grid[:, 0])
    picture.set(xticks=[], yticks=[])
    image = picture.imshow(frames[0], cmap="gray", vmin=0, vmax=255)
    shown = weights.mean[list(chosen)]
    scale = Normalize(*axis_range(weights.kind, shown))
    panels = [figure.add_subplot(grid[i, 1]) for i in range(rows)]
    numbers = first + np.arange(len(frames))
    dots = []
    for panel, k in zip(panels, chosen, strict=True):
        mean = weights.mean[k]
        draw_line(panel, numbers, mean, colour=COLOURS[0], width=1.3, zorder=2)
        show_range(panel, *axis_range(weights.kind, mean), below=0.08)
        if marks is not None:
            panel.fill_between(
                numbers,
                0,
                1,
                where=marks[k] > 0,
                step="mid",
                transform=panel.get_xaxis_transform(),
                color=TRUTH,
                alpha=0.2,
                linewidth=0,
            )
        panel.set_xlim(numbers[0] - 0.5, numbers[-1] + 0.5)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        panel.tick_params(labelsize=7)
        panel.set_title(
            f"{words(classes[k])}: score {scores[k]:.2f}, "
            f"label {label_words(labels[k])}",
            fontsize=8,
            loc="left",
            parse_math=False,
        )
        line = panel.axvline(numbers[0], color="0.5", linewidth=0.8)
        dot = panel.scatter(
            [numbers[0]],
            [shown[0, 0]],
            c=[0.0],
            cmap=_CURVE_CMAP,
            norm=scale,
            s=70,
            edgecolors="black",
            zorder=4,
        )
        dots.append((k, line, dot))
    for panel in panels[:-1]:
        panel.set_xticklabels([])
    panels[-1].set_xlabel("frame", fontsize=8)
    plain = ScalarFormatter(useOffset=False)
    bar = figure.colorbar(ScalarMappable(scale, _CURVE_CMAP), ax=panels, format=plain)
    bar.set_label(AXES[weights.kind][0], fontsize=8)
    bar.ax.tick_params(labelsize=7)
    figure.suptitle(title, fontsize=9, wrap=True, parse_math=False)
    caption = picture.set_xlabel("", fontsize=9)
    for t, number in enumerate(numbers):
        image.set_data(frames[t])
        caption.set_text(f"frame {number}")
        for k, line, dot in dots:
            value = weights.mean[k, t]
            line.set_xdata([number, number])
            dot.set_offsets([[number, value]])
            dot.set_array([value])
        yield pixels(figure)


def map_pictures(
    frames: UInt8[np.ndarray, "t h w"],
    maps: Float[np.ndarray, "r t h w"],
    *,
    map_kind: str,
    title: str,
    classes: Sequence[str],
    chosen: Sequence[int],
    scores: Float[np.ndarray, " k"],
    first: int,
) -> Iterator[UInt8[np.ndarray, "y x 3"]]:
    """Yields each frame once for each pattern, with the pattern's map over it."""
    columns = min(2, len(chosen))
    rows = -(-len(chosen) // columns)
    figure = new_figure(3.6 * columns + 1.2, 3.75 * rows + 0.6)
    figure.set_dpi(_DPI)
    panels = figure.subplots(rows, columns, squeeze=False)
    layers = []
    for panel, k in zip(panels.flat, chosen, strict=False):
        image = panel.imshow(frames[0], cmap="gray", vmin=0, vmax=255)
        layer = panel.imshow(
            maps[k, 0],
            cmap=CMAP,
            vmin=0,
            vmax=1,
            alpha=OVERLAY * maps[k, 0],
        )
        panel.set(xticks=[], yticks=[])
        score = f": score {scores[k]:.2f}" if np.isfinite(scores[k]) else ""
        if not maps[k].any():
            score += f", {NOTHING}"
        panel.set_title(f"{words(classes[k])}{score}", fontsize=9, parse_math=False)
        layers.append((k, image, layer))
    for panel in panels.flat[len(chosen) :]:
        panel.set_axis_off()
    bar = figure.colorbar(ScalarMappable(Normalize(0, 1), CMAP), ax=list(panels.flat))
    bar.set_label(f"{SCALE} of the pattern", fontsize=8)
    heading = figure.suptitle("", fontsize=9, wrap=True, parse_math=False)
    for t in range(len(frames)):
        heading.set_text(f"{title}\n{map_kind}, frame {first + t}")
        for k, image, layer in layers:
            image.set_data(frames[t])
            layer.set_data(maps[k, t])
            layer.set_alpha(OVERLAY * np.clip(maps[k, t], 0, 1))
        yield pixels(figure)
