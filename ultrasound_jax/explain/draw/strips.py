"""Strips of frames: those that counted most, with the map of where it was seen."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from ultrasound_jax.explain.draw.style import (
    new_figure,
    save,
    told_apart,
    words,
)
from ultrasound_jax.explain.see.frame_weights import top_frames

OVERLAY = 0.55  # opacity of a map where it is strongest
CMAP = "inferno"
SCALE = "share of the highest"
NOTHING = "nothing speaks for it"  # where a map is zero everywhere
_ALIKE = 1e-6  # frames whose values differ by less are not ranked


def write_strip(
    path: Path,
    frames: UInt8[np.ndarray, "t h w"],
    order: Float[np.ndarray, "k t"],
    *,
    title: str,
    classes: Sequence[str],
    chosen: Sequence[int],
    first: int,
    top: int,
    maps: Float[np.ndarray, "r t h w"] | None = None,
    map_kind: str = "",
) -> list[Path]:
    """Draws a row for each chosen pattern: its `top` frames, the highest first.

    A row says so where the pattern's map is zero everywhere, or all frames are alike.

    Args:
        path: without suffix; .png and .svg are written.
        frames: of the clip or video.
        order: what frames are ranked by, which stands above them; NaN are not shown.
        title: above all.
        classes: names of all patterns.
        chosen: which of them to draw.
        first: number of the first frame, from 1.
        top: frames a row.
        maps: 0-1, laid over the frames; None shows the frames alone.
        map_kind: how the maps were made.
    """
    count = min(top, int(np.isfinite(order).any(0).sum()))
    extra = 0.9 if maps is not None else 0.2
    figure = new_figure(max(1.75 * count + extra, 4.5), 1.9 * len(chosen) + 0.6)
    panels = figure.subplots(len(chosen), count, squeeze=False)
    for row, k in zip(panels, chosen, strict=True):
        name = words(classes[k])
        best = top_frames(order[k], count)
        if maps is not None and not maps[k].any():
            if not np.nan_to_num(order[k]).any():  # ranked by the map itself
                _say(row, f"{name}: {NOTHING} in any frame")
                continue
            name += f"\n{NOTHING}"
        if np.ptp(order[k][np.isfinite(order[k])]) < _ALIKE and len(best) > 1:
            name += "\nall frames alike"
        values = told_apart([float(order[k, t]) for t in best])
        for place, panel in enumerate(row):
            panel.set(xticks=[], yticks=[])
            if place >= len(best):
                panel.set_axis_off()
                continue
            t = best[place]
            panel.imshow(frames[t], cmap="gray", vmin=0, vmax=255)
            if maps is not None:
                shown = maps[k, t]
                alpha = OVERLAY * np.clip(shown, 0, 1)
                panel.imshow(shown, cmap=CMAP, vmin=0, vmax=1, alpha=alpha)
            panel.set_title(f"frame {first + t}: {values[place]}", fontsize=8)
        row[0].set_ylabel(name, fontsize=9, parse_math=False)
    if maps is not None:
        bar = ScalarMappable(Normalize(0, 1), CMAP)
        shown_bar = figure.colorbar(bar, ax=list(panels.flat), shrink=0.9)
        shown_bar.set_label(SCALE, fontsize=8)
        title = f"{title}, coloured by {map_kind}"
    figure.suptitle(title, fontsize=10, wrap=True, parse_math=False)
    return save(figure, path)


def _say(row: np.ndarray, text: str) -> None:
    """Words in place of a row of frames."""
    for panel in row:
        panel.set_axis_off()
    place = row[0].transAxes
    said = row[0].text(0, 0.5, text, transform=place, fontsize=9, parse_math=False)
    said.set_in_layout(False)
