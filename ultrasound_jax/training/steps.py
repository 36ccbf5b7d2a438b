"""The jitted steps: a pure function of the state and a batch, compiled once.

Networks are NNX modules, but only their graph definitions are kept; the step merges
one with the state's arrays inside the traced function, which costs nothing at run time.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
import psutil
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Array

from ultrasound_jax.training import compiling, sharding, squares
from ultrasound_jax.types import ArrayTree, UltrasoundError

Batch = dict[str, Array]


class StepError(UltrasoundError):
    """A compiled step that does not fit the device."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TrainState:
    """All that training changes. `stats` is every variable that is no parameter.

    `average` is the exponential moving average of (params, stats), or None.
    """

    step: ArrayTree  # int32 scalar
    params: ArrayTree
    stats: ArrayTree
    opt_state: ArrayTree
    average: ArrayTree


@dataclass(frozen=True)
class Network:
    """A network without its arrays: how it computes in training and in evaluation."""

    train: nnx.GraphDef
    evaluation: nnx.GraphDef


def split(model: nnx.Module) -> tuple[Network, ArrayTree, ArrayTree]:
    """Takes a network apart into its definition, parameters and statistics."""
    train = nnx.view(
        model, deterministic=False, use_running_average=False, raise_if_not_found=False
    )
    evaluation = nnx.view(
        model, deterministic=True, use_running_average=True, raise_if_not_found=False
    )
    definition, params, stats = nnx.split(train, nnx.Param, ...)
    return Network(definition, nnx.graphdef(evaluation)), params, stats


def init_state(
    params: ArrayTree,
    stats: ArrayTree,
    optimizer: optax.GradientTransformation,
    *,
    averaged: bool,
) -> TrainState:
    """The state before the first step."""
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        stats=stats,
        opt_state=optimizer.init(params),
        average=(params, stats) if averaged else None,
    )


def make_train_step(
    network: Network,
    task: Any,
    optimizer: optax.GradientTransformation,
    *,
    augment: Callable[..., Batch],
    seed: int,
    accumulate: int = 1,
    ema: float = 0.0,
    crop: int = 0,
) -> Callable[[TrainState, Batch, Array], tuple[TrainState, Batch]]:
    """`(state, batch, rate_scale) -> (state, metrics)`.

    `augment` is `(fields, roles, key=…) -> fields`. Each term of the task's loss is
    divided by its own weight in the whole batch; with several, the metrics have
    `loss_<term>`. Randomness is a function of `seed`, the step and the row alone. With
    `accumulate` micro-batches the gradient is the whole batch's, divided once by the
    number of annotated entries; batch norms see one micro-batch after the other. With
    `crop` the network sees a random square of this side of each augmented picture.

    Raises:
        StepError: a crop, where the answers do not lie in the picture; micro-batches of
            a task whose loss is not the sum of theirs, as it says by `undivided`.
    """
    if crop and not task.space:
        raise StepError(
            f"config.train.crop={crop} is not allowed: the task's answers are of whole "
            "pictures; it must be 0"
        )
    if accumulate > 1 and (reason := getattr(task, "undivided", "")):
        raise StepError(
            f"config.optim.accumulate={accumulate} is not allowed: {reason}; it must "
            "be 1"
        )
    pixels = [name for name, role in task.spec.roles.items() if role == "pixels"]

    def micro_loss(
        params: ArrayTree, stats: ArrayTree, batch: Batch, key: Array, whole: Batch
    ):
        model = nnx.merge(network.train, params, stats, copy=True)
        augment_key, dropout_key = jax.random.split(key)
        floats = task.floats(batch)
        fields = augment(floats, task.spec.roles, key=augment_key)
        check_augmented(floats, fields)
        if crop:
            crop_key = jax.random.fold_in(augment_key, 1)
            fields = squares.cropped(fields, task.spec.roles, crop, key=crop_key)
        # Without the barrier XLA on CPU recomputes the resampling inside the stem.
        fields |= jax.lax.optimization_barrier({name: fields[name] for name in pixels})
        outputs = model(**task.inputs(fields), rngs=nnx.Rngs(dropout=dropout_key))
        check_outputs(task, outputs, len(batch["index"]), largest=crop)
        terms = task.loss(outputs, fields)
        new_stats = nnx.state(model, nnx.Not(nnx.Param))
        shares = {name: term.total / whole[name] for name, term in terms.items()}
        each = functools.reduce(jnp.add, (term.per_example for term in terms.values()))
        loss = functools.reduce(jnp.add, shares.values())
        return loss, (new_stats, each, shares)

    def step(
        state: TrainState, batch: Batch, rate_scale: Array
    ) -> tuple[TrainState, Batch]:
        key = jax.random.fold_in(jax.random.key(seed), state.step)
        whole = {k: jnp.maximum(w, 1.0) for k, w in task.weights(batch).items()}
        gradient = jax.value_and_grad(micro_loss, has_aux=True)

        def one(carry: Any, part: Any) -> Any:
            grads, stats, loss = carry
            rows, part_key = part
            (partial, (stats, each, shares)), more = gradient(
                state.params, stats, rows, part_key, whole
            )
            carry = (jax.tree.map(jnp.add, grads, more), stats, loss + partial)
            return carry, (each, shares)

        if accumulate == 1:
            (loss, (stats, each, shares)), grads = gradient(
                state.params, state.stats, batch, key, whole
            )
        else:
            zeros = jax.tree.map(jnp.zeros_like, state.params)
            parts = jax.tree.map(lambda rows: _deal(rows, accumulate), batch)
            keys = jax.random.split(key, accumulate)
            (grads, stats, loss), (each, shares) = jax.lax.scan(
                one, (zeros, state.stats, jnp.zeros(())), (parts, keys)
            )
            each = each.swapaxes(0, 1).reshape(-1)
            shares = jax.tree.map(lambda parts: parts.sum(axis=0), shares)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        updates = jax.tree.map(lambda u: u * rate_scale, updates)
        params = optax.apply_updates(state.params, updates)
        new_state = TrainState(
            step=state.step + 1,
            params=params,
            stats=stats,
            opt_state=opt_state,
            average=_average(state.average, (params, stats), ema),
        )
        norm = optax.tree.norm(grads)
        metrics = {"loss": loss, "loss_per_example": each, "grad_norm": norm}
        if len(shares) > 1:  # one term alone is the loss
            metrics |= {f"loss_{name}": share for name, share in shares.items()}
        return new_state, metrics | {"index": batch["index"]}

    return step


