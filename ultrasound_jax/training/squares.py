"""Pictures in squares: random ones to train on, overlapping ones to be answered in."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

MOVED = ("pixels", "mask")  # the roles of what has rows and columns
_SPREAD = 1 / 8  # of a square's side: the standard deviation of its weights


def cropped(
    fields: Mapping[str, Array], roles: Mapping[str, str], side: int, *, key: Array
) -> dict[str, Array]:
    """A random square of each example, of pixels and masks the same.

    A side of the picture that is shorter than the square stays as it is.
    """
    names = [name for name, role in roles.items() if role in MOVED and name in fields]
    height, width = fields[names[0]].shape[-3:-1]
    size = min(side, height), min(side, width)
    most = jnp.array([height - size[0] + 1, width - size[1] + 1])
    rows = len(fields[names[0]])
    corners = jax.random.randint(key, (rows, 2), 0, most)

    def cut(example: dict[str, Array], corner: Array) -> dict[str, Array]:
        return {name: _cut(array, corner, size) for name, array in example.items()}

    return dict(fields) | jax.vmap(cut)({name: fields[name] for name in names}, corners)


def answered(
    ask: Callable[[dict[str, Array]], Float[Array, "b i j k"]],
    pixels: Mapping[str, Array],
    side: int,
    overlap: float,
) -> Float[Array, "b h w k"]:
    """The answer to pictures, asked square by square and blended where they overlap.

    Squares are evenly spaced from edge to edge, at least as close as `overlap` says.
    Each counts by a Gaussian around its middle, of a standard deviation of an eighth of
    its side (nnU-Net; Isensee et al., Nature Methods 2021), so that what is near its
    edge counts little; where all squares say the same, that is the answer.
    """
    height, width = next(iter(pixels.values())).shape[-3:-1]
    size = min(side, height), min(side, width)
    corners = [
        (top, left)
        for top in starts(height, size[0], overlap)
        for left in starts(width, size[1], overlap)
    ]
    weights = np.outer(*(_bell(one) for one in size)).astype(np.float32)[..., None]
    shares = np.zeros((height, width, 1), np.float32)
    for top, left in corners:
        shares[top : top + size[0], left : left + size[1]] += weights

    def cut(corner: Array) -> dict[str, Array]:
        return {name: _cut(array, corner, size) for name, array in pixels.items()}

    def one(total: Array, corner: Array) -> tuple[Array, None]:
        start = (0, corner[0], corner[1], 0)
        there = _cut(total, corner, size)
        more = there + weights * ask(cut(corner))
        return lax.dynamic_update_slice(total, more, start), None

    rows, *_, outputs = jax.eval_shape(
        ask, jax.eval_shape(cut, jnp.zeros(2, int))
    ).shape
    total = jnp.zeros((rows, height, width, outputs), jnp.float32)
    total, _ = lax.scan(one, total, jnp.array(corners, jnp.int32))
    return total / shares


def starts(side: int, square: int, overlap: float) -> tuple[int, ...]:
    """Where squares start along a side: the first at 0, the last at its end."""
    step = max(1, round(square * (1 - overlap)))
    count = -(-(side - square) // step) + 1
    return tuple(np.round(np.linspace(0, side - square, count)).astype(int).tolist())


def _bell(side: int) -> Float[np.ndarray, " n"]:
    away = np.arange(side) - (side - 1) / 2
    return np.exp(-0.5 * (away / (side * _SPREAD)) ** 2)


def _cut(array: Array, corner: Array, size: tuple[int, int]) -> Array:
    rows = lax.dynamic_slice_in_dim(array, corner[0], size[0], array.ndim - 3)
    return lax.dynamic_slice_in_dim(rows, corner[1], size[1], array.ndim - 2)
