"""The contact sheet of class activation maps: best, median, worst and any images."""

import io
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes

from ultrasound_jax.analysis.judge.map_agreement import THRESHOLD, Marks
from ultrasound_jax.explain.draw.mask_sheet import ROWS, chosen_rows
from ultrasound_jax.explain.draw.strips import CMAP, NOTHING, OVERLAY
from ultrasound_jax.explain.draw.style import MARKED, TRUTH, new_figure, words
from ultrasound_jax.explain.see.image_maps import SeenImage

EACH = 4  # images a row
_DPI = 150


def map_sheet(
    seen: Sequence[SeenImage],
    marks: Sequence[Marks],
    regions: Sequence[Bool[np.ndarray, "h w"]],
    iou: Float[np.ndarray, " n"],
    *,
    classes: Sequence[str],
    values: tuple[float, float],
    each: int = EACH,
    seed: int = 0,
) -> bytes:
    """A PNG of images by how well their maps agree with their regions, and of any.

    Each is shown under the part of its map that speaks for the class, with the outline
    of the map's area and that of the region.

    Args:
        seen, marks, regions, iou: of the same images.
        classes: the names of all.
        values: what is black and what is white.
        each: images a row, of those that there are.
        seed: of the row of any images.
    """
    count = min(each, len(seen))
    order = np.argsort(-iou, kind="stable")
    any_of_them = np.random.default_rng(seed).choice(len(seen), count, replace=False)
    rows = [*chosen_rows(order, count), any_of_them]
    figure = new_figure(2.1 * count + 0.4, 2.35 * len(rows) + 0.6)
    panels = figure.subplots(len(rows), count, squeeze=False)
    for row, name, chosen in zip(panels, (*ROWS, "any"), rows, strict=True):
        row[0].set_ylabel(name, fontsize=9)
        for panel, place in zip(row, chosen, strict=True):
            i = int(place)
            one = seen[i]
            _draw(panel, one, marks[i], regions[i], values)
            said = f"{words(classes[one.chosen])} {one.score:.2f}"
            title = f"{one.example_id}\n{said}, IoU {iou[i]:.2f}"
            panel.set_title(title, fontsize=7, parse_math=False)
    figure.suptitle(
        f"class activation maps, {100 * THRESHOLD:.0f} % of their largest value "
        "outlined in orange, regions in green",
        fontsize=9,
        wrap=True,
    )
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=_DPI)
    return image.getvalue()


def _draw(
    panel: Axes,
    seen: SeenImage,
    marks: Marks,
    region: Bool[np.ndarray, "h w"],
    values: tuple[float, float],
) -> None:
    low, high = values
    panel.set(xticks=[], yticks=[])
    image = seen.image.squeeze()
    scaled = np.clip((image.astype(float) - low) / (high - low), 0, 1)
    panel.imshow(scaled, cmap="gray", vmin=0, vmax=1)
    top = float(seen.values.max())
    if top > 0:
        shown = np.clip(seen.values / top, 0, 1)
        panel.imshow(shown, cmap=CMAP, vmin=0, vmax=1, alpha=OVERLAY * shown)
    else:
        panel.set_xlabel(NOTHING, fontsize=7)
    for mask, colour in ((region, TRUTH), (marks.area, MARKED)):
        if mask.any() and not mask.all():
            panel.contour(mask.astype(float), [0.5], colors=colour, linewidths=1.0)
