"""The ROC figure."""

import io
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ultrasound_jax.analysis.report.document import value_text
from ultrasound_jax.analysis.stats._parts.metrics import (
    RocPoints,
    roc_points,
)
from ultrasound_jax.analysis.table.levels import (
    LEVELS,
    at_level,
)
from ultrasound_jax.analysis.table.predictions import Predictions
from ultrasound_jax.runs.files import write_whole

# Okabe and Ito's colours, told apart with any kind of colour vision, and by the dashes.
STYLES = {
    "clip": ("#0072B2", "-", "clip"),
    "video_mean": ("#D55E00", "--", "video, mean"),
    "video_max": ("#009E73", ":", "video, max"),
}
_DPI = 150
_PANEL = 4.0  # inches: two panels side by side are 1200 pixels


def write_roc_figure(
    path: str | os.PathLike[str],
    split_metrics: Mapping[str, Any],
    predictions: Predictions,
    *,
    title: str = "",
) -> None:
    """Draws the ROC of each class, at clip and video level, into a PNG.

    Args:
      path: of the PNG, written whole or not at all.
      split_metrics: one split of the tree that `evaluate` returns.
      predictions: the rows of that split.
      title: above the panels.
    """
    columns = min(2, len(predictions.classes))
    rows = -(-len(predictions.classes) // columns)
    figure = Figure(
        figsize=(_PANEL * columns, (_PANEL + 0.15) * rows), layout="constrained"
    )
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False).flat
    tables = {level: at_level(predictions, level) for level in LEVELS}
    for k, panel in enumerate(panels):
        if k >= len(predictions.classes):
            panel.set_axis_off()
            continue
        name = predictions.classes[k]
        entries = {level: split_metrics[level]["classes"][name] for level in LEVELS}
        points = {
            level: roc_points(table.labels[:, k], table.scores[:, k])
            for level, table in tables.items()
        }
        _draw_panel(panel, name, entries, points)
    if title:
        figure.suptitle(title, fontsize=11, wrap=True, parse_math=False)
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=_DPI)
    write_whole(path, image.getvalue())


def _draw_panel(
    panel: Axes,
    name: str,
    entries: Mapping[str, Mapping[str, Any]],
    points: Mapping[str, RocPoints],
) -> None:
    panel.plot([0, 1], [0, 1], color="0.6", linewidth=0.8, zorder=1)
    for level, (colour, dashes, label) in STYLES.items():
        text = f"{label}: {value_text(entries[level], 'auroc')}"
        x, y = [], []
        if points[level].defined():
            true, false = points[level].true, points[level].false
            x = np.append(0.0, false / false[-1])
            y = np.append(0.0, true / true[-1])
        panel.plot(x, y, dashes, color=colour, linewidth=1.8, label=text)
    panel.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    panel.set_xlabel("1 − specificity")
    panel.set_ylabel("sensitivity")
    clip = entries["clip"]
    panel.set_title(
        f"{name.replace('_', ' ')}\n{clip['positives']} of "
        f"{clip['positives'] + clip['negatives']} clips positive, "
        f"in {clip['positive_patients']} patients",
        fontsize=10,
        parse_math=False,
    )
    panel.legend(loc="lower right", fontsize=8, title="AUROC [95 %]", title_fontsize=8)
    if not points["clip"].defined():
        lacking = "positives" if clip["positives"] == 0 else "negatives"
        panel.text(0.3, 0.75, f"not defined:\nno {lacking}", ha="center", va="center")
