"""What a network says of the examples of a split: rows of the predictions table."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import jax
import numpy as np
from jax.sharding import Mesh

from ultrasound_jax.data.dataset import batches_once
from ultrasound_jax.data.source import Source
from ultrasound_jax.data.spec import INDEX, Spec
from ultrasound_jax.experiment import Experiment
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.training import sharding
from ultrasound_jax.types import ArrayTree

FOUND = "found"  # the column with found masks; they leave it for files
MASKS = "masks"  # the folder of those files in a run's own
KeepMask = Callable[[int, np.ndarray], str]


def predict(
    experiment: Experiment,
    weights: ArrayTree,
    split: str,
    *,
    full: bool = False,
    masks: KeepMask | None = None,
) -> tuple[dict[str, np.ndarray], float]:
    """What the task keeps of a split's examples, in order, and the loss.

    The loss of each term is its mean over all examples, whatever batches they are in.

    Args:
        experiment: whose network it is, and whose examples.
        weights: params and stats.
        split: `train`, `validation` or `test`.
        full: also what only the final table has.
        masks: writes an example's found mask, by its place in the source, and returns
            the name of its file; only where `full`.
    """
    batches = batches_once(
        experiment.source,
        experiment.indices[split],
        experiment.config.data,
        process=sharding.place(),
    )
    parts: list[dict[str, np.ndarray]] = []
    totals: dict[str, np.ndarray] = {}
    length = _length_of(experiment.source.spec)
    for batch, _ in sharding.ahead(((b, None) for b in batches), experiment.mesh):
        kept, terms = experiment.eval_step(*weights, batch)
        # Every process needs to know all rows, and has only its own of the batch.
        index = _everywhere(batch[INDEX], experiment.mesh)
        kept, terms, places = jax.device_get((kept, terms, index))
        real = places >= 0
        kept = {name: rows[real] for name, rows in kept.items()}
        small = experiment.task.columns(kept, full=full)
        if length:
            frames = jax.device_get(_everywhere(batch[length], experiment.mesh))
            small["frames"] = frames[real]
        if FOUND in small:
            pairs = zip(places[real].tolist(), small.pop(FOUND), strict=True)
            if masks:
                small["mask_file"] = np.array([masks(*pair) for pair in pairs])
        parts.append(small)
        for name, term in terms.items():
            totals[name] = totals.get(name, 0.0) + np.array(term, np.float64)
    loss = sum(float(t[0] / max(t[1], 1.0)) for t in totals.values())
    return _joined(parts), loss


def predictions(
    experiment: Experiment,
    weights: ArrayTree,
    *,
    fold: int,
    splits: tuple[str, ...],
    folder: Path | None = None,
) -> Any:
    """The predictions table of these splits, as the task has it.

    `folder` is where found masks are written, for a task that has any.
    """
    used = [s for s in splits if len(experiment.indices[s])]
    kind = experiment.config.evaluation.mask_file
    masks = mask_writer(folder, experiment.source, kind=kind) if folder else None
    parts = [predict(experiment, weights, s, full=True, masks=masks)[0] for s in used]
    places = np.concatenate([experiment.indices[s] for s in used])
    names = tuple(s for s in used for _ in experiment.indices[s])
    return table_of(experiment, places, _joined(parts), fold=fold, split=names)


def table_of(
    experiment: Experiment,
    places: np.ndarray,
    columns: dict[str, np.ndarray],
    *,
    fold: int,
    split: tuple[str, ...],
) -> Any:
    """The predictions table of the examples at these places."""
    table = experiment.source.table
    ids = {
        "example_id": tuple(table.example_id[i] for i in places),
        "video_id": tuple(table.video_id[i] for i in places),
        "patient_id": tuple(table.patient_id[i] for i in places),
        "fold": np.full(len(places), fold),
        "split": split,
        "labels": table.labels[places],
        "extra": {
            name: tuple(column[i] for i in places)
            for name, column in table.groups.items()
        },
        "units": experiment.source.spec.units,
    }
    return experiment.task.table(ids, columns)


def mask_writer(folder: Path, source: Source, *, kind: str = "png") -> KeepMask:
    """What writes a found mask as `masks/<example>.png`: 0 background, then classes.

    Only process 0 writes. The name in the table is relative to `folder`. `kind` is
    `png`, or `tif` as LungSegDB has its masks (8 bits a pixel, LZW); both lose nothing.
    """

    def write(place: int, mask: np.ndarray) -> str:
        name = f"{MASKS}/{quote(source.table.example_id[place], safe=' ()')}.{kind}"
        if jax.process_index() == 0:
            write_whole(folder / name, cv2.imencode(f".{kind}", mask)[1].tobytes())
        return name

    return write


def _length_of(spec: Spec) -> str:
    """What a batch calls the frames of an example; empty where it has one each."""
    padded = [name for name in spec.of_role("pixels") if spec[name].padded]
    return f"{padded[0]}_length" if padded else ""


def _everywhere(index: jax.Array, mesh: Mesh) -> jax.Array:
    if jax.process_count() == 1:
        return index
    return jax.jit(lambda x: x, out_shardings=sharding.replicated(mesh))(index)


def _joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
