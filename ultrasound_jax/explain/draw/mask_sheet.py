"""The contact sheet of a segmentation: its best, median and worst examples."""

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from matplotlib.axes import Axes

from ultrasound_jax.analysis.document import Block, Picture, Text, label
from ultrasound_jax.analysis.stats._parts.mask_figures import of_images
from ultrasound_jax.analysis.table.mask_table import MaskTable
from ultrasound_jax.analysis.table.splits import default_split, rows_of
from ultrasound_jax.data.source import Source
from ultrasound_jax.explain.draw.style import MARKED, TRUTH, new_figure
from ultrasound_jax.explain.errors import ExplainError

EACH = 4  # examples a row
ROWS = ("best", "median", "worst")
FALSE = "false positive"  # a further row, of examples without any structure
_DPI = 150


def mask_sheet(
    table: MaskTable, source: Source, folder: Path, *, each: int = EACH
) -> bytes:
    """A PNG of the examples whose masks were found best, about as well as most, worst.

    An example counts by the mean Dice of the structures that it has. Of those without
    any, the ones with most pixels found are a further row; the rest are not shown.
    Truth and found mask are outlines on the picture.

    Args:
        table: with the files of found masks.
        source: of the pictures and true masks.
        folder: that the files' names are relative to.
        each: examples a row, of those that there are.

    Raises:
        ExplainError: no example shows a structure, or the file of a found mask is gone.
    """
    dice = example_dice(table)
    order = np.argsort(-dice, kind="stable")
    order = order[: int(np.isfinite(dice).sum())]
    wrong = false_positives(table)
    if not len(order) and not len(wrong):
        raise ExplainError("no example shows any structure: there is nothing to draw")
    place = {name: i for i, name in enumerate(source.table.example_id)}
    count = min(each, max(len(order), len(wrong)))
    rows = dict(zip(ROWS, chosen_rows(order, count), strict=True))
    rows = {name: chosen for name, chosen in rows.items() if len(chosen)}
    if len(wrong):
        rows[FALSE] = wrong[:count]
    figure = new_figure(2.1 * count + 0.4, 2.3 * len(rows) + 0.5)
    panels = figure.subplots(len(rows), count, squeeze=False)
    for row, (name, chosen) in zip(panels, rows.items(), strict=True):
        row[0].set_ylabel(name, fontsize=9)
        for panel in row[len(chosen) :]:
            panel.set_axis_off()
        for panel, i in zip(row, chosen.tolist(), strict=False):
            record = source.records[place[table.example_id[i]]]
            _draw(panel, source, record, _read(folder, table.mask_file[i]))
            told = f"Dice {dice[i]:.3f}"
            if name == FALSE:
                told = f"{table.fp[i].sum()} px, nothing there"
            title = f"{table.example_id[i]}\n{told}"
            panel.set_title(title, fontsize=7, parse_math=False)
    figure.suptitle("outlines: found (orange), true (green)", fontsize=9)
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=_DPI)
    return image.getvalue()


def sheet_blocks(table: Any, source: Source, folder: Path) -> list[Block]:
    """The sheet of the unseen examples for a report; nothing for other tables."""
    if not isinstance(table, MaskTable):
        return []
    split = default_split(table)
    judged = rows_of(table, split)
    try:
        image = mask_sheet(judged, source, folder)
    except ExplainError as error:
        return [Text(f"No contact sheet: {error}")]
    words = f"Best, median and worst of the {len(judged)} examples of {label(split)}"
    more = f", and {FALSE} ones" if len(false_positives(judged)) else ""
    return [
        Picture(
            "contact_sheet",
            image,
            "Found and true masks as outlines",
            f"{words}{more}.",
        )
    ]


def example_dice(table: MaskTable) -> Float[np.ndarray, " n"]:
    """The mean Dice of the structures that an example has; NaN where it has none."""
    dice = of_images(table)["mean_dice"]
    shown = dice.below.sum(axis=1)
    return np.where(shown > 0, dice.above.sum(axis=1) / np.maximum(shown, 1), np.nan)


def false_positives(table: MaskTable) -> Int[np.ndarray, " m"]:
    """The examples without any structure in which something is found, most first."""
    found = table.fp.sum(axis=1)
    absent = (table.tp + table.fn).sum(axis=1) == 0
    order = np.argsort(-found, kind="stable")
    return order[(absent & (found > 0))[order]]


def chosen_rows(order: Int[np.ndarray, " n"], count: int) -> list[np.ndarray]:
    """The first, middle and last `count` of an order from best to worst."""
    middle = max((len(order) - count) // 2, 0)
    return [order[:count], order[middle : middle + count], order[-count:]]


def _read(folder: Path, name: str) -> UInt8[np.ndarray, "h w"]:
    found = cv2.imread(str(folder / name), cv2.IMREAD_GRAYSCALE) if name else None
    if found is None:
        raise ExplainError(f"'{folder / name}': the file of a found mask is not there")
    return np.asarray(found, np.uint8)


def _draw(panel: Axes, source: Source, record: dict, found: np.ndarray) -> None:
    field = source.spec[source.pixels]
    low, high = field.values
    picture = np.asarray(record[source.pixels])
    panel.set(xticks=[], yticks=[])
    panel.imshow(picture.squeeze(), cmap="gray", vmin=low, vmax=high)
    truth = np.asarray(record[source.spec.of_role("mask")[0]])[..., 0]
    for mask, colour in ((truth, TRUTH), (found, MARKED)):
        for value in range(1, int(mask.max(initial=0)) + 1):
            _outline(panel, mask == value, colour)


def _outline(panel: Axes, mask: Bool[np.ndarray, "h w"], colour: str) -> None:
    if mask.any():
        panel.contour(mask.astype(float), [0.5], colors=colour, linewidths=1.0)
