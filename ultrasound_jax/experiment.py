"""What a configuration means: its dataset, its splits, its network, its task.

Training, evaluation, cross-validation and the benchmarks all start from here, so that
they cannot disagree about any of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from ultrasound_jax import augment, models, tasks
from ultrasound_jax import config as settings
from ultrasound_jax.data import pipeline, protocols
from ultrasound_jax.data import source as sources
from ultrasound_jax.data.splits import Manifest, make_manifest
from ultrasound_jax.models import torch_weights
from ultrasound_jax.tasks import Task, TaskError
from ultrasound_jax.training import sharding, steps
from ultrasound_jax.types import ArrayTree, Settings

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Experiment:
    """A configuration with its dataset opened and its network built.

    `indices` has the places of the `train`, `validation` and `test` examples.
    """

    config: Settings
    mesh: Mesh
    source: sources.Source
    manifest: Manifest | None
    indices: dict[str, np.ndarray]
    task: Task
    network: steps.Network
    params: ArrayTree
    stats: ArrayTree

    def train_batches(self) -> Any:
        """Returns the endless iterator of this process's training batches."""
        data, indices = self.config.data, self.indices["train"]
        return pipeline.train_batches(
            self.source,
            indices,
            batch_size=data.batch_size,
            seed=self.config.seed,
            weights=pipeline.sampling_weights(
                self.source.table, indices, data.sampling
            ),
            process=(jax.process_index(), jax.process_count()),
            threads=data.threads,
            prefetch=data.prefetch,
        )

    def eval_batches(self, split: str) -> Any:
        """Returns this process's share of a split, each example once."""
        data = self.config.data
        return pipeline.eval_batches(
            self.source,
            self.indices[split],
            batch_size=data.eval_batch_size,
            process=(jax.process_index(), jax.process_count()),
            threads=data.threads,
            prefetch=data.prefetch,
        )

    @property
    def augment(self) -> augment.Augment:
        """The configured `(fields, roles, key=…) -> fields` of training."""
        return augment.build(self.config.augment)

    def initial_state(
        self, optimizer: optax.GradientTransformation
    ) -> steps.TrainState:
        """Returns the state before the first step."""
        averaged = self.config.optim.ema > 0
        state = steps.init_state(self.params, self.stats, optimizer, averaged=averaged)
        return sharding.replicate(state, self.mesh)

    def compile_train_step(
        self,
        optimizer: optax.GradientTransformation,
        state: steps.TrainState,
        say: Callable[[str], None] = print,
    ) -> Callable:
        """Compiles the step, says what memory it takes, refuses one that is too big."""
        config = self.config
        step = steps.make_train_step(
            self.network,
            self.task,
            optimizer,
            augment=self.augment,
            seed=config.seed,
            accumulate=config.optim.accumulate,
            ema=config.optim.ema,
        )
        shapes = self.batch_shapes(config.data.batch_size)
        compiled = steps.compile_train_step(step, state, shapes, self.mesh)
        memory = steps.memory_bytes(compiled)
        limit = steps.memory_limit(self.mesh, config.memory_limit_gb)
        say(steps.memory_line(memory, limit))
        steps.check_memory(memory, limit)
        return compiled

    @cached_property
    def eval_step(self) -> Callable:
        """The compiled `(params, stats, batch) -> what the task keeps, the loss`."""
        step = steps.make_eval_step(self.network, self.task)
        shapes = self.batch_shapes(self.config.data.eval_batch_size)
        weights = sharding.replicate((self.params, self.stats), self.mesh)
        return steps.compile_eval_step(step, weights, shapes, self.mesh)

    def compile_evaluation(self) -> None:
        """Compiles `eval_step` now, where the time that it takes is counted."""
        _ = self.eval_step

    def batch_shapes(self, rows: int) -> dict[str, jax.ShapeDtypeStruct]:
        """What a batch of that many rows looks like to the compiler."""
        return {
            name: jax.ShapeDtypeStruct((rows, *shape), dtype)
            for name, (shape, dtype) in self.source.spec.shapes().items()
        }


