"""The gradients of a depth-wise convolution, for CPUs.

JAX's own keep a shifted copy of the image for every tap of the kernel, and walk through
all of them from end to end. Here an image's gradient is a sum of shifts like the
convolution itself, and the kernel's is summed over blocks of rows that stay in a core's
cache.
"""

import math
from collections.abc import Sequence
from itertools import product

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

BLOCK = 2**19  # bytes of the padded image that all taps walk through at once


def grid_gradient(
    cotangent: Float[Array, "b t i j *rest d"],
    kernel: Float[Array, "time height width d"],
    sides: Sequence[int],
    *,
    stride: int,
    edges: Sequence[tuple[int, int]],
) -> Float[Array, "b t h w *rest d"]:
    """The gradient of the convolved grid of these (height, width), in float32.

    edges: what was padded before and behind time, height and width.

    A pixel is seen by every stride-th tap, so that each of stride x stride kinds of
    pixels has a convolution of its own.
    """
    sizes, steps = kernel.shape[:3], (1, stride, stride)
    counts = (cotangent.shape[1], *(-(-side // stride) for side in sides))
    # Where pixels of the first and of the last kind begin to be seen.
    first = [(e[0] - n + 1) // s for e, n, s in zip(edges, sizes, steps, strict=True)]
    last = [(e[0] + s - 1) // s for e, s in zip(edges, steps, strict=True)]
    given = cotangent.shape[1:4]
    margins = [
        (max(-low, 0), max(high + count - size, 0))
        for low, high, count, size in zip(first, last, counts, given, strict=True)
    ]
    more = ((0, 0),) * (cotangent.ndim - 4)
    padded = jnp.pad(cotangent, ((0, 0), *margins, *more))

    def of_kind(*kind: int) -> Array:
        x = jnp.zeros((len(padded), *counts, *cotangent.shape[4:]), jnp.float32)
        for taps in product(*map(range, sizes)):
            reach = [
                k + e[0] - tap for k, e, tap in zip(kind, edges, taps, strict=True)
            ]
            if any(r % s for r, s in zip(reach, steps, strict=True)):
                continue
            begin = [
                r // s + m[0] for r, s, m in zip(reach, steps, margins, strict=True)
            ]
            window = tuple(slice(b, b + n) for b, n in zip(begin, counts, strict=True))
            x = x + padded[:, *window] * kernel[taps]
        return x

    if stride == 1:
        return of_kind(0, 0, 0)
    kinds = [[of_kind(0, y, x) for x in range(stride)] for y in range(stride)]
    x = jnp.stack([jnp.stack(row, 4) for row in kinds], 3)  # b t h stride w stride …
    times, height, width = counts
    shape = (times, height * stride, width * stride, *cotangent.shape[4:])
    return x.reshape(-1, *shape)[:, :, : sides[0], : sides[1]]


def kernel_gradient(
    grid: Float[Array, "b t h w *rest d"],
    cotangent: Float[Array, "b t i j *rest d"],
    sizes: Sequence[int],
    *,
    stride: int,
    edges: Sequence[tuple[int, int]],
) -> Float[Array, "time height width d"]:
    """The gradient of a kernel of these (time, height, width), in float32."""
    times, height, width = sizes
    batch, frames, rows, columns = cotangent.shape[:4]
    more = grid.ndim - 4
    padded = jnp.pad(grid, ((0, 0), *edges, *((0, 0),) * more))
    rest = padded.shape[3:]
    of_row = times * math.prod(rest) * padded.dtype.itemsize
    block = _block(rows, BLOCK // of_row, stride=stride, size=height)
    high, last = stride * (block - 1) + 1, stride * (columns - 1) + 1
    blocks = rows // block

    def add(at: Array, total: Array) -> Array:
        image, frame = at // (frames * blocks), at // blocks % frames
        row, none = at % blocks * block, (0,) * (more + 1)
        begin = (image, frame, stride * row, *none)
        sizes_ = (1, times, high + height - 1, *rest)
        seen = jax.lax.dynamic_slice(padded, begin, sizes_)[0]
        begin, sizes_ = (image, frame, row, *none), (1, 1, block, *cotangent.shape[3:])
        given = jax.lax.dynamic_slice(cotangent, begin, sizes_)[0, 0]
        given = given.astype(jnp.float32)
        over = tuple(range(given.ndim - 1))
        taps = [
            (seen[t, y : y + high : stride, x : x + last : stride] * given).sum(over)
            for t, y, x in product(*map(range, sizes))
        ]
        return total + jnp.stack(taps)

    zeros = jnp.zeros((times * height * width, grid.shape[-1]), jnp.float32)
    total = jax.lax.fori_loop(0, batch * frames * blocks, add, zeros)
    return total.reshape(*sizes, -1)


def _block(rows: int, fit: int, *, stride: int, size: int) -> int:
    """The most rows of the result that divide it and see no more than `fit` rows."""
    within = [n for n in range(1, rows + 1) if rows % n == 0]
    return max(n for n in within if n == 1 or stride * (n - 1) + size <= fit)
