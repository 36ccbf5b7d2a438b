"""Images of twice the size: each pixel repeated, or straight lines between pixels.

The lines are sums of shifts, of which XLA makes one pass; its own `resize` is two
matrix products with mostly zeros.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def repeated(image: Float[Array, "b h w c"]) -> Float[Array, "b 2*h 2*w c"]:
    """Each pixel four times."""
    return image.repeat(2, axis=1).repeat(2, axis=2)


def doubled(image: Float[Array, "b h w c"]) -> Float[Array, "b 2*h 2*w c"]:
    """Bilinear, of half-pixel centres: a new pixel is 3/4 of one and 1/4 of the next.

    Beyond the border lies what is at the border, as in PyTorch.
    """
    for axis in (1, 2):
        first, last = (
            jax.lax.slice_in_dim(image, begin, begin + 1, axis=axis)
            for begin in (0, image.shape[axis] - 1)
        )
        before = [first, jax.lax.slice_in_dim(image, 0, -1, axis=axis)]
        behind = [jax.lax.slice_in_dim(image, 1, None, axis=axis), last]
        pair = [
            0.75 * image + 0.25 * jnp.concatenate(beside, axis)
            for beside in (before, behind)
        ]
        shape = [*image.shape]
        shape[axis] *= 2
        image = jnp.stack(pair, axis + 1).reshape(shape)
    return image


def resized(
    image: Float[Array, "b h w c"], like: tuple[int, ...]
) -> Float[Array, "b i j c"]:
    """Bilinear to these (height, width), not smoothed, as PyTorch has it."""
    shape = (len(image), *like, image.shape[-1])
    return jax.image.resize(image, shape, "bilinear", antialias=False)
