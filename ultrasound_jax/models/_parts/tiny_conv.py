"""A 3x3 convolution of, or to, an image so small that every pixel reaches every other.

On 2x2 pixels, which is what a ResNet's last stage has of 64-pixel frames, XLA's CPU
convolution and its input gradient are 9 to 100 times slower than they need be. There
each output pixel is a sum over all input pixels, each times one tap of the kernel, so
that the whole image is one row of a matrix product, whose matrix holds the taps where
they belong. It multiplies 4 by 4 taps, the convolution 4 by 9, of which
5 are for zeros from the border. Where 4x4 pixels become 2x2, XLA's input gradient is
slow as well; there what each output pixel sees is one row.
"""

from functools import partial
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ultrasound_jax.models._parts.xla_conv import as_one_convolution

LARGEST = 2  # pixels a side; on a third a tap of 3x3 does not reach across


def fits(
    image_size: tuple[int, ...],
    kernel_size: tuple[int, ...],
    stride: tuple[int, int] = (1, 1),
) -> bool:
    """Whether an image of that height and width, and that kernel, are of this kind."""
    if kernel_size != (3, 3):
        return False
    becomes = [-(-size // step) for size, step in zip(image_size, stride, strict=True)]
    return max(image_size) <= LARGEST or (stride == (2, 2) and max(becomes) <= LARGEST)


def tiny_conv(
    image: Float[Array, "n h w c"],
    kernel: Float[Array, "3 3 c k"],
    *,
    stride: tuple[int, int] = (1, 1),
) -> Float[Array, "n i j k"]:
    """The convolution padded by 1; by XLA's own one wherever it is not run on a CPU."""
    return jax.lax.platform_dependent(
        image,
        kernel,
        cpu=partial(_on_a_cpu, stride=stride),
        default=lambda x, taps: as_one_convolution(x, taps, stride=stride),
    )


def _on_a_cpu(image: Array, kernel: Array, *, stride: tuple[int, int]) -> Array:
    tiny = max(image.shape[1:3]) <= LARGEST
    return (as_one_product if tiny else as_patches)(image, kernel, stride=stride)


def as_patches(
    image: Float[Array, "n h w c"],
    kernel: Float[Array, "3 3 c k"],
    *,
    stride: tuple[int, int],
) -> Float[Array, "n i j k"]:
    """The same, what each output pixel sees side by side in one row of a product."""
    n, height, width, inputs = image.shape
    padded = jnp.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0)))
    seen = [
        padded[:, row : row + height : stride[0], column : column + width : stride[1]]
        for row, column in product(range(3), range(3))
    ]
    rows = jnp.concatenate(seen, -1)
    found = rows.reshape(-1, 9 * inputs) @ kernel.reshape(9 * inputs, -1)
    return found.reshape(n, *rows.shape[1:3], -1)


def as_one_product(
    image: Float[Array, "n h w c"],
    kernel: Float[Array, "3 3 c k"],
    *,
    stride: tuple[int, int],
) -> Float[Array, "n i j k"]:
    """The same, all pixels of an image side by side in one row of a matrix product."""
    n, height, width, inputs = image.shape
    out = [-(-size // step) for size, step in zip((height, width), stride, strict=True)]
    taps = [
        np.arange(size)[:, None] - step * np.arange(reached) + 1
        for size, step, reached in zip((height, width), stride, out, strict=True)
    ]
    places = taps[0][:, None, :, None], taps[1][None, :, None, :]
    placed = kernel.at[places].get(
        mode="promise_in_bounds", wrap_negative_indices=False
    )
    matrix = placed.transpose(0, 1, 4, 2, 3, 5)
    rows = image.reshape(n, height * width * inputs)
    columns = matrix.reshape(rows.shape[1], -1)
    return (rows @ columns).reshape(n, *out, kernel.shape[-1])
