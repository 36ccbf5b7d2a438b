"""The gradient of a convolution's kernel as matrix products, for CPUs.

XLA makes that gradient a convolution whose kernel is as large as the image, which on a
CPU takes up to ten times as long; experiments/conv_scan.py measures both over the
shapes of the shipped configurations.
"""

from collections.abc import Sequence
from itertools import product

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ultrasound_jax.models._parts.xla_conv import edges

# Where products were faster in experiments/conv_scan.py: the more channels a product
# has, the better it runs; the more pixels, the more has to be copied for it.
FEWEST_CHANNELS = 8
FEWEST_NUMBERS = 2048  # of an image: pixels times channels
MOST_PIXELS = 12.2  # of an image, for each channel squared


def products_gain(area: int, channels: int) -> bool:
    """Whether products beat XLA, for so many pixels of the convolved image.

    channels: the fewer of what goes in and comes out.
    """
    enough = channels >= FEWEST_CHANNELS and area * channels >= FEWEST_NUMBERS
    return enough and area < MOST_PIXELS * channels**2


def kernel_gradient(
    image: Float[Array, "n h w c"],
    cotangent: Float[Array, "n i j k"],
    kernel: Float[Array, "height width c k"],
    *,
    stride: tuple[int, int],
) -> Float[Array, "height width c k"]:
    """The gradient of a kernel of that shape and dtype, padded as `xla_conv` pads."""
    shape = kernel.shape
    padded = jnp.pad(image, ((0, 0), *edges(shape), (0, 0)))
    # Fused with what comes before, that would be computed again for every shift.
    padded, cotangent = jax.lax.optimization_barrier((padded, cotangent))
    if stride == (1, 1) and all(size % 2 for size in shape[:2]):
        found = _one_product(padded, cotangent, shape[:2])
    else:
        found = products_of_taps(padded, cotangent, shape[:2], stride=stride)
    return found.astype(kernel.dtype)


def _one_product(
    padded: Float[Array, "n H W c"],
    cotangent: Float[Array, "n h w k"],
    window: Sequence[int],
) -> Float[Array, "height width c k"]:
    """One product of all shifts: the image's by columns, the cotangent's by rows.

    A row of the image, its columns shifted and side by side, times the same row of the
    cotangent, shifted by rows: every tap is one shift of either, and none is copied
    twice.
    """
    height, width = window
    _, _, across, outputs = cotangent.shape
    columns = jnp.concatenate(
        [padded[:, :, column : column + across] for column in range(width)], -1
    )
    rows = jnp.concatenate(
        [
            jnp.pad(cotangent, ((0, 0), (row, height - 1 - row), (0, 0), (0, 0)))
            for row in range(height)
        ],
        -1,
    )
    whole = jnp.matmul(
        columns.reshape(-1, columns.shape[-1]).T,
        rows.reshape(-1, rows.shape[-1]),
        preferred_element_type=jnp.float32,
    )
    return whole.reshape(width, -1, height, outputs).transpose(2, 0, 1, 3)


def products_of_taps(
    padded: Float[Array, "n H W c"],
    cotangent: Float[Array, "n i j k"],
    window: Sequence[int],
    *,
    stride: tuple[int, int] = (1, 1),
) -> Float[Array, "height width c k"]:
    """One product a tap, of what the image was shifted to and the cotangent."""
    outputs = cotangent.shape[-1]
    right = cotangent.reshape(-1, outputs)
    reach = [
        step * (size - 1) + 1
        for size, step in zip(cotangent.shape[1:3], stride, strict=True)
    ]
    taps = [
        jnp.matmul(
            padded[
                :,
                row : row + reach[0] : stride[0],
                column : column + reach[1] : stride[1],
            ]
            .reshape(len(right), -1)
            .T,
            right,
            preferred_element_type=jnp.float32,
        )
        for row, column in product(*map(range, window))
    ]
    return jnp.stack(taps).reshape(*window, -1, outputs)
