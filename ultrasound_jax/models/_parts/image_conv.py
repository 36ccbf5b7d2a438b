"""A convolution of images: XLA's own, less what XLA does slowly on a CPU.

Images of 2x2 pixels and less, and those that become so, are `tiny_conv`'s, few channels
at stride 2 `folded_conv`'s; kernels have their gradient as `kernel_gradient` says. What
is left, and other devices than CPUs, is XLA's.
"""

from collections.abc import Sequence
from functools import partial

import jax
from jaxtyping import Array, Float

from ultrasound_jax.models._parts import folded_conv
from ultrasound_jax.models._parts.kernel_gradient import kernel_gradient, products_gain
from ultrasound_jax.models._parts.tiny_conv import fits, tiny_conv
from ultrasound_jax.models._parts.xla_conv import as_one_convolution


def image_conv(
    image: Float[Array, "n h w c"],
    kernel: Float[Array, "height width c k"],
    *,
    stride: Sequence[int] = (1, 1),
) -> Float[Array, "n i j k"]:
    """The convolution padded by (kernel - 1) // 2 on both sides."""
    rows, columns = stride
    if fits(image.shape[1:3], kernel.shape[:2], (rows, columns)):
        return tiny_conv(image, kernel, stride=(rows, columns))
    if folded_conv.fits(image.shape, kernel.shape, (rows, columns)):
        return folded_conv.folded_conv(image, kernel)
    if gains(image.shape, kernel.shape, (rows, columns)):
        return _with_products_as_gradient(image, kernel, (rows, columns))
    return as_one_convolution(image, kernel, stride=(rows, columns))


def gains(
    image: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, int]
) -> bool:
    """Whether products beat XLA's gradient of a kernel, for arrays of these shapes."""
    *window, inputs, outputs = kernel
    area = (image[1] // stride[0]) * (image[2] // stride[1])
    return window != [1, 1] and products_gain(area, min(inputs, outputs))


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
