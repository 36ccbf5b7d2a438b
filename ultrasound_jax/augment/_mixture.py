"""Another primitive, or none, for every example of a batch, in one compiled call.

On a CPU the examples are gone through one by one (`lax.map`), so that each costs what
its own primitive costs. Elsewhere they go side by side (`vmap`), where a branch is a
choice between computed results: there a batch costs one resampling by a matrix of each
example's own, one look-up in a table of its own, and all painters of its set, however
many moves and tables the set has. Which of the two is a matter of the platform that is
compiled for; they give the same to the rounding of a float32.
`python -m ultrasound_jax.benchmark augment` has the price of this, and of a
`lax.switch` between whole operations under `vmap`, which computes each of them on every
example.

An example for which nothing is chosen leaves bit for bit as it came.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, PRNGKeyArray, Shaped

from ultrasound_jax.augment import Fields, Roles, _sampling
from ultrasound_jax.augment.primitives import KINDS, Counts, Draw, Primitive, Scene

Primitives = Sequence[Primitive]
Slot = Int[Array, ""]
NOTHING = -1  # the primitive of an example that is left as it is


class Chosen(NamedTuple):
    """What befalls each example, one primitive after the other.

    `primitive` is a place in the sequence of primitives or NOTHING; `magnitude` is from
    0 to 1.
    """

    primitive: Int[Array, "*b stages"]
    magnitude: Float[Array, "*b stages"]


def apply(
    fields: Fields,
    roles: Roles,
    keys: Key[Array, " b"],
    primitives: Primitives,
    chosen: Chosen,
) -> Fields:
    """The fields with each example changed as is chosen for it, by its own key.

    Pixels and masks of an example move by one draw, and all frames of a clip share it;
    frames beyond a clip's length have no say in what levels it has.
    """
    concerned = {
        name: array
        for name, array in fields.items()
        if roles.get(name) in _sampling.SAMPLE
    }
    if not primitives or not concerned:
        return fields
    for name, array in concerned.items():
        _sampling.check_shape(name, array)
    lengths = {
        name: fields[f"{name}_length"]
        for name in concerned
        if f"{name}_length" in fields
    }

    def one(
        parts: Fields, lengths: Fields, key: PRNGKeyArray, chosen: Chosen
    ) -> Fields:
        parts = {n: a if a.ndim == 4 else a[None] for n, a in parts.items()}
        counting = {n: _counting(a, lengths.get(n)) for n, a in parts.items()}

        def stage(parts: Fields, each: tuple[Array, Array, Array]) -> tuple:
            number, place, magnitude = each
            own = jax.random.fold_in(key, number)
            after = _stage(parts, counting, roles, own, primitives, place, magnitude)
            return after, None

        numbers = jnp.arange(chosen.primitive.shape[0])
        each = numbers, chosen.primitive, chosen.magnitude
        parts, _ = jax.lax.scan(stage, parts, each)
        return {n: a if concerned[n].ndim == 5 else a[0] for n, a in parts.items()}

    each = concerned, lengths, keys, chosen
    changed = jax.lax.platform_dependent(
        *each,
        cpu=lambda *each: jax.lax.map(lambda rows: one(*rows), each),
        default=jax.vmap(one),
    )
    return fields | changed


def _counting(frames: Array, length: Array | None) -> Bool[Array, " t"]:
    """Which frames are the clip's own."""
    there = jnp.arange(frames.shape[0])
    return there < (frames.shape[0] if length is None else length)


def _stage(
    parts: Fields,
    counting: Mapping[str, Array],
    roles: Roles,
    key: PRNGKeyArray,
    primitives: Primitives,
    place: Int[Array, ""],
    magnitude: Float[Array, ""],
) -> Fields:
    """One example after one primitive."""
    drawn, own = jax.random.split(key)
    sign, first, second = jax.random.uniform(drawn, (3,), minval=-1.0)
    draw = Draw(jnp.where(sign < 0, -1.0, 1.0), first, second, own)
    amounts = jnp.stack([p.amount(magnitude, draw) for p in primitives])
    amount = amounts[jnp.maximum(place, 0)]

    def of(kind: str, change: Callable) -> Callable:
        same = [p for p in primitives if p.kind == kind]
        slot = _slots(primitives, kind)[place]

        def branch(parts: Fields) -> Fields:
            if not same:
                return parts
            return parts | {
                name: change(frames, name, same, slot)
                for name, frames in parts.items()
                if kind == "matrix" or roles[name] == "pixels"
            }

        return branch

    def moved(frames: Array, name: str, same: Primitives, slot: Slot) -> Array:
        return _moved(frames, _sampling.SAMPLE[roles[name]], same, slot, amount)

    def toned(frames: Array, name: str, same: Primitives, slot: Slot) -> Array:
        return _toned(frames, counting[name], same, slot, amount)

    def painted(frames: Array, name: str, same: Primitives, slot: Slot) -> Array:
        scene = Scene(own, frames, counting[name])
        ways = [lambda frames, p=p: p.effect(frames, scene, amount) for p in same]
        return jax.lax.switch(slot, ways, frames)

    branches = [of("matrix", moved), of("table", toned), of("paint", painted)]
    kinds = [1 + KINDS.index(p.kind) for p in primitives]
    kind = jnp.asarray([*kinds, 0])[place]
    return jax.lax.switch(kind, [lambda parts: parts, *branches], parts)


def _slots(primitives: Primitives, kind: str) -> Int[Array, " n"]:
    """Each primitive's place among those of its kind; one more entry for NOTHING."""
    found = np.zeros(len(primitives) + 1, np.int32)
    places = [i for i, p in enumerate(primitives) if p.kind == kind]
    found[places] = np.arange(len(places))
    return jnp.asarray(found)


def _moved(
    frames: Shaped[Array, "t h w c"],
    sample: Callable,
    movers: Primitives,
    slot: Slot,
    amount: Float[Array, "2"],
) -> Shaped[Array, "t h w c"]:
    height, width = frames.shape[1:3]
    matrices = [mover.effect(amount, (height, width)) for mover in movers]
    matrix = jnp.stack(matrices)[slot]
    y = jnp.arange(height)[:, None] - (height - 1) / 2
    x = jnp.arange(width)[None, :] - (width - 1) / 2
    rows, columns = (a * y + b * x + c for a, b, c in matrix)
    return sample(frames, rows + (height - 1) / 2, columns + (width - 1) / 2)


def _toned(
    frames: Float[Array, "t h w c"],
    counting: Bool[Array, " t"],
    tones: Primitives,
    slot: Slot,
    amount: Float[Array, "2"],
) -> Float[Array, "t h w c"]:
    channels = frames.shape[-1]
    levels = jnp.round(frames * 255).astype(jnp.int32)
    # Without it XLA on CPU computes what several read once for each of them.
    levels = jax.lax.optimization_barrier(levels + 256 * jnp.arange(channels))
    counts = level_counts(levels, counting, channels)
    tables = [tone.effect(counts, amount) for tone in tones]
    return (jnp.stack(tables)[slot] / 255).reshape(-1)[levels]


def level_counts(
    levels: Int[Array, "t h w c"], counting: Bool[Array, " t"], channels: int
) -> Counts:
    """How many pixels of a frame have each level, on the average of those that count.

    `levels` are numbered through all channels, 256 to each.
    """
    each = jnp.broadcast_to(counting[:, None, None, None], levels.shape)
    each = each.astype(jnp.float32).reshape(-1)
    found = jnp.zeros(256 * channels).at[levels.reshape(-1)].add(each)
    return found.reshape(channels, 256) / jnp.maximum(counting.sum(), 1)
