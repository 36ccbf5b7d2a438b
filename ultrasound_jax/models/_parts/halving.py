"""A pool of 2x2 pixels whose gradient goes to one of them."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def halved(image: Float[Array, "b h w c"]) -> Float[Array, "b i j c"]:
    """The largest of each 2x2 window; an odd last row or column is dropped.

    The gradient goes to one of the four, the first where they are equal, as in PyTorch.
    That of `jnp.max` asks again which of them equals the largest: where XLA computes
    them a second time with other rounding none does, and the gradient is 0 / 0.
    """
    height, width = (side // 2 * 2 for side in image.shape[1:3])
    rows = _larger(image[:, 0:height:2], image[:, 1:height:2])
    return _larger(rows[:, :, 0:width:2], rows[:, :, 1:width:2])


def _larger(
    one: Float[Array, "b h w c"], other: Float[Array, "b h w c"]
) -> Float[Array, "b h w c"]:
    return jnp.where(one >= other, one, other)
