"""Images whose sides a network cannot halve often enough."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def filled(image: Float[Array, "b h w c"], multiple: int) -> Float[Array, "b i j c"]:
    """The image with its last row and column repeated up to a multiple."""
    rows, columns = (-side % multiple for side in image.shape[1:3])
    return jnp.pad(image, ((0, 0), (0, rows), (0, columns), (0, 0)), mode="edge")
