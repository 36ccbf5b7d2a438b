"""XLA's own convolution of images, and how images are padded for one."""

from collections.abc import Sequence

import jax
from jaxtyping import Array, Float


def as_one_convolution(
    image: Float[Array, "n h w c"],
    kernel: Float[Array, "height width c k"],
    *,
    stride: tuple[int, int],
    padding: Sequence[tuple[int, int]] | None = None,
) -> Float[Array, "n i j k"]:
    """The convolution padded by (kernel - 1) // 2 on both sides, gradients by XLA.

    `padding` is another one, before and behind rows and columns.
    """
    return jax.lax.conv_general_dilated(
        image,
        kernel,
        stride,
        edges(kernel.shape) if padding is None else padding,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def edges(kernel: tuple[int, ...]) -> list[tuple[int, int]]:
    """How many rows and columns are added before and behind."""
    return [((size - 1) // 2, (size - 1) // 2) for size in kernel[:2]]


def same_edges(
    image: Sequence[int], kernel: Sequence[int], stride: Sequence[int]
) -> list[tuple[int, int]]:
    """The same by TensorFlow's rule `SAME`, which depends on the image's size.

    As little as gives size / stride pixels, rounded up; if that is odd, the larger half
    comes behind. With stride 2 an even side gets 0 before and 1 behind for a kernel of
    3, where PyTorch's networks have 1 and 1 and look at other pixels.
    """
    found = []
    for side, taps, step in zip(image, kernel, stride, strict=True):
        total = max((-(-side // step) - 1) * step + taps - side, 0)
        found.append((total // 2, total - total // 2))
    return found