def check_augmented(before: Batch, after: Batch) -> None:
    """Refuses an augmentation that evaluation would not know, when it is traced.

    Raises:
        StepError: a field is gone, or of another shape or dtype.
    """
    for name, array in before.items():
        if name not in after:
            raise StepError(f"config.augment: field '{name}' is gone after it")
        found = after[name]
        if (found.shape, found.dtype) != (array.shape, array.dtype):
            raise StepError(
                f"config.augment: field '{name}' is {found.dtype} {found.shape} after "
                f"it, and {array.dtype} {array.shape} before; it must stay as it is, "
                "since what is evaluated is not augmented"
            )


def check_outputs(task: Any, outputs: Any, rows: int, *, largest: int = 0) -> None:
    """Refuses a network without the logits that its task needs, when it is traced.

    A head of another width would be broadcast, and train on something else. `largest`
    is the side of the squares that it was shown of larger pictures.

    Raises:
        StepError: there are no logits, or they are of another shape.
    """
    space = [min(side, largest or side) for side in task.space]
    wanted = (rows, *space, task.outputs)
    if not isinstance(outputs, Mapping) or "logits" not in outputs:
        has = ", ".join(outputs) if isinstance(outputs, Mapping) else type(outputs)
        raise StepError(
            f"the network returns {has}; it must be a dict with 'logits' {wanted}"
        )
    if outputs["logits"].shape != wanted:
        raise StepError(
            f"the network's logits are {outputs['logits'].shape}; of this task and "
            f"batch they must be {wanted}"
        )


def _deal(rows: Array, parts: int) -> Array:
    """Splits rows into `parts` without moving any to another device."""
    return rows.reshape(-1, parts, *rows.shape[1:]).swapaxes(0, 1)


def _average(average: ArrayTree, new: ArrayTree, decay: float) -> ArrayTree:
    if average is None:
        return None
    # As a change, so that what is not trained stays what it is to the last bit.
    return jax.tree.map(lambda a, n: a + (1 - decay) * (n - a), average, new)


def evaluated(state: TrainState) -> tuple[ArrayTree, ArrayTree]:
    """The (params, stats) that evaluation uses: averaged ones where kept."""
    return state.average or (state.params, state.stats)


def apply(network: Network, params: ArrayTree, stats: ArrayTree, inputs: Batch) -> Any:
    """What the network returns in evaluation; to be traced. See `check_outputs`."""
    return nnx.merge(network.evaluation, params, stats, copy=True)(**inputs)


