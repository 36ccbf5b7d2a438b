"""A convolution of images: XLA's own, less what XLA does slowly on a CPU.

Images of 2x2 pixels and less are `tiny_conv`'s. Of large images, the gradient of a
kernel of several taps is one matrix product a tap: pixels, a row each, times what they
were shifted to. XLA makes that gradient a convolution whose kernel is as large as the
image, which on a CPU takes up to four times as long; experiments/conv_scan.py measures
both over the shapes of the shipped configurations. Small images, those of few channels
and other devices than CPUs are left to XLA.
"""

from collections.abc import Sequence
from functools import partial
from itertools import product

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ultrasound_jax.models._parts.tiny_conv import fits, tiny_conv
from ultrasound_jax.models._parts.xla_conv import as_one_convolution, edges

# Below either, XLA's own gradient was as fast or faster in experiments/conv_scan.py.
FEWEST_CHANNELS = 8
FEWEST_NUMBERS = 8192  # of an image that is shifted: pixels times channels


def image_conv(
    image: Float[Array, "n h w c"],
    kernel: Float[Array, "height width c k"],
    *,
    stride: Sequence[int] = (1, 1),
) -> Float[Array, "n i j k"]:
    """The convolution padded by (kernel - 1) // 2 on both sides."""
    rows, columns = stride
    if fits(image.shape[1:3], kernel.shape[:2]):
        return tiny_conv(image, kernel, stride=(rows, columns))
    if gains(image.shape, kernel.shape, (rows, columns)):
        return _with_products_as_gradient(image, kernel, (rows, columns))
    return as_one_convolution(image, kernel, stride=(rows, columns))


def gains(
    image: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, int]
) -> bool:
    """Whether products beat XLA's gradient of a kernel, for arrays of these shapes."""
    *window, inputs, outputs = kernel
    channels = min(inputs, outputs)
    area = (image[1] // stride[0]) * (image[2] // stride[1])
    enough = channels >= FEWEST_CHANNELS and area * channels >= FEWEST_NUMBERS
    return enough and window != [1, 1]


def kernel_gradient(
    image: Float[Array, "n h w c"],
    cotangent: Float[Array, "n i j k"],
    kernel: Float[Array, "height width c k"],
    *,
    stride: tuple[int, int],
) -> Float[Array, "height width c k"]:
    """The gradient of a kernel of that shape and dtype, one matrix product a tap.

    Of the image and the cotangent, the one with fewer channels is shifted, since each
    shift is a copy. That takes an odd kernel and no stride for the cotangent.
    """
    height, width, inputs, outputs = kernel.shape
    odd = height % 2 == width % 2 == 1
    turned = outputs < inputs and odd and stride == (1, 1)
    moved, still = (cotangent, image) if turned else (image, cotangent)
    padded = jnp.pad(moved, ((0, 0), *edges(kernel.shape), (0, 0)))
    rows = still.reshape(-1, still.shape[-1])
    reach = [
        step * (size - 1) + 1
        for size, step in zip(still.shape[1:3], stride, strict=True)
    ]
    taps = []
    for row, column in product(range(height), range(width)):
        if turned:
            row, column = height - 1 - row, width - 1 - column
        shifted = padded[
            :,
            row : row + reach[0] : stride[0],
            column : column + reach[1] : stride[1],
        ].reshape(len(rows), -1)
        left, right = (rows, shifted) if turned else (shifted, rows)
        taps.append(jnp.matmul(left.T, right, preferred_element_type=jnp.float32))
    return jnp.stack(taps).reshape(kernel.shape).astype(kernel.dtype)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _with_products_as_gradient(
    image: Array, kernel: Array, stride: tuple[int, int]
) -> Array:
    return as_one_convolution(image, kernel, stride=stride)


def _forward(
    image: Array, kernel: Array, stride: tuple[int, int]
) -> tuple[Array, tuple[Array, Array]]:
    return as_one_convolution(image, kernel, stride=stride), (image, kernel)


def _backward(
    stride: tuple[int, int], kept: tuple[Array, Array], cotangent: Array
) -> tuple[Array, Array]:
    image, kernel = kept
    convolve = partial(as_one_convolution, stride=stride)
    _, pull_image = jax.vjp(lambda x: convolve(x, kernel), image)

    def by_xla(image: Array, cotangent: Array) -> Array:
        _, pull = jax.vjp(lambda taps: convolve(image, taps), kernel)
        return pull(cotangent)[0]

    def by_products(image: Array, cotangent: Array) -> Array:
        return kernel_gradient(image, cotangent, kernel, stride=stride)

    gradient = jax.lax.platform_dependent(
        image, cotangent, cpu=by_products, default=by_xla
    )
    return pull_image(cotangent)[0], gradient


_with_products_as_gradient.defvjp(_forward, _backward)
