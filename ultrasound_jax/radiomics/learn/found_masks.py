"""Masks that a segmentation run found, in the place of the dataset's own.

Of a cross-validation they are out of fold: no network draws a mask of a picture that it
was trained on, where the original takes masks of training images from networks that saw
them.
"""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from ultrasound_jax.analysis.table.inputs import open_run
from ultrasound_jax.analysis.table.mask_table import MaskTable
from ultrasound_jax.analysis.table.splits import default_split, rows_of
from ultrasound_jax.radiomics.errors import RadiomicsError
from ultrasound_jax.radiomics.learn.cases import Cases

Loader = Callable[[int], tuple[np.ndarray, np.ndarray]]


def found_masks(cases: Cases, run: Path) -> Loader:
    """Gives the image of a case and the mask that the run found on it.

    Args:
        cases: the examples, of the size that the run was trained on.
        run: the folder of a segmentation, cross-validated if all are to have a mask.

    Raises:
        RadiomicsError: no table of masks, or one without a mask of every case.
    """
    table = open_run(run).predictions
    if not isinstance(table, MaskTable):
        raise RadiomicsError(f"{run}: holds no segmentation; its table is of scores")
    rows = rows_of(table, default_split(table))
    files = dict(zip(rows.example_id, rows.mask_file, strict=False))
    missing = [name for name in cases.table.example_id if not files.get(name)]
    if missing:
        raise RadiomicsError(
            f"{run}: has no mask of {len(missing)} examples, such as {missing[0]!r}; a "
            "cross-validation has one of each"
        )
    folder = run if run.is_dir() else run.parent

    def load(row: int) -> tuple[np.ndarray, np.ndarray]:
        image, _ = cases.load(row)
        path = folder / files[cases.table.example_id[row]]
        mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if mask is None or mask.shape != image.shape:
            shape = "none" if mask is None else mask.shape
            raise RadiomicsError(
                f"{path}: a mask of {shape}, the image has {image.shape}; give the "
                "dataset the options that the run was trained with"
            )
        return image, mask

    return load
