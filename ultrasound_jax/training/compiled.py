"""The steps of an experiment, compiled for the shapes of its batches."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import jax
import optax
from jax.sharding import Mesh

from ultrasound_jax.training import sharding, steps
from ultrasound_jax.types import ArrayTree, Settings

Shapes = Mapping[str, tuple[tuple[int, ...], str]]  # without the batch axis, and dtype


@runtime_checkable
class Trainable(Protocol):
    """What is asked of an experiment here."""

    @property
    def config(self) -> Settings:
        """All settings."""
        ...

    @property
    def mesh(self) -> Mesh:
        """The devices."""
        ...

    @property
    def task(self) -> Any:
        """What the network is trained for."""
        ...

    @property
    def network(self) -> steps.Network:
        """How it computes."""
        ...

    @property
    def params(self) -> ArrayTree:
        """What is trained."""
        ...

    @property
    def stats(self) -> ArrayTree:
        """What else it keeps."""
        ...


def initial_state(
    experiment: Trainable, optimizer: optax.GradientTransformation
) -> steps.TrainState:
    """The state before the first step, on all devices."""
    averaged = experiment.config.optim.ema > 0
    state = steps.init_state(
        experiment.params, experiment.stats, optimizer, averaged=averaged
    )
    return sharding.replicate(state, experiment.mesh)


def train_step(
    experiment: Trainable,
    optimizer: optax.GradientTransformation,
    state: steps.TrainState,
    *,
    augment: Callable[..., Any],
    say: Callable[[str], None] = print,
) -> Callable:
    """The compiled training step; says what memory it takes.

    If `augment` has `fields`, a training batch has those besides the task's.

    Raises:
        StepError: it takes more than the device has.
        ShardingError: the devices cannot share its batch.
    """
    config = experiment.config
    size, parts = config.data.batch_size, config.optim.accumulate
    sharding.check_batch("config.data.batch_size", size, experiment.mesh, parts=parts)
    step = steps.make_train_step(
        experiment.network,
        experiment.task,
        optimizer,
        augment=augment,
        seed=config.seed,
        accumulate=config.optim.accumulate,
        ema=config.optim.ema,
        crop=config.train.crop,
    )
    more: Shapes = getattr(augment, "fields", {})
    shapes = batch_shapes({**experiment.task.spec.shapes(), **more}, size)
    compiled = steps.compile_train_step(step, state, shapes, experiment.mesh)
    memory = steps.memory_bytes(compiled)
    limit = steps.memory_limit(experiment.mesh, config.memory_limit_gb)
    say(steps.memory_line(memory, limit))
    steps.check_memory(memory, limit)
    return compiled


def eval_step(experiment: Trainable) -> Callable:
    """The compiled `(params, stats, batch) -> what the task keeps, the loss`."""
    looking = looking_of(experiment.config)
    step = steps.make_eval_step(experiment.network, experiment.task, **looking)
    rows = experiment.config.data.eval_batch_size
    sharding.check_batch("config.data.eval_batch_size", rows, experiment.mesh)
    shapes = batch_shapes(experiment.task.spec.shapes(), rows)
    weights = (experiment.params, experiment.stats)
    weights = sharding.replicate(weights, experiment.mesh)
    return steps.compile_eval_step(step, weights, shapes, experiment.mesh)


def looking_of(config: Settings) -> dict[str, Any]:
    """How pictures are shown to the network in evaluation: options of `steps.answers`.

    Only what differs from showing each once and whole.
    """
    seen = config.evaluation
    found = {name: True for name in ("mirrored", "upside_down") if seen[name]}
    return found | (
        {"window": seen.window, "overlap": seen.overlap} if seen.window else {}
    )


def batch_shapes(shapes: Shapes, rows: int) -> dict[str, jax.ShapeDtypeStruct]:
    """What a batch of that many rows looks like to the compiler."""
    return {
        name: jax.ShapeDtypeStruct((rows, *shape), dtype)
        for name, (shape, dtype) in shapes.items()
    }
