"""Optimisers and learning rates, from the settings in `config.optim`."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from ultrasound_jax.types import ArrayTree, Settings, UltrasoundError

ENCODER = "encoder"  # what every network calls the part that looks at images
MOST_STEPS = 10**8  # the rate of each is kept: 400 MB


class OptimError(UltrasoundError):
    """Settings that no training can be planned by, or that no network here fits."""


@dataclass(frozen=True)
class Plan:
    """How many steps, at what rate, by which rule.

    The optimiser has the highest rate alone, and the step takes `scale` of it: so the
    compiled step does not depend on how many steps there are, and folds share it.
    """

    steps_per_epoch: int
    total: int
    schedule: optax.Schedule
    optimizer: optax.GradientTransformation
    highest: float

    def rate(self, step: int) -> float:
        """The schedule's learning rate at a step, from 0 to below `total`."""
        return float(self._rates[step])

    def scale(self, step: int) -> float:
        """The rate at a step as a share of the optimiser's own."""
        return self.rate(step) / float(np.float32(self.highest))

    @cached_property
    def _rates(self) -> np.ndarray:
        rates = np.asarray(self.schedule(np.arange(self.total)), np.float32)
        return np.broadcast_to(rates, (self.total,))


def make_plan(config: Settings, examples: int) -> Plan:
    """Plans a training on so many examples; an epoch has whole batches only.

    Raises:
        OptimError: more steps than MOST_STEPS.
    """
    steps_per_epoch = max(examples // config.data.batch_size, 1)
    total = steps_per_epoch * config.train.epochs
    if total > MOST_STEPS:
        raise OptimError(
            f"config.train.epochs={config.train.epochs} makes {total} steps of "
            f"{config.data.batch_size} examples; allowed are at most {MOST_STEPS}"
        )
    schedule = learning_rate(
        config.optim, steps_per_epoch=steps_per_epoch, total_steps=total
    )
    highest = config.optim.lr
    optimizer = make_optimizer(config.optim, optax.constant_schedule(highest))
    return Plan(steps_per_epoch, total, schedule, optimizer, highest)


def learning_rate(
    settings: Settings, *, steps_per_epoch: int, total_steps: int
) -> optax.Schedule:
    """The rate at a step; a plateau's drops come on top (see Plateau)."""
    warmup = round(settings.warmup_epochs * steps_per_epoch)
    rest = max(total_steps - warmup, 1)
    if settings.schedule == "cosine":
        main = optax.cosine_decay_schedule(settings.lr, rest)
    elif settings.schedule == "step":
        every = settings.step_epochs * steps_per_epoch
        main = stepped(settings.lr, every=every, factor=settings.step_factor)
    else:
        main = optax.constant_schedule(settings.lr)
    if not warmup:
        return main
    ramp = optax.linear_schedule(settings.lr / (warmup + 1), settings.lr, warmup)
    return optax.join_schedules([ramp, main], [warmup])


def stepped(rate: float, *, every: int, factor: float) -> optax.Schedule:
    """The rate times `factor` after each `every` steps: PyTorch's StepLR."""

    def schedule(step: Any) -> Array:
        return rate * jnp.float32(factor) ** (jnp.asarray(step) // every)

    return schedule


def make_optimizer(
    settings: Settings, schedule: optax.Schedule
) -> optax.GradientTransformation:
    """Clipping followed by Adam, AdamW or SGD, and the encoder's share of the rate.

    AdamW's decay is decoupled and spares vectors (biases and norms).
    """
    if settings.name == "adam":
        main = optax.adam(schedule)
    elif settings.name == "adamw":
        main = optax.adamw(
            schedule,
            weight_decay=settings.weight_decay,
            mask=lambda params: jax.tree.map(lambda p: p.ndim > 1, params),
        )
    else:
        main = optax.sgd(schedule, momentum=settings.momentum or None)
    if settings.clip_norm:
        main = optax.chain(optax.clip_by_global_norm(settings.clip_norm), main)
    if settings.encoder_rate != 1:
        return optax.chain(main, slower_encoder(settings.encoder_rate))
    return main


def slower_encoder(share: float) -> optax.GradientTransformation:
    """Multiplies the steps of a network's `encoder` by `share`; 0 keeps its weights.

    Raises:
        OptimError: on `init`, of a network that has no encoder.
    """

    def is_encoder(path: tuple[Any, ...]) -> bool:
        return jax.tree_util.keystr(path[:1], simple=True) == ENCODER

    def init(params: ArrayTree) -> optax.EmptyState:
        paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(params)]
        if not any(is_encoder(path) for path in paths):
            raise OptimError(
                f"config.optim.encoder_rate={share} is not allowed: the network has no "
                "encoder that is trained; it must be 1.0"
            )
        return optax.EmptyState()

    def update(
        updates: ArrayTree, state: ArrayTree, params: ArrayTree = None
    ) -> tuple[ArrayTree, ArrayTree]:
        del params
        scaled = jax.tree_util.tree_map_with_path(
            lambda path, step: share * step if is_encoder(path) else step, updates
        )
        return scaled, state

    return optax.GradientTransformation(init, update)


@dataclass
class Plateau:
    """Lowers the rate by `factor` after `patience` evaluations without a lower loss.

    The rule of PyTorch's ReduceLROnPlateau with its relative threshold of 1e-4, which
    the original's baselines train with; of a loss below 0, where PyTorch's would take a
    greater one for lower, the threshold is below it too. `scale` multiplies the
    schedule's rate.
    """

    factor: float
    patience: int
    scale: float = 1.0
    best: float = float("inf")
    waited: int = 0

    def update(self, loss: float) -> None:
        """Takes the loss of one more evaluation into account."""
        if loss < self.best * (1 - math.copysign(1e-4, self.best)):
            self.best, self.waited = loss, 0
            return
        self.waited += 1
        if self.waited > self.patience:
            self.scale *= self.factor
            self.waited = 0
