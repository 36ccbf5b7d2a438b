"""A depth-wise transposed convolution: every pixel is spread over a window of its own.

It is the gradient of a depth-wise convolution of stride 2, and its own gradients are
that convolution and its kernel's gradient, so that on a CPU all of it is the shifted
sums of `depthwise`; elsewhere gradients are XLA's convolutions.
"""

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from ultrasound_jax.models._parts.apart import apart
from ultrasound_jax.models._parts.depthwise import depthwise_conv
from ultrasound_jax.models._parts.depthwise_gradient import (
    grid_gradient,
    kernel_gradient,
)
from ultrasound_jax.models._parts.xla_conv import edges

NAME = "depthwise_up"  # what programs call it: `explain.macs` finds it so
STRIDE = 2


def depthwise_image_up(
    image: Float[Array, "n h w d"],
    kernel: Float[Array, "height width d"],
    *,
    dtype: DTypeLike = jnp.float32,
) -> Float[Array, "n 2*h-1 2*w-1 d"]:
    """Spread each channel by itself, stride 2, padded by kernel // 2; odd kernels only.

    `y[2 i - kernel // 2 + k] += x[i] kernel[k]` along both sides, as PyTorch has it.
    Sums are float32 or wider, the result is of `dtype`.
    """
    return _spread(jnp.dtype(dtype))(image, kernel)


@cache
def _spread(dtype: Any) -> Any:
    """The convolution under a name that stays in the program, which XLA inlines."""

    def around(kernel: Array) -> list[tuple[int, int]]:
        return [(0, 0), *edges(kernel.shape)]

    def sums(image: Array, kernel: Array) -> Array:
        sides = [STRIDE * (side - 1) + 1 for side in image.shape[1:3]]
        how = {"stride": STRIDE, "edges": around(kernel)}
        return grid_gradient(image[:, None], kernel[None], sides, **how)[:, 0]

    @jax.custom_vjp
    def spread(image: Array, kernel: Array) -> Array:
        return sums(image, kernel).astype(dtype)

    def forward(image: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
        found = jax.lax.platform_dependent(image, kernel, cpu=apart(sums), default=sums)
        return found.astype(dtype), (image, kernel)

    def backward(kept: tuple[Array, Array], cotangent: Array) -> tuple[Array, Array]:
        image, kernel = kept

        def gathered(grid: Array, kernel: Array) -> Array:
            return depthwise_conv(grid, kernel, stride=STRIDE, dtype=image.dtype)

        def of_kernel(image: Array, cotangent: Array) -> Array:
            how = {"stride": STRIDE, "edges": around(kernel)}
            sizes = (1, *kernel.shape[:2])
            return kernel_gradient(cotangent[:, None], image[:, None], sizes, **how)

        def by_xla(image: Array, cotangent: Array) -> Array:
            grid = cotangent[:, None].astype(image.dtype)
            _, pull = jax.vjp(lambda taps: gathered(grid, taps), kernel[None])
            return pull(image[:, None])[0]

        found = jax.lax.platform_dependent(
            image, cotangent, cpu=apart(of_kernel), default=by_xla
        )
        of_image = gathered(cotangent[:, None], kernel[None])[:, 0]
        return of_image, found[0].astype(kernel.dtype)

    spread.defvjp(forward, backward)

    def spread_out(image: Array, kernel: Array) -> Array:
        return spread(image, kernel)

    spread_out.__name__ = NAME
    return jax.jit(spread_out)