def answers(
    network: Network,
    task: Any,
    params: ArrayTree,
    stats: ArrayTree,
    fields: Batch,
    *,
    mirrored: bool = False,
    upside_down: bool = False,
    window: int = 0,
    overlap: float = 0.5,
) -> Any:
    """What the network returns in evaluation; to be traced.

    `mirrored` also shows it every picture with left and right swapped, all frames of a
    clip alike, `upside_down` with top and bottom, both together four views. `logits`
    are the mean of all views, an answer that lies in the picture being turned back
    first; the rest is that of the picture. `window` asks for overlapping squares of
    this side, where the picture is larger: then there are `logits` alone.

    Raises:
        StepError: a window, where the answers do not lie in the picture.
    """
    if window and not task.space:
        raise StepError(
            f"config.evaluation.window={window} is not allowed: the task's answers are "
            "of whole pictures; it must be 0"
        )
    pixels = [name for name, role in task.spec.roles.items() if role == "pixels"]

    def ask(shown: Batch) -> Any:
        return apply(network, params, stats, task.inputs(fields | shown))

    def look(shown: Batch) -> Any:
        if not window or max(fields[pixels[0]].shape[-3:-1]) <= window:
            return ask(shown)
        return {
            "logits": squares.answered(
                lambda cut: ask(cut)["logits"], shown, window, overlap
            )
        }

    shown = {name: fields[name] for name in pixels}
    outputs = look(shown)
    turns = [(-2,)] * mirrored + [(-3,)] * upside_down
    turns += [(-3, -2)] * (mirrored and upside_down)
    if not turns:
        return outputs
    total = outputs["logits"]
    for axes in turns:
        turned = look({name: jnp.flip(array, axes) for name, array in shown.items()})
        logits = turned["logits"]
        total = total + (jnp.flip(logits, axes) if task.space else logits)
    return outputs | {"logits": total / (1 + len(turns))}


def make_eval_step(
    network: Network, task: Any, **looking: Any
) -> Callable[[ArrayTree, ArrayTree, Batch], tuple[Batch, Batch]]:
    """`(params, stats, batch) -> (what the task keeps, {term: (total, weight)})`.

    `looking` are options of `answers`.
    """

    def step(params: ArrayTree, stats: ArrayTree, batch: Batch) -> tuple[Batch, dict]:
        fields = task.floats(batch)
        outputs = answers(network, task, params, stats, fields, **looking)
        check_outputs(task, outputs, len(batch["index"]))
        terms = task.loss(outputs, fields)
        parts = {name: (term.total, term.weight) for name, term in terms.items()}
        return task.keep(outputs, fields), parts

    return step


def compile_train_step(
    step: Callable, state: TrainState, batch: ArrayTree, mesh: Mesh
) -> Any:
    """Compiles for these shapes; the old state's memory becomes the new state's."""
    everywhere, rows = sharding.replicated(mesh), sharding.by_rows(mesh)
    jitted = compiling.jit(
        step,
        in_shardings=(everywhere, rows, everywhere),
        out_shardings=(everywhere, everywhere),
        donate_argnums=0,
    )
    scale = jax.ShapeDtypeStruct((), jnp.float32)
    return jitted.lower(state, batch, scale).compile()


def compile_eval_step(
    step: Callable, weights: ArrayTree, batch: ArrayTree, mesh: Mesh
) -> Any:
    """Compiles for these shapes; every process gets all scores."""
    everywhere, rows = sharding.replicated(mesh), sharding.by_rows(mesh)
    jitted = compiling.jit(
        step,
        in_shardings=(everywhere, everywhere, rows),
        out_shardings=everywhere,
    )
    return jitted.lower(*weights, batch).compile()


def memory_bytes(compiled: Any) -> dict[str, int]:
    """What XLA's own analysis says that a step takes on one device."""
    analysis = compiled.memory_analysis()
    if analysis is None:
        return {}
    parts = {
        "arguments": int(analysis.argument_size_in_bytes),
        "temporary": int(analysis.temp_size_in_bytes),
        "outputs": int(analysis.output_size_in_bytes),
        "reused": int(analysis.alias_size_in_bytes),
        "code": int(analysis.generated_code_size_in_bytes),
    }
    parts["total"] = sum(parts.values()) - 2 * parts["reused"]
    return parts


def memory_limit(mesh: Mesh, given_gb: float) -> int:
    """The bytes that a step may take on a device: given, or what it has.

    A CPU's limit is what the machine has free, shared by its devices.
    """
    if given_gb:
        return int(given_gb * 2**30)
    device = mesh.local_devices[0]
    known = device.memory_stats()
    if known and "bytes_limit" in known:
        return int(known["bytes_limit"])
    return psutil.virtual_memory().available // len(mesh.local_devices)


def memory_line(parts: dict[str, int], limit: int) -> str:
    """The analysis as one line."""
    if not parts:
        return "memory of the training step: the compiler does not say"
    words = ", ".join(f"{name} {size / 2**30:.2f}" for name, size in parts.items())
    return f"memory of the training step, GiB: {words}; limit {limit / 2**30:.2f}"


def check_memory(parts: dict[str, int], limit: int) -> None:
    """Refuses a step that needs more than the device has."""
    if parts and parts["total"] > limit:
        raise StepError(
            f"the training step does not fit: {memory_line(parts, limit)}; lower "
            "config.data.batch_size, raise config.optim.accumulate, or set "
            "config.model.remat=True"
        )
