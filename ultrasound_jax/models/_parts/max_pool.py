"""The pool at a residual network's entrance: 3x3 windows, two pixels apart.

XLA's gradient of a maximum, `select_and_scatter`, takes several times as long on a CPU
as finding each window's largest of nine pixels again, and many times as long as the
pool itself. Like XLA and PyTorch, the first of several equal pixels gets the gradient.
"""

from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

TAPS = tuple(product(range(3), range(3)))


@jax.custom_vjp
def max_pool(image: Float[Array, "n h w c"]) -> Float[Array, "n i j c"]:
    """The largest of each 3x3 window, stride 2; the padding is minus infinity."""
    return jax.lax.platform_dependent(image, cpu=_by_slices, default=_by_xla)


def _by_xla(image: Array) -> Array:
    return jax.lax.reduce_window(
        image,
        -np.inf,
        jax.lax.max,
        window_dimensions=(1, 3, 3, 1),
        window_strides=(1, 2, 2, 1),
        padding=((0, 0), (1, 1), (1, 1), (0, 0)),
    )


def _slices(image: Array) -> list[Array]:
    """What each tap of the windows sees: nine images of the pooled size."""
    n, height, width, channels = image.shape
    rows, columns = -(-height // 2), -(-width // 2)
    down, right = 2 * rows - height + 1, 2 * columns - width + 1
    edges = ((0, 0), (1, down), (1, right), (0, 0))
    padded = jnp.pad(image, edges, constant_values=-np.inf)
    pairs = padded.reshape(n, rows + 1, 2, columns + 1, 2, channels)
    return [
        pairs[:, r // 2 : r // 2 + rows, r % 2, c // 2 : c // 2 + columns, c % 2]
        for r, c in TAPS
    ]


def _by_slices(image: Array) -> Array:
    largest, *others = _slices(image)
    for one in others:
        largest = jnp.maximum(largest, one)
    return largest


def _forward(image: Array) -> tuple[Array, Array]:
    return max_pool(image), image


def _backward(image: Array, cotangent: Array) -> tuple[Array]:
    return (
        jax.lax.platform_dependent(
            image,
            cotangent,
            cpu=_to_the_first,
            default=lambda image, given: jax.vjp(_by_xla, image)[1](given)[0],
        ),
    )


def _to_the_first(image: Array, cotangent: Array) -> Array:
    """Each window's gradient at the first of its pixels that is the largest.

    The largest is looked for anew: XLA may compute the image a second time with other
    rounding, and then no pixel would equal what the pool has kept.
    """
    n, height, width, channels = image.shape
    largest, *others = _slices(image)
    place = jnp.zeros(largest.shape, jnp.int8)
    for tap, seen in enumerate(others, 1):
        place = jnp.where(seen > largest, jnp.int8(tap), place)
        largest = jnp.maximum(largest, seen)
    parts = {
        tap: jnp.where(place == which, cotangent, 0) for which, tap in enumerate(TAPS)
    }

    def plane(row: int, column: int) -> Array:
        """The pixels of even or uneven rows and columns, over all taps on them."""
        total = jnp.zeros((), cotangent.dtype)
        for (r, c), part in parts.items():
            if (r % 2, c % 2) == (row, column):
                down = (r // 2, 1 - r // 2)
                right = (c // 2, 1 - c // 2)
                total = total + jnp.pad(part, ((0, 0), down, right, (0, 0)))
        return total

    rows = [jnp.stack([plane(r, 0), plane(r, 1)], 3) for r in (0, 1)]
    whole = jnp.stack(rows, 2)
    _, down, _, right, _, _ = whole.shape
    padded = whole.reshape(n, 2 * down, 2 * right, channels)
    # Fused with a norm's gradient, it would be computed again for each of its sums.
    return jax.lax.optimization_barrier(padded[:, 1 : height + 1, 1 : width + 1])


max_pool.defvjp(_forward, _backward)
