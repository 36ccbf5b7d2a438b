"""What a network says of every example of a split."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import jax
import numpy as np
from jax.sharding import Mesh

from ultrasound_jax.data.source import Source
from ultrasound_jax.data.spec import INDEX
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.tasks import Task
from ultrasound_jax.training import sharding
from ultrasound_jax.types import ArrayTree

FOUND = "found"  # the column with found masks; they leave it for files
MASKS = "masks"  # the folder of those files in a run's own


def columns_of(
    task: Task,
    eval_step: Callable,
    weights: ArrayTree,
    batches: Iterable[Any],
    *,
    mesh: Mesh,
    full: bool = False,
    masks: Callable[[int, np.ndarray], str] | None = None,
) -> tuple[dict[str, np.ndarray], float]:
    """What the task keeps of each example, in order, and the loss.

    The loss of each term is its mean over all examples, whatever batches they are in.

    Args:
        task: that the network was trained for.
        eval_step: the compiled `(params, stats, batch) -> kept, terms`.
        weights: params and stats.
        batches: this process's share of the split's batches, in order.
        mesh: where they go.
        full: also what only the final table has.
        masks: writes an example's found mask, by its place in the source, and returns
            the name of its file; only where `full`.
    """
    parts: list[dict[str, np.ndarray]] = []
    totals: dict[str, np.ndarray] = {}
    feed = sharding.ahead(((batch, None) for batch in batches), mesh)
    for batch, _ in feed:
        kept, terms = eval_step(*weights, batch)
        # Every process needs to know all rows, and has only its own of the batch.
        kept, terms, places = jax.device_get((kept, terms, _everywhere(batch, mesh)))
        real = places >= 0
        small = task.columns({k: v[real] for k, v in kept.items()}, full=full)
        if FOUND in small:
            pairs = zip(places[real].tolist(), small.pop(FOUND), strict=True)
            if masks:
                small["mask_file"] = np.array([masks(*pair) for pair in pairs])
        parts.append(small)
        for name, term in terms.items():
            totals[name] = totals.get(name, 0.0) + np.array(term, np.float64)
    columns = {k: np.concatenate([part[k] for part in parts]) for k in parts[0]}
    return columns, sum(t[0] / max(t[1], 1.0) for t in totals.values())


def _everywhere(batch: dict[str, jax.Array], mesh: Mesh) -> Any:
    if jax.process_count() == 1:
        return batch[INDEX]
    return jax.jit(lambda x: x, out_shardings=sharding.replicated(mesh))(batch[INDEX])


def mask_writer(folder: Path, source: Source) -> Callable[[int, np.ndarray], str]:
    """What writes a found mask as `masks/<example>.png`: 0 background, then classes.

    Only process 0 writes. The name in the table is relative to `folder`.
    """

    def write(place: int, mask: np.ndarray) -> str:
        name = f"{MASKS}/{quote(source.table.example_id[place], safe=' ()')}.png"
        if jax.process_index() == 0:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, cv2.imencode(".png", mask)[1].tobytes())
        return name

    return write


def table_of(
    task: Task,
    source: Source,
    places: np.ndarray,
    columns: dict[str, np.ndarray],
    *,
    fold: int,
    split: str | tuple[str, ...],
) -> Any:
    """The predictions table of these examples, as the task has it."""
    table, count = source.table, len(places)
    ids = {
        "example_id": tuple(table.example_id[i] for i in places),
        "video_id": tuple(table.video_id[i] for i in places),
        "patient_id": tuple(table.patient_id[i] for i in places),
        "fold": np.full(count, fold),
        "split": (split,) * count if isinstance(split, str) else split,
        "labels": table.labels[places],
        "extra": {
            name: tuple(column[i] for i in places)
            for name, column in table.groups.items()
        },
        "units": source.spec.units,
    }
    return task.table(ids, columns)
