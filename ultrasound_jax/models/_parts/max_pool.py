"""The pool at a residual network's entrance: 3x3 windows, two pixels apart.

XLA's gradient of a maximum, `select_and_scatter`, takes many times as long on a CPU as
the pool itself; there the forward pass keeps which of its nine pixels each window took,
and the gradient goes there. Like XLA and PyTorch, the first of several equal pixels
gets it.
"""

from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ultrasound_jax.models._parts.apart import apart

NOWHERE = 9  # a tap that no window has


@jax.custom_vjp
def max_pool(image: Float[Array, "n h w c"]) -> Float[Array, "n i j c"]:
    """The largest of each 3x3 window, stride 2; the padding is minus infinity."""
    return jax.lax.platform_dependent(image, cpu=apart(_pooled), default=by_xla)


def by_xla(image: Array) -> Array:
    """The same, as XLA pools."""
    return jax.lax.reduce_window(
        image,
        -np.inf,
        jax.lax.max,
        window_dimensions=(1, 3, 3, 1),
        window_strides=(1, 2, 2, 1),
        padding=((0, 0), (1, 1), (1, 1), (0, 0)),
    )


def _thirds(image: Array, axis: int) -> tuple[Array, Array, Array]:
    """What the three taps along an axis see, the axis halved.

    The first window's first tap, which is outside, sees its second.
    """
    shape = image.shape
    pairs = image.reshape(*shape[:axis], shape[axis] // 2, 2, *shape[axis + 1 :])
    even, odd = (
        jax.lax.index_in_dim(pairs, i, axis + 1, keepdims=False) for i in (0, 1)
    )
    before = [
        jax.lax.slice_in_dim(even, 0, 1, axis=axis),
        jax.lax.slice_in_dim(odd, 0, -1, axis=axis),
    ]
    return jnp.concatenate(before, axis), even, odd


def _even(image: Array) -> Array:
    """Padded below and on the right to an even height and width."""
    _, height, width, _ = image.shape
    if height % 2 == width % 2 == 0:
        return image
    edges = ((0, 0), (0, height % 2), (0, width % 2), (0, 0))
    return jnp.pad(image, edges, constant_values=-np.inf)


def _pooled(image: Array) -> Array:
    """The maximum over rows, then over columns."""
    image = _even(image)
    for axis in (1, 2):
        before, here, after = _thirds(image, axis)
        image = jnp.maximum(jnp.maximum(here, after), before)
    return image


def _pooled_and_place(image: Array) -> tuple[Array, Array]:
    """And which tap, counted by rows, is each window's largest: the first of equals."""
    image = _even(image)
    n, height, width, channels = image.shape
    rows, columns = height // 2, width // 2
    padded = jnp.pad(image, ((0, 0), (1, 0), (1, 0), (0, 0)), constant_values=-np.inf)
    place = jnp.zeros((n, rows, columns, channels), jnp.int8)
    largest = padded[:, 0:-1:2, 0:-1:2]
    for tap, (row, column) in enumerate(product(range(3), range(3))):
        seen = padded[:, row : row + height - 1 : 2, column : column + width - 1 : 2]
        place = jnp.where(seen > largest, jnp.int8(tap), place)
        largest = jnp.maximum(largest, seen)
    return _pooled(image), place


def _forward(image: Array) -> tuple[Array, tuple[Array, Array]]:
    def without_place(image: Array) -> tuple[Array, Array]:
        pooled = by_xla(image)
        return pooled, jnp.zeros(pooled.shape, jnp.int8)

    pooled, place = jax.lax.platform_dependent(
        image, cpu=apart(_pooled_and_place), default=without_place
    )
    return pooled, (image, place)  # of which each device uses one


def _backward(kept: tuple[Array, Array], cotangent: Array) -> tuple[Array]:
    def without_place(image: Array, place: Array, cotangent: Array) -> Array:
        return jax.vjp(by_xla, image)[1](cotangent)[0]

    def by_place(image: Array, place: Array, cotangent: Array) -> Array:
        gradient = apart(_to_place)(place, cotangent)
        return gradient[:, : image.shape[1], : image.shape[2]]

    return (
        jax.lax.platform_dependent(
            *kept, cotangent, cpu=by_place, default=without_place
        ),
    )


def _to_place(
    place: Int[Array, "n i j c"], cotangent: Float[Array, "n i j c"]
) -> Float[Array, "n h w c"]:
    """Each window's gradient at the pixel that it took, for an even image.

    A pixel of an even row is in one window's middle row, one of an uneven row in the
    last of a window and the first of the next; alike for columns.
    """
    n, rows, columns, channels = place.shape
    edges = ((0, 0), (0, 1), (0, 1), (0, 0))
    place = jnp.pad(place, edges, constant_values=NOWHERE)
    given = jnp.pad(cotangent, edges)
    # [next window or not][uneven or not]: the tap at which the window sees the pixel
    taps = np.array([[1, 2], [NOWHERE, 0]], np.int8)
    total = jnp.zeros((), cotangent.dtype)
    for down, right in product(range(2), range(2)):
        window = np.s_[:, down : down + rows, right : right + columns]
        row, column = taps[down][:, None], taps[right][None]
        tap = np.where((row < NOWHERE) & (column < NOWHERE), 3 * row + column, -1)
        here = place[window][:, :, None, :, None] == tap[:, None, :, None]
        total = total + jnp.where(here, given[window][:, :, None, :, None], 0)
    return total.reshape(n, 2 * rows, 2 * columns, channels)


max_pool.defvjp(_forward, _backward)
