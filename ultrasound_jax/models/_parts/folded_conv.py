"""A convolution of stride 2 over an image of few channels, as at every entrance.

XLA convolves one or three channels slowly on a CPU. Two by two pixels folded into
channels make of it a convolution of stride 1 and half the size over four times the
channels, with the kernel folded alike (and zeros where it is uneven); the gradient of
the kernel is one matrix product a folded tap. Both are used where experiments/
conv_scan.py found them faster, on CPUs only.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ultrasound_jax.models._parts.kernel_gradient import (
    products_gain,
    products_of_taps,
)
from ultrasound_jax.models._parts.xla_conv import as_one_convolution

STRIDE = (2, 2)
MOST_INPUTS = 4
MOST_OUTPUTS = 32  # above, XLA's own convolution of one channel is faster


def fits(image: Sequence[int], kernel: Sequence[int], stride: Sequence[int]) -> bool:
    """Whether the convolution is of this kind, from the arrays' shapes."""
    *window, inputs, _ = kernel
    uneven = all(size % 2 == 1 and size > 1 for size in window)
    return tuple(stride) == STRIDE and uneven and inputs <= MOST_INPUTS


def folded(
    image: Float[Array, "n h w c"], window: Sequence[int]
) -> Float[Array, "n i j d"]:
    """The padded image, 2x2 pixels side by side in `d = 4 c` channels.

    Of `ceil(h / 2)` rows and as many more as the folded kernel has beside its first.
    """
    n, height, width, channels = image.shape
    edges, sizes = [], []
    for size, length in zip((height, width), window, strict=True):
        half = length // 2
        before = half + half % 2
        cells = -(-size // 2) + folded_taps(length) - 1
        edges.append((before, 2 * cells - size - before))
        sizes.append(cells)
    padded = jnp.pad(image, ((0, 0), *edges, (0, 0)))
    pairs = padded.reshape(n, sizes[0], 2, sizes[1], 2, channels)
    return pairs.transpose(0, 1, 3, 2, 4, 5).reshape(n, *sizes, 4 * channels)


def folded_taps(length: int) -> int:
    """How many taps a side of `length` has after folding."""
    return (length + (length // 2) % 2 + 1) // 2


def folded_kernel(
    kernel: Float[Array, "height width c k"],
) -> Float[Array, "rows columns d k"]:
    """The kernel for `folded` images."""
    *window, inputs, outputs = kernel.shape
    taps = [folded_taps(length) for length in window]
    edges = [
        ((length // 2) % 2, 2 * tap - length - (length // 2) % 2)
        for length, tap in zip(window, taps, strict=True)
    ]
    padded = jnp.pad(kernel, (*edges, (0, 0), (0, 0)))
    pairs = padded.reshape(taps[0], 2, taps[1], 2, inputs, outputs)
    return pairs.transpose(0, 2, 1, 3, 4, 5).reshape(*taps, 4 * inputs, outputs)


def unfolded_kernel(
    kernel: Float[Array, "rows columns d k"], shape: Sequence[int]
) -> Float[Array, "height width c k"]:
    """The kernel of `shape` that `folded_kernel` made this of."""
    *window, inputs, outputs = shape
    rows, columns = kernel.shape[:2]
    pairs = kernel.reshape(rows, columns, 2, 2, inputs, outputs)
    padded = pairs.transpose(0, 2, 1, 3, 4, 5)
    padded = padded.reshape(2 * rows, 2 * columns, inputs, outputs)
    down, right = ((length // 2) % 2 for length in window)
    return padded[down : down + window[0], right : right + window[1]]


@jax.custom_vjp
def folded_conv(
    image: Float[Array, "n h w c"], kernel: Float[Array, "height width c k"]
) -> Float[Array, "n i j k"]:
    """The convolution of stride 2, padded by (kernel - 1) // 2 on both sides."""
    if kernel.shape[2] > 1 or kernel.shape[3] > MOST_OUTPUTS:
        return _by_xla(image, kernel)
    return jax.lax.platform_dependent(image, kernel, cpu=_by_folding, default=_by_xla)


def _by_xla(image: Array, kernel: Array) -> Array:
    return as_one_convolution(image, kernel, stride=STRIDE)


def _by_folding(image: Array, kernel: Array) -> Array:
    return jax.lax.conv_general_dilated(
        folded(image, kernel.shape[:2]),
        folded_kernel(kernel),
        (1, 1),
        "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def kernel_gradient(
    image: Float[Array, "n h w c"],
    cotangent: Float[Array, "n i j k"],
    kernel: Float[Array, "height width c k"],
) -> Float[Array, "height width c k"]:
    """The gradient of a kernel of that shape and dtype, a product a folded tap."""
    window = [folded_taps(length) for length in kernel.shape[:2]]
    cells = folded(image, kernel.shape[:2])
    cells, cotangent = jax.lax.optimization_barrier((cells, cotangent))
    whole = products_of_taps(cells, cotangent, window)
    return unfolded_kernel(whole, kernel.shape).astype(kernel.dtype)


def _forward(image: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return folded_conv(image, kernel), (image, kernel)


def _backward(kept: tuple[Array, Array], cotangent: Array) -> tuple[Array, Array]:
    image, kernel = kept
    _, pull_image = jax.vjp(lambda x: _by_xla(x, kernel), image)

    def by_xla(image: Array, cotangent: Array) -> Array:
        return jax.vjp(lambda taps: _by_xla(image, taps), kernel)[1](cotangent)[0]

    def by_products(image: Array, cotangent: Array) -> Array:
        return kernel_gradient(image, cotangent, kernel)

    _, *area, outputs = cotangent.shape
    on_cpu = by_products if products_gain(math.prod(area), outputs) else by_xla
    gradient = jax.lax.platform_dependent(image, cotangent, cpu=on_cpu, default=by_xla)
    return pull_image(cotangent)[0], gradient


folded_conv.defvjp(_forward, _backward)
