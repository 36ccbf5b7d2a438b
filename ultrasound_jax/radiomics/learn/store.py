"""Features of a dataset's examples, measured once and kept in a file.

A line of JSON an example: its features, or why it has none. A measurement that was
interrupted goes on; one of other data or settings begins anew.
"""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ultrasound_jax.radiomics.errors import RadiomicsError
from ultrasound_jax.radiomics.extract import Settings, extract, feature_names
from ultrasound_jax.radiomics.learn.cases import Cases
from ultrasound_jax.runs.bar import Progress
from ultrasound_jax.runs.journal import Journal

VERSION = 1  # of the definitions: another one measures anew
Loader = Callable[[int], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False)
class Features:
    """A row an example, in the order of the cases; NaN where one is not defined.

    reasons: of examples without features, whose rows are NaN, by their place.
    """

    names: tuple[str, ...]
    values: Float[np.ndarray, "n f"] = field(repr=False)
    reasons: dict[int, str] = field(default_factory=dict)


def measured(
    cases: Cases,
    settings: Settings,
    path: Path,
    *,
    load: Loader | None = None,
    masks: str = "",
    processes: int = 1,
) -> Features:
    """The features of all cases, from the file as far as they are there.

    Args:
        cases: the examples.
        settings: what is measured.
        path: of the file.
        load: gives the image and the mask of a row; by default the dataset's own.
        masks: which masks these are, where they are not the dataset's.
        processes: that measure at the same time.
    """
    names = tuple(feature_names(settings))
    about = {
        "version": VERSION,
        "dataset": cases.source.name,
        "data_hash": cases.source.table.data_hash,
        "masks": masks,
        "settings": settings.as_json(),
    }
    journal = Journal.open(path, about)
    ids = cases.table.example_id
    left = [row for row, name in enumerate(ids) if name not in journal.done]
    try:
        with Progress(len(ids), "images", done=len(ids) - len(left)) as progress:
            for row, found in _each(left, load or cases.load, settings, processes):
                journal.record(ids[row], found)
                progress.advance()
    finally:
        journal.close()
    return _table(names, [journal.done[name] for name in ids], path)


def _each(
    rows: list[int], load: Loader, settings: Settings, processes: int
) -> Iterator[tuple[int, dict[str, Any]]]:
    if processes <= 1 or len(rows) < 2:
        for row in rows:
            yield row, _measure(*load(row), settings)
        return
    # Spawned: what opened the dataset has threads, which a fork would not survive.
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        step = 4 * processes  # images in memory at a time
        for start in range(0, len(rows), step):
            some = rows[start : start + step]
            jobs = [pool.submit(_measure, *load(row), settings) for row in some]
            for row, job in zip(some, jobs, strict=True):
                yield row, job.result()


def _measure(image: np.ndarray, mask: np.ndarray, settings: Settings) -> dict[str, Any]:
    try:
        found = extract(image, mask, settings)
    except RadiomicsError as error:
        return {"reason": str(error)}
    return {"values": [None if math.isnan(v) else v for v in found.values()]}


def _table(names: tuple[str, ...], found: list[Any], path: Path) -> Features:
    values = np.full((len(found), len(names)), np.nan)
    reasons = {}
    for row, entry in enumerate(found):
        if "reason" in entry:
            reasons[row] = entry["reason"]
            continue
        if len(entry["values"]) != len(names):
            raise RadiomicsError(
                f"{path}: {len(entry['values'])} features of an example, these "
                f"settings have {len(names)}; remove the file to measure anew"
            )
        values[row] = [np.nan if v is None else v for v in entry["values"]]
    return Features(names, values, reasons)