def open_experiment(config: Settings, say: Callable[[str], None]) -> Experiment:
    """Opens the dataset (building it if missing), splits it and makes the network."""
    mesh = sharding.data_mesh()
    data = config.data
    sharding.check_batch(
        "config.data.batch_size", data.batch_size, mesh, parts=config.optim.accumulate
    )
    sharding.check_batch("config.data.eval_batch_size", data.eval_batch_size, mesh)
    source = open_source(config, say)
    manifest = open_manifest(config, source)
    indices = protocols.assign(
        manifest, source.table, protocol=data.protocol, fold=data.fold
    )
    labels = source.table.labels[indices["train"]]
    options = settings.task_options(config)
    task = tasks.build(config.task.name, source.spec, labels, options=options)
    check_selection(config.train.select, task)
    source = source.reading(task.spec)
    model = build_model(config, task, say=say)
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
    )


def check_selection(select: str, task: Task) -> None:
    """Refuses to select the best weights by what the task does not compute."""
    allowed = (*task.SELECT, "loss")
    if select not in allowed:
        raise TaskError(
            f"config.train.select={select!r} is not allowed: it must be one of "
            f"{', '.join(allowed)}"
        )


def open_source(config: Settings, say: Callable[[str], None]) -> sources.Source:
    """Opens the configured dataset; process 0 builds it first where it is missing."""
    data = config.data
    where: dict[str, Any] = {
        "options": data.options.to_dict(),
        "data_dir": data.data_dir,
    }
    if jax.process_index() == 0:
        sources.prepare(data.name, **where, manual_dir=data.manual_dir, say=say)
        sources.open_source(data.name, **where)
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices("dataset built")
    return sources.open_source(data.name, **where)


def open_manifest(config: Settings, source: sources.Source) -> Manifest:
    """Returns the given or the computed splits, checked against the dataset."""
    data = config.data
    if data.manifest:
        manifest = Manifest.read(Path(data.manifest))
    else:
        manifest = make_manifest(
            source.table,
            test_fraction=data.test_fraction,
            folds=data.folds,
            seed=data.split_seed,
        )
    manifest.check(source.table)
    return manifest


def network_settings(config: Settings) -> dict[str, Any]:
    """What is said of the network in a run's `model.json`."""
    return {
        "name": config.model.name,
        "options": settings.network_options(config),
        "dtype": config.dtype,
        "remat": config.model.remat,
    }


def network_name(about: Mapping[str, Any]) -> str:
    """Which network `network_settings` mean, with its encoder where it has one."""
    encoder = about["options"].get("encoder")
    return about["name"] + (f" with {encoder}" if encoder else "")


def make_network(about: Mapping[str, Any], task: Task, *, seed: int) -> nnx.Module:
    """The network that `network_settings` mean, with the head that the task needs.

    The stem takes grey pixels in [0, 1]; ImageNet's normalisation of three equal
    channels is folded into it, so that weights trained with it fit.
    """
    check_inputs(about["name"], task)
    name = task.spec.of_role("pixels")[0]
    *shape, _ = task.spec[name].batch_shape(name)
    sized = "clip_shape" if task.spec[name].padded else "image_shape"
    try:
        return models.build(
            about["name"],
            patterns=task.outputs,
            grey_scale=tuple(1 / s for s in IMAGENET_STD),
            grey_offset=tuple(
                -m / s for m, s in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)
            ),
            dtype=jnp.dtype(about["dtype"]),
            remat=about["remat"],
            rngs=nnx.Rngs(seed),
            **{sized: tuple(shape)},
            **about["options"],
        )
    except models.OptionError as error:
        place = "config.model.options." if error.option in about["options"] else ""
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


def build_model(
    config: Settings, task: Task, *, say: Callable[[str], None]
) -> nnx.Module:
    """The configured network, from PyTorch weights where some are given."""
    model = make_network(network_settings(config), task, seed=config.seed)
    if config.init_from:
        path = Path(config.init_from)
        state = torch_weights.read_safetensors(path)
        report = torch_weights.load(
            model, state, part=config.init_part, source=str(path)
        )
        say(str(report))
    return model
