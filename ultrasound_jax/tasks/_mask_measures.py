"""What is measured of found masks beside their pixels: on the host, in threads.

Surface distances and connected lesions are nothing that a step could compute. SciPy
works without the interpreter's lock for the most part, so that threads share the work.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from ultrasound_jax.analysis.stats._parts.lesion_counts import NAMES as COUNTED
from ultrasound_jax.analysis.stats._parts.lesion_counts import lesion_counts
from ultrasound_jax.analysis.stats._parts.surface_distance import (
    directed_distances,
    surface_figures,
)
from ultrasound_jax.analysis.table.mask_table import DIAGONAL, is_of_lesions
from ultrasound_jax.tasks._protocol import TaskError

# Option -> allowed; a table's column is called after its value.
ALLOWED = {
    "tolerance": (0.01, 1000.0),
    "tolerance_mm": (0.01, 1000.0),
    "lesion_iou": (0.01, 1.0),
}
Columns = dict[str, np.ndarray]
Spacing = tuple[float, ...] | None


@dataclass(frozen=True)
class Measures:
    """How masks are measured.

    tolerance, tolerance_mm: of the normalised surface distance, in pixels and in mm.
    lesion_iou: the least intersection over union by which a lesion counts as detected.

    Raises:
        TaskError: a value that is not allowed.
    """

    tolerance: float | int = 2.0
    tolerance_mm: float | int = 1.0
    lesion_iou: float | int = 0.1

    def __post_init__(self) -> None:
        for name, (low, high) in ALLOWED.items():
            if not low <= getattr(self, name) <= high:
                raise TaskError(
                    f"config.task.options.{name}={getattr(self, name)} is not allowed: "
                    f"it must be {low:g} to {high:g}"
                )

    def columns(
        self,
        found: Bool[np.ndarray, "n *space k"],
        truth: Bool[np.ndarray, "n *space k"],
        pixel_mm: Float[np.ndarray, "n *d"] | None = None,
    ) -> Columns:
        """The table's columns of each example, by their names.

        Args:
            found: what the network gives to each structure.
            truth: what belongs to each structure.
            pixel_mm: of a pixel's sides, one or one an axis; 0 where it is not known.
        """
        sides = np.array(found.shape[1:-1], float)
        across = {"px": np.full(len(found), np.linalg.norm(sides))}
        known: list[Spacing] = [None] * len(found)
        if pixel_mm is not None:
            known = _known(pixel_mm, len(sides))
            nothing = np.full(len(sides), np.nan)
            far = [sides * (nothing if one is None else one) for one in known]
            across["mm"] = np.array([np.linalg.norm(one) for one in far])
        threads = max(1, min(len(os.sched_getaffinity(0)), len(found)))
        with ThreadPoolExecutor(threads) as pool:
            rows = list(pool.map(self._one, found, truth, known))
        least = f"iou{_word(self.lesion_iou)}"
        columns: Columns = {}
        for unit in across:
            own = np.array([row[unit] for row in rows], float)
            own = own.reshape(len(found), found.shape[-1], 3)
            size = self.tolerance if unit == "px" else self.tolerance_mm
            names = (f"hd95_{unit}", f"assd_{unit}", f"nsd_{_word(size)}{unit}")
            columns |= {name: own[..., j] for j, name in enumerate(names)}
        counts = np.array([row["lesions"] for row in rows], float)
        counts = counts.reshape(len(found), found.shape[-1], len(COUNTED))
        for j, name in enumerate(COUNTED):
            columns[f"{name}_{least}" if j else name] = counts[..., j]
        return columns | {f"{DIAGONAL}_{unit}": v for unit, v in across.items()}

    def _one(
        self, found: np.ndarray, truth: np.ndarray, spacing: Spacing
    ) -> dict[str, list]:
        own: dict[str, list] = {"px": [], "mm": []}
        for k in range(found.shape[-1]):
            apart = directed_distances(found[..., k], truth[..., k])
            own["px"].append(surface_figures(apart, tolerance=self.tolerance))
            if spacing is None:
                apart = None
            elif len(set(spacing)) > 1:
                apart = directed_distances(found[..., k], truth[..., k], spacing)
            elif apart is not None:
                apart = (apart[0] * spacing[0], apart[1] * spacing[0])
            own["mm"].append(surface_figures(apart, tolerance=self.tolerance_mm))
        own["lesions"] = list(lesion_counts(found, truth, iou=self.lesion_iou))
        return own


def named(columns: Columns) -> dict[str, Columns]:
    """The columns of `Measures` as the fields of `MaskTable` that hold them."""
    across = f"{DIAGONAL}_"
    measured = {
        name: column
        for name, column in columns.items()
        if name.startswith(("hd95_", "assd_", "nsd_")) or is_of_lesions(name)
    }
    return {
        "distances": {n: c for n, c in measured.items() if not is_of_lesions(n)},
        "lesions": {n: c for n, c in measured.items() if is_of_lesions(n)},
        "diagonals": {
            name.removeprefix(across): column
            for name, column in columns.items()
            if name.startswith(across)
        },
    }


def _known(pixel_mm: Float[np.ndarray, "n *d"], axes: int) -> list[Spacing]:
    given = np.asarray(pixel_mm, float).reshape(len(pixel_mm), -1)
    return [
        tuple(one) if all(0 < side < np.inf for side in one) else None
        for one in np.broadcast_to(given, (len(given), axes)).tolist()
    ]


def _word(value: float) -> str:
    return f"{value:g}".replace(".", "p")
