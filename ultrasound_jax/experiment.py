"""What a configuration means: its dataset, its splits, its network, its task.

Training, evaluation, cross-validation and the benchmarks all start from here, so that
they cannot disagree about any of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from ultrasound_jax import models, starting, tasks
from ultrasound_jax.data.dataset import open_split
from ultrasound_jax.data.manifest import Manifest
from ultrasound_jax.data.source import Source
from ultrasound_jax.models import torch_weights
from ultrasound_jax.models._parts.compiled_start import compiled_start
from ultrasound_jax.models._parts.frozen_stages import freeze_norms, freeze_stages
from ultrasound_jax.runs.files import at_home
from ultrasound_jax.starting import Start
from ultrasound_jax.tasks import Task, TaskError
from ultrasound_jax.training import compiled, sharding, steps
from ultrasound_jax.types import ArrayTree, Settings

# Of config.optim; in `model.json` where they are set.
FROZEN, NORMS = "frozen_stages", "frozen_norms"


@dataclass(frozen=True)
class Experiment:
    """A configuration with its dataset opened and its network built.

    `indices` has the places of the `train`, `validation` and `test` examples; `init` is
    what `model.json` says of weights that the network starts from, if it does.
    """

    config: Settings
    mesh: Mesh
    source: Source
    manifest: Manifest | None
    indices: dict[str, np.ndarray]
    task: Task
    network: steps.Network
    params: ArrayTree
    stats: ArrayTree
    init: Mapping[str, Any] | None = None

    @cached_property
    def eval_step(self) -> Callable:
        """The compiled `(params, stats, batch) -> what the task keeps, the loss`."""
        return compiled.eval_step(self)


def open_experiment(
    config: Settings, say: Callable[[str], None], *, start: Start | None = None
) -> Experiment:
    """Opens the dataset (building it if missing), splits it and makes the network.

    Args:
        config: the settings.
        say: told what was built and loaded.
        start: weights to start from; by default those of the file `config.init_from`.

    Raises:
        SplitError: these weights have seen patients of the test split.
    """
    mesh = sharding.data_mesh()
    data = config.data
    say(f"opening the dataset {data.name}")
    source, manifest, indices = open_split(data, say, **sharding.building())
    labels = source.table.labels[indices["train"]]
    options = config.task.options.to_dict()
    task = tasks.build(
        config.task.name,
        source.spec,
        labels,
        options=options,
        select=config.train.select,
    )
    source = source.reading(task.spec)
    if start is None and config.init_from:
        start = starting.of_file(at_home(config.init_from))
    if start is not None:
        starting.check_unseen(start, data, source.table, indices, say)
    say(f"making the network {config.model.name}")
    model = make_network(network_settings(config), task, seed=config.seed)
    init = start_from(start, model, config, task, say=say) if start else None
    network, params, stats = steps.split(model)
    return Experiment(
        config=config,
        mesh=mesh,
        source=source,
        manifest=manifest,
        indices=indices,
        task=task,
        network=network,
        params=params,
        stats=stats,
        init=init,
    )


def network_settings(config: Settings) -> dict[str, Any]:
    """What is said of the network in a run's `model.json`."""
    return {
        "name": config.model.name,
        "options": config.model.options.to_dict(),
        "dtype": config.dtype,
        "remat": config.model.remat,
        **{key: config.optim[key] for key in (FROZEN, NORMS) if config.optim[key]},
    }


def make_network(
    about: Mapping[str, Any], task: Task, *, seed: int, outputs: int | None = None
) -> nnx.Module:
    """The network that `network_settings` mean, with the head that the task needs.

    `outputs` is another width of the head.

    The stem takes grey pixels in [0, 1]; the normalisation of three equal channels that
    the network's published weights were trained with is folded into it, so that they
    fit.
    """
    check_inputs(about["name"], task)
    name = task.spec.of_role("pixels")[0]
    *shape, _ = task.spec[name].batch_shape(name)
    sized = "clip_shape" if task.spec[name].padded else "image_shape"
    options = about["options"]
    try:
        pixels = models.normalisation(about["name"], **options)
        arguments = {
            "patterns": task.outputs if outputs is None else outputs,
            "grey_scale": pixels.scale,
            "grey_offset": pixels.offset,
            "dtype": jnp.dtype(about["dtype"]),
            "remat": about["remat"],
            sized: tuple(shape),
        }
        kind = models.find(about["name"])
        model = compiled_start(
            lambda rngs: models.build(about["name"], rngs=rngs, **arguments, **options),
            seed,
            key=(kind, repr(sorted(arguments.items())), repr(sorted(options.items()))),
        )
        if about.get(FROZEN):
            freeze_stages(model, about[FROZEN])
        if about.get(NORMS):
            freeze_norms(model)
        return model
    except models.OptionError as error:
        place = "config.model.options." if error.option in about["options"] else ""
        place = "config.optim." if error.option in (FROZEN, NORMS) else place
        raise models.ModelError(f"{place}{error}") from error


def check_inputs(network: str, task: Task) -> None:
    """Refuses a network that does not read what the task gives it."""
    taken = models.arguments_of(network)
    given = [*task.spec.of_role("pixels")]
    if missing := [name for name in given if name not in taken]:
        raise TaskError(
            f"config.model.name='{network}' reads {', '.join(taken)}; the dataset has "
            f"{', '.join(missing)}"
        )


def start_from(
    start: Start,
    model: nnx.Module,
    config: Settings,
    task: Task,
    *,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Fills a network from weights; returns what `model.json` says of them.

    What depends on the number of classes is left as initialised where the weights tell
    other classes, by name and in their order.

    Raises:
        ModelError: they are another network's.
    """
    fresh: set[str] = set()
    if config.init_part == "all" and start.classes not in (None, task.classes):
        fresh = class_parameters(network_settings(config), task)
        say(f"{start.source} tells {_listed(start.classes)} apart, not these classes")
    report = torch_weights.load(
        model, start.state, part=config.init_part, source=start.source, fresh=fresh
    )
    say(str(report))
    return {
        "from": Path(config.init_from).name,
        "part": config.init_part,
        "taken": report.tensors,
        "left_fresh": dict(report.fresh),
        **start.about,
    }


def class_parameters(about: Mapping[str, Any], task: Task) -> set[str]:
    """PyTorch's names of what has another shape with another number of classes."""

    def shapes(outputs: int) -> dict[str, tuple[int, ...]]:
        model = nnx.eval_shape(
            lambda: make_network(about, task, seed=0, outputs=outputs)
        )
        return {n: slot.shape for n, slot in torch_weights.expected(model).items()}

    fewer, more = shapes(task.outputs), shapes(task.outputs + 1)
    return {name for name, shape in fewer.items() if more.get(name) != shape}


def _listed(classes: Sequence[str] | None) -> str:
    return ", ".join(classes or ())
