"""How far reproduced pictures are from what they reproduce.

The mean squared error is of pixels from 0 to 1, its mean over examples, or over
groups, whose errors are averaged first. Its root is on the scale of the pixels; the
peak signal-to-noise ratio is -10 log10 of it, in decibels. Neither says whether
anything that matters was kept: blurred speckle costs more than a lost small lesion.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ultrasound_jax.analysis.document import Block, Table, label, value_text
from ultrasound_jax.analysis.stats._parts.intervals import mean_interval
from ultrasound_jax.analysis.stats._parts.statistic import CsvRow, Tree
from ultrasound_jax.analysis.stats._parts.wording import n_text, units_text
from ultrasound_jax.analysis.table.error_table import ERRORS, ErrorTable
from ultrasound_jax.analysis.table.judged import Judged

NAME = "reconstruction"
ORDER = 10
KINDS = (ERRORS,)
OPTIONS = ()
EVERY_LEVEL = True
ROOT, RATIO = "root_mean_squared_error", "psnr"
HEADLINE = (
    (ROOT, ROOT, "root mean squared error"),
    (RATIO, RATIO, "peak signal-to-noise ratio in dB"),
)
METHODS = (
    "The mean squared error is of pixels from 0 to 1, averaged over examples, or over "
    "groups whose errors are averaged first; its root, and -10 log10 of it (peak "
    "signal-to-noise ratio), with the ends of its interval."
)
SOURCES = ()


def compute(
    judged: Judged, options: Mapping[str, Any], drawing: Mapping[str, int]
) -> dict[str, Any]:
    """Numbers of one level, of all pictures and of each kind.

    {"mean_squared_error", "root_mean_squared_error", "psnr", each with _ci,
     "classes": {name: the same}}
    """
    table: ErrorTable = judged.rows
    patient = table.patient_index()
    found = {
        name: _numbers(table.mse[:, k], patient) for k, name in enumerate(table.classes)
    }
    return _numbers(table.mse.mean(axis=1), patient) | {"classes": found}


def _numbers(errors: np.ndarray, patient: np.ndarray) -> dict[str, Any]:
    """The mean and what is made of it, with intervals over patients."""
    if not len(errors):
        return {f"{n}{end}": None for n in _NAMES for end in ("", "_ci")}
    sums, counts = np.bincount(patient, errors), np.bincount(patient)
    mean, ends = float(errors.mean()), mean_interval(sums, counts)
    if ends is not None:
        ends = [max(ends[0], 0.0), ends[1]]
    roots = None if ends is None else [float(np.sqrt(end)) for end in ends]
    # A mean that may be nothing has a ratio without an end.
    ratios = None if ends is None or not ends[0] else [_psnr(e) for e in ends[::-1]]
    return {
        "mean_squared_error": mean,
        "mean_squared_error_ci": ends,
        ROOT: float(np.sqrt(mean)),
        f"{ROOT}_ci": roots,
        RATIO: _psnr(mean) if mean else None,
        f"{RATIO}_ci": ratios,
    }


def _psnr(mean: float) -> float:
    return float(-10 * np.log10(mean))


_NAMES = {"mean_squared_error": 5, ROOT: 4, RATIO: 2}  # and their digits


def rows(tree: Tree) -> list[CsvRow]:
    """Nothing: all numbers are in the levels."""
    return []


def blocks(tree: Tree) -> list[Block]:
    """The three numbers at every level."""
    body = [
        [
            units_text(tree, name),
            *(value_text(level, n, digits) for n, digits in _NAMES.items()),
            n_text(level, tree, name),
        ]
        for name, level in tree["levels"].items()
    ]
    header = ["by", "mean squared error", "its root", "PSNR, dB", "of"]
    pictures = ", ".join(
        label(n) for n in next(iter(tree["levels"].values()))["classes"]
    )
    caption = f"Reproduced: {pictures}. Value [95 % interval over patients]."
    return [Table(header, body, caption=caption)]
