"""A depth-wise convolution over time and space, as shifted copies that XLA fuses.

XLA's own is 10 to 80 times slower on a CPU: 1.2 s against 26 ms forwards, and 2.8 s
against 0.25 s with its gradient, for 15x64x64 tokens of 96 channels on two cores. On
other devices XLA's convolution of single images is good, and is taken.
"""

import math
from functools import cache
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from ultrasound_jax.models._parts.apart import apart
from ultrasound_jax.models._parts.depthwise_gradient import (
    grid_gradient,
    kernel_gradient,
)
from ultrasound_jax.models._parts.xla_conv import same_edges

# With stride and padding behind it, what programs call it: `explain.macs` finds it so.
NAME = "depthwise_conv_of_stride_"
SAME = "_same"


def depthwise_conv(
    grid: Float[Array, "b t h w *rest d"],
    kernel: Float[Array, "time height width d"],
    *,
    stride: int = 1,
    same: bool = False,
    dtype: DTypeLike = jnp.float32,
) -> Float[Array, "b t i j *rest d"]:
    """Convolve each channel by itself, padded by kernel // 2; odd kernels only.

    `stride` is of height and width. With `same` these two are padded by TensorFlow's
    rule (`same_edges`). Sums are float32, the result is of `dtype`.
    """
    return _shifted_sums(stride, same, jnp.dtype(dtype))(grid, kernel)


def depthwise_image_conv(
    image: Float[Array, "n h w d"],
    kernel: Float[Array, "height width d"],
    *,
    stride: int = 1,
    same: bool = False,
    dtype: DTypeLike = jnp.float32,
) -> Float[Array, "n i j d"]:
    """The same of images: of one frame each."""
    options = {"stride": stride, "same": same, "dtype": dtype}
    return depthwise_conv(image[:, None], kernel[None], **options)[:, 0]


def options_of(name: str) -> dict[str, Any]:
    """What a program's convolution was made with, from the name that it has there."""
    words = name.removeprefix(NAME)
    return {"stride": int(words.removesuffix(SAME)), "same": words.endswith(SAME)}


@cache
def _shifted_sums(stride: int, same: bool, dtype: Any) -> Any:
    """The convolution under a name that stays in the program, which XLA inlines."""

    def edges_of(grid: Array, kernel: Array) -> list[tuple[int, int]]:
        return _edges(grid.shape, kernel.shape[:3], stride, same=same)

    def shifted(grid: Array, kernel: Array) -> Array:
        window, (times, height, width) = kernel.shape[:3], grid.shape[1:4]
        last = [stride * (math.ceil(size / stride) - 1) + 1 for size in (height, width)]
        unpadded = ((0, 0),) * (grid.ndim - 4)
        padded = jnp.pad(grid, ((0, 0), *edges_of(grid, kernel), *unpadded))
        x = jnp.zeros((), jnp.float32)
        for at, row, column in product(*map(range, window)):
            rows = slice(row, row + last[0], stride)
            columns = slice(column, column + last[1], stride)
            x = x + padded[:, at : at + times, rows, columns] * kernel[at, row, column]
        return x.astype(dtype)

    def by_xla(grid: Array, kernel: Array) -> Array:
        x = jax.lax.conv_general_dilated(
            grid[:, 0],
            kernel[0, :, :, None].astype(grid.dtype),
            (stride, stride),
            edges_of(grid, kernel)[1:],
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=kernel.shape[-1],
        )
        return x[:, None].astype(dtype)

    def elsewhere(grid: Array, kernel: Array) -> Array:
        image = grid.ndim == 5 and (grid.shape[1], len(kernel)) == (1, 1)
        return (by_xla if image else shifted)(grid, kernel)

    @jax.custom_vjp
    def convolved(grid: Array, kernel: Array) -> Array:
        return jax.lax.platform_dependent(grid, kernel, cpu=shifted, default=elsewhere)

    def forward(grid: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
        found = jax.lax.platform_dependent(
            grid, kernel, cpu=apart(shifted), default=elsewhere
        )
        return found, (grid, kernel)

    def by_blocks(grid: Array, kernel: Array, cotangent: Array) -> tuple[Array, Array]:
        how = {"stride": stride, "edges": edges_of(grid, kernel)}
        sides, sizes = grid.shape[2:4], kernel.shape[:3]
        of_grid = grid_gradient(cotangent, kernel, sides, **how)
        of_kernel = kernel_gradient(grid, cotangent, sizes, **how)
        return of_grid.astype(grid.dtype), of_kernel.astype(kernel.dtype)

    def by_jax(grid: Array, kernel: Array, cotangent: Array) -> tuple[Array, Array]:
        return jax.vjp(elsewhere, grid, kernel)[1](cotangent)

    def backward(kept: tuple[Array, Array], cotangent: Array) -> tuple[Array, Array]:
        return jax.lax.platform_dependent(
            *kept, cotangent, cpu=apart(by_blocks), default=by_jax
        )

    convolved.defvjp(forward, backward)

    def convolve(grid: Array, kernel: Array) -> Array:
        return convolved(grid, kernel)

    convolve.__name__ = f"{NAME}{stride}{SAME if same else ''}"
    return jax.jit(convolve)


def _edges(
    grid: tuple[int, ...], window: tuple[int, ...], stride: int, *, same: bool
) -> list[tuple[int, int]]:
    """What is added before and behind time, height and width."""
    edges = [(size // 2, size // 2) for size in window]
    if same:
        edges[1:] = same_edges(grid[2:4], window[1:], (stride, stride))
    return edges


def as_one_convolution(
    grid: Float[Array, "b t h w *rest d"],
    kernel: Float[Array, "time height width d"],
    *,
    stride: int = 1,
    same: bool = False,
) -> Float[Array, "n t i j d"]:
    """The same by XLA's own convolution: for tests, and to count what it multiplies.

    The axes of `rest` are in the batch.
    """
    tokens = jnp.moveaxis(grid, (1, 2, 3), (-4, -3, -2))
    return jax.lax.conv_general_dilated(
        tokens.reshape(-1, *tokens.shape[-4:]),
        kernel[:, :, :, None].astype(grid.dtype),
        (1, stride, stride),
        _edges(grid.shape, kernel.shape[:3], stride, same=same),
        dimension_numbers=("NDHWC", "DHWIO", "NDHWC"),
        feature_group_count=kernel.shape[-1],
    )
