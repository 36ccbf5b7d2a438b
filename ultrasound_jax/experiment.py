"""What a configuration means: its dataset, its splits, its network, its task.

Training, evaluation, cross-validation and the benchmarks all start from here, so that
they cannot disagree about any of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from ultrasound_jax import config as settings
from ultrasound_jax import models
from ultrasound_jax.augment.clips import flip_and_rotate
from ultrasound_jax.data import pipeline, protocols
from ultrasound_jax.data import source as sources
from ultrasound_jax.data.splits import Manifest, make_manifest
from ultrasound_jax.models import torch_weights
from ultrasound_jax.tasks import MultiLabelClips, Task
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
    source: sources.ClipSource
    manifest: Manifest
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
    def augment(self) -> Callable:
        """The configured `(clip, key=…) -> clip` of training."""
        return partial(flip_and_rotate, **self.config.augment.to_dict())

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
        """The compiled `(params, stats, batch) -> scores and loss`."""
        step = steps.make_eval_step(self.network, self.task)
        shapes = self.batch_shapes(self.config.data.eval_batch_size)
        weights = sharding.replicate((self.params, self.stats), self.mesh)
        return steps.compile_eval_step(step, weights, shapes, self.mesh)

    def batch_shapes(self, rows: int) -> dict[str, jax.ShapeDtypeStruct]:
        """Returns what a batch of that many rows looks like to the compiler."""
        classes = len(self.source.classes)
        return {
            "clip": jax.ShapeDtypeStruct((rows, *self.source.clip_shape), jnp.uint8),
            "length": jax.ShapeDtypeStruct((rows,), jnp.int32),
            "labels": jax.ShapeDtypeStruct((rows, classes), jnp.int8),
            "index": jax.ShapeDtypeStruct((rows,), jnp.int32),
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
    task = make_task(config, source, indices["train"])
    model = build_model(
        config,
        patterns=len(source.classes),
        clip_shape=source.clip_shape[:3],
        say=say,
    )
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


def open_source(config: Settings, say: Callable[[str], None]) -> sources.ClipSource:
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


def open_manifest(config: Settings, source: sources.ClipSource) -> Manifest:
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


def make_task(
    config: Settings, source: sources.ClipSource, train: np.ndarray
) -> MultiLabelClips:
    """Returns the task with class weights counted on the training examples."""
    weight = None
    if config.task.class_weights == "balanced":
        weight = tuple(pipeline.class_balance(source.table, train).values())
    return MultiLabelClips(source.classes, weight)


def network_name(config: Settings) -> str:
    """Says which network is meant, with its encoder where it has one."""
    encoder = settings.network_options(config).get("encoder")
    return config.model.name + (f" with {encoder}" if encoder else "")


def build_model(
    config: Settings,
    *,
    patterns: int,
    clip_shape: tuple[int, ...] | None = None,
    say: Callable[[str], None],
) -> nnx.Module:
    """Makes the configured network, from PyTorch weights where some are given.

    The stem takes grey clips in [0, 1]; ImageNet's normalisation of three equal
    channels is folded into it, so that weights trained with it fit. `clip_shape` is
    `(frames, height, width)`; networks whose parameters do not depend on it need none.
    """
    options = settings.network_options(config)
    try:
        model = models.build(
            config.model.name,
            patterns=patterns,
            clip_shape=clip_shape,
            grey_scale=tuple(1 / s for s in IMAGENET_STD),
            grey_offset=tuple(
                -m / s for m, s in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)
            ),
            dtype=jnp.dtype(config.dtype),
            remat=config.model.remat,
            rngs=nnx.Rngs(config.seed),
            **options,
        )
    except models.OptionError as error:
        place = "config.model.options." if error.option in options else ""
        raise models.ModelError(f"{place}{error}") from error
    if config.init_from:
        path = Path(config.init_from)
        state = torch_weights.read_safetensors(path)
        report = torch_weights.load(
            model, state, part=config.init_part, source=str(path)
        )
        say(str(report))
    return model
