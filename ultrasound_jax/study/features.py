"""What a frozen network sees in each example: computed once, kept beside a run.

The features of a few hundred recordings are megabytes where their pixels are gigabytes,
so that whatever is fitted on them takes seconds. They are written part by part: what
was computed before an interruption is not computed again.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from ultrasound_jax.data.dataset import batches_once
from ultrasound_jax.data.spec import INDEX, Spec
from ultrasound_jax.experiment import Experiment, network_settings
from ultrasound_jax.models._parts.padding import frame_mean, real_frames
from ultrasound_jax.runs.bar import Progress
from ultrasound_jax.runs.files import read_json, whole_file, write_whole
from ultrasound_jax.training import compiling, sharding, steps
from ultrasound_jax.types import ArrayTree, UltrasoundError
from ultrasound_jax.workdir import FEATURES

PART = 64  # examples a file


class FeaturesError(UltrasoundError):
    """A network that has no features to offer."""


@dataclass(frozen=True)
class Features:
    """A vector for each example, and how many frames each has; None of images."""

    values: Float[np.ndarray, "n d"]
    frames: Int[np.ndarray, " n"] | None


def kept_features(
    experiment: Experiment,
    folder: Path,
    *,
    frames: int,
    output: str = FEATURES,
    say: Callable[[str], None] = print,
) -> Features:
    """The features of every example, in the table's order, from `folder` or computed.

    A clip's are the mean over `frames` of its frames, evenly spaced, or over all that
    it has. Features of other examples, weights or frames are removed. `output` is what
    the network calls them.

    Raises:
        FeaturesError: the network returns no such output of examples or frames.
    """
    parts = folder / FEATURES
    about = identity(experiment, frames)
    about |= {"output": output} if output != FEATURES else {}
    if parts.exists() and _told(parts) != about:
        say(f"{parts}: features of other weights or examples; they are made anew")
        shutil.rmtree(parts)
    write_whole(parts / "about.json", json.dumps(about, indent=1) + "\n")
    places = np.arange(len(experiment.source))
    files = {
        parts / f"{at // PART:05d}.npy": places[at : at + PART]
        for at in range(0, len(places), PART)
    }
    missing = {file: of for file, of in files.items() if not file.exists()}
    if missing:
        _compute(experiment, missing, frames=frames, output=output, total=len(places))
    rows = np.concatenate([np.load(file, allow_pickle=False) for file in files])
    counted = _length_of(experiment.task.spec)
    frames_of = np.rint(rows[:, 0]).astype(np.int64) if counted else None
    return Features(rows[:, 1:], frames_of)


def identity(experiment: Experiment, frames: int) -> dict[str, Any]:
    """What features depend on."""
    init: Mapping[str, Any] = experiment.init or {}
    return {
        "dataset": experiment.source.name,
        "data_hash": experiment.source.table.data_hash,
        "network": network_settings(experiment.config),
        "weights": init.get("weights"),
        "part": init.get("part"),
        "seed": experiment.config.seed,
        "frames": frames,
    }


def _told(parts: Path) -> Any:
    file = parts / "about.json"
    return read_json(file) if file.exists() else None


def _compute(
    experiment: Experiment,
    missing: Mapping[Path, np.ndarray],
    *,
    frames: int,
    output: str,
    total: int,
) -> None:
    """Writes each missing part as soon as its examples are through.

    A row is the number of the example's frames, 0 of an image, and its features.
    """
    config, mesh = experiment.config, experiment.mesh
    rows = config.data.eval_batch_size
    sharding.check_batch("config.data.eval_batch_size", rows, mesh)
    look = _compiled(experiment, output)
    weights = sharding.replicate((experiment.params, experiment.stats), mesh)
    places = np.concatenate([*missing.values()])
    batches = batches_once(experiment.source, places, config.data)
    spec, waiting = experiment.task.spec, [*missing.items()]
    rows_so_far: list[np.ndarray] = []
    fewer = ((few_frames(batch, spec, frames), batch) for batch in batches)
    counted, done = _length_of(spec), total - len(places)
    with Progress(total, "examples", done=done, of="features") as progress:
        for batch, (_, whole) in sharding.ahead(fewer, mesh):
            found = np.asarray(jax.device_get(look(*weights, batch)))
            lengths = whole[counted] if counted else np.zeros(len(found))
            real = whole[INDEX] >= 0
            rows_so_far += [*np.column_stack([lengths, found])[real]]
            progress.advance(int(real.sum()))
            while waiting and len(rows_so_far) >= len(waiting[0][1]):
                file, of = waiting.pop(0)
                array = np.stack(rows_so_far[: len(of)]).astype(np.float32)
                rows_so_far = rows_so_far[len(of) :]
                with whole_file(file) as temporary, temporary.open("wb") as opened:
                    np.save(opened, array, allow_pickle=False)


def _length_of(spec: Spec) -> str:
    """What a batch calls the frames of an example; empty of images."""
    padded = [name for name in spec.of_role("pixels") if spec[name].padded]
    return f"{padded[0]}_length" if padded else ""


def few_frames(
    batch: Mapping[str, np.ndarray], spec: Spec, frames: int
) -> dict[str, np.ndarray]:
    """The batch with that many frames of each clip, in the middle of equal parts.

    A clip that has no more keeps all of its own.
    """
    fewer = dict(batch)
    for name in spec.of_role("pixels"):
        if spec[name].padded:
            lengths = batch[f"{name}_length"]
            chosen = spread_places(lengths, frames)
            rows = np.arange(len(lengths))[:, None]
            fewer[name] = np.ascontiguousarray(batch[name][rows, chosen])
            fewer[f"{name}_length"] = np.minimum(lengths, frames).astype(lengths.dtype)
    return fewer


def spread_places(
    lengths: Int[np.ndarray, " b"], frames: int
) -> Int[np.ndarray, "b f"]:
    """The middles of `frames` equal parts of each length; all places if it is short."""
    at = np.arange(frames)[None]
    length = lengths[:, None]
    spread = ((2 * at + 1) * length) // (2 * frames)
    return np.where(length <= frames, np.minimum(at, np.maximum(length - 1, 0)), spread)


def _compiled(experiment: Experiment, output: str) -> Callable[..., jax.Array]:
    """`(params, stats, batch) -> output`, a row an example."""
    task, network = experiment.task, experiment.network
    (name,) = task.spec.of_role("pixels")[:1]
    padded = task.spec[name].padded

    def look(params: ArrayTree, stats: ArrayTree, batch: Any) -> jax.Array:
        inputs = task.inputs(task.floats(batch))
        outputs = steps.apply(network, params, stats, inputs)
        features = outputs.get(output)
        if features is None or features.ndim not in (2, 3):
            raise FeaturesError(
                f"network {experiment.config.model.name} has no '{output}' of images "
                f"or frames; it returns {', '.join(outputs)}"
            )
        if features.ndim == 3:
            lengths = batch[f"{name}_length"] if padded else None
            features = frame_mean(features, real_frames(lengths, features.shape[1]))
        return features

    everywhere = sharding.replicated(experiment.mesh)
    rows = sharding.by_rows(experiment.mesh)
    return compiling.jit(
        look, in_shardings=(everywhere, everywhere, rows), out_shardings=everywhere
    )
