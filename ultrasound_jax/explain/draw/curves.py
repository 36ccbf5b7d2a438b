"""The attention graph: how much each frame counted, beside what annotators marked."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from ultrasound_jax.explain.draw.style import (
    COLOURS,
    MARKED,
    TRUTH,
    draw_line,
    label_words,
    new_figure,
    save,
    show_range,
    words,
)
from ultrasound_jax.explain.see.frame_weights import (
    AXES,
    FrameWeights,
    axis_range,
    top_frames,
)

_HEAD = "0.65"


def write_curves(
    path: Path,
    weights: FrameWeights,
    *,
    title: str,
    classes: Sequence[str],
    chosen: Sequence[int],
    scores: Float[np.ndarray, " k"],
    labels: Float[np.ndarray, " k"],
    marks: Float[np.ndarray, "k t"] | None,
    first: int,
    frame_rate: float,
    top: int,
) -> list[Path]:
    """Draws one panel for each chosen pattern into `path`.png and .svg.

    Each has the mean over the heads, thick, each head, thin, the `top` frames, and as a
    step line in a band below where annotators marked the pattern. The vertical axis
    shows `axis_range` at least.

    Args:
        path: without suffix.
        weights: of a clip, or of a whole video.
        title: above the panels.
        classes: names of all patterns.
        chosen: which of them to draw.
        scores: the network's, for the whole clip or video.
        labels: 1, 0, or NaN where nobody says; of the whole.
        marks: the same of each frame, None if the dataset has none.
        first: number of the first frame, from 1.
        frame_rate: Hz.
        top: how many frames to mark.
    """
    figure = new_figure(7.5, 0.95 + 2.1 * len(chosen))
    panels = figure.subplots(len(chosen), 1, squeeze=False, sharex=True)[:, 0]
    frames = first + np.arange(weights.heads.shape[-1])
    for panel, k in zip(panels, chosen, strict=True):
        best = top_frames(weights.mean[k], top)
        _draw(panel, weights, k, frames, best)
        _draw_truth(panel, frames, None if marks is None else marks[k])
        name, score = words(classes[k]), scores[k]
        panel.set_title(
            f"{name}: score {score:.2f}, label {label_words(labels[k])}",
            fontsize=10,
            loc="left",
            parse_math=False,
        )
    panels[-1].set_xlabel(f"frame of the video as built, {frame_rate:g} Hz")
    figure.supylabel(AXES[weights.kind][0], fontsize=10)
    note = "; one curve for all patterns" if weights.shared else ""
    figure.suptitle(title + note, fontsize=11, wrap=True, parse_math=False)
    figure.legend(
        handles=_legend(weights, marks is not None),
        loc="outside lower center",
        ncols=5,
        fontsize=8,
        frameon=False,
    )
    return save(figure, path)


def _draw(
    panel: Axes,
    weights: FrameWeights,
    k: int,
    frames: Int[np.ndarray, " t"],
    best: Int[np.ndarray, " n"],
) -> None:
    if weights.heads.shape[1] > 1:
        for head in weights.heads[k]:
            draw_line(panel, frames, head, colour=_HEAD, width=0.6, zorder=1)
    mean = weights.mean[k]
    draw_line(panel, frames, mean, colour=COLOURS[0], width=2.0, zorder=3)
    panel.plot(frames[best], mean[best], "o", color=MARKED, markersize=6, zorder=4)
    neutral = AXES[weights.kind][1]
    if neutral is not None:
        panel.axhline(neutral, color="0.3", linewidth=0.8, linestyle=":", zorder=2)
    panel.set_xlim(frames[0] - 0.5, frames[-1] + 0.5)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    # Room below the curves for the truth's band.
    show_range(panel, *axis_range(weights.kind, weights.heads[k]), below=0.35)


def _draw_truth(
    panel: Axes,
    frames: Int[np.ndarray, " t"],
    marks: Float[np.ndarray, " t"] | None,
) -> None:
    band = panel.get_xaxis_transform()
    if marks is None:
        panel.text(0.01, 0.04, "no frame labels", transform=panel.transAxes, fontsize=8)
        return
    steps = 0.03 + 0.15 * np.append(marks, marks[-1])
    edges = np.append(frames - 0.5, frames[-1] + 0.5)
    panel.step(edges, steps, where="post", color=TRUTH, transform=band, linewidth=1.5)
    panel.fill_between(
        edges,
        0.03,
        steps,
        step="post",
        color=TRUTH,
        alpha=0.25,
        transform=band,
        linewidth=0,
    )


def _legend(weights: FrameWeights, marked: bool) -> list[Line2D | Patch]:
    many = weights.heads.shape[1] > 1
    entries: list[Line2D | Patch] = [
        Line2D(
            [],
            [],
            color=COLOURS[0],
            linewidth=2,
            label="mean of the heads" if many else weights.kind,
        )
    ]
    if many:
        entries.append(Line2D([], [], color=_HEAD, linewidth=0.8, label="each head"))
    entries.append(
        Line2D([], [], color=MARKED, marker="o", linestyle="", label="highest frames")
    )
    if AXES[weights.kind][1] is not None:
        entries.append(
            Line2D([], [], color="0.3", linestyle=":", linewidth=0.8, label="uniform")
        )
    if marked:
        entries.append(
            Patch(facecolor=(TRUTH, 0.25), edgecolor=TRUTH, label="marked as present")
        )
    return entries
