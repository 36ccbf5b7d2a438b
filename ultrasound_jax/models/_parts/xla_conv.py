"""XLA's own convolution of images, as all networks pad it."""

import jax
from jaxtyping import Array, Float


def as_one_convolution(
    image: Float[Array, "n h w c"],
    kernel: Float[Array, "height width c k"],
    *,
    stride: tuple[int, int],
) -> Float[Array, "n i j k"]:
    """The convolution padded by (kernel - 1) // 2 on both sides, gradients by XLA."""
    return jax.lax.conv_general_dilated(
        image,
        kernel,
        stride,
        edges(kernel.shape),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def edges(kernel: tuple[int, ...]) -> list[tuple[int, int]]:
    """How many rows and columns are added before and behind."""
    return [((size - 1) // 2, (size - 1) // 2) for size in kernel[:2]]
