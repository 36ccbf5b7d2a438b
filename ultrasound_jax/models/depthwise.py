"""A depth-wise 3x3x3 convolution of tokens, as shifted copies that XLA fuses.

XLA's own is 10 to 80 times slower on a CPU: 1.2 s against 26 ms forwards, and 2.8 s
against 0.25 s with its gradient, for 15x64x64 tokens of 96 channels on two cores.
"""

import math
from itertools import product

import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float


def depthwise_conv(
    grid: Float[Array, "b t h w *rest d"],
    kernel: Float[Array, "3 3 3 d"],
    *,
    stride: int = 1,
    dtype: DTypeLike = jnp.float32,
) -> Float[Array, "b t i j *rest d"]:
    """Convolve each channel by itself, padded by 1; `stride` is of height and width.

    Sums are float32, the result is of `dtype`.
    """
    times, height, width = grid.shape[1:4]
    last = [stride * (math.ceil(size / stride) - 1) + 1 for size in (height, width)]
    unpadded = ((0, 0),) * (grid.ndim - 4)
    padded = jnp.pad(grid, ((0, 0), (1, 1), (1, 1), (1, 1), *unpadded))
    x = jnp.zeros((), jnp.float32)
    for at, row, column in product(range(3), repeat=3):
        rows = slice(row, row + last[0], stride)
        columns = slice(column, column + last[1], stride)
        x = x + padded[:, at : at + times, rows, columns] * kernel[at, row, column]
    return x.astype(dtype)
