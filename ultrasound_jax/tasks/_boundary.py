"""How far from the true boundary a network puts what it finds.

Kervadec et al. (MIDL 2019; Medical Image Analysis 2021). The distances are computed in
the step, of the mask as augmentation has left it: there is no way back to the host from
there, and none is needed (docs/segmentation.md has the time it takes).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ultrasound_jax.tasks._mask_losses import shares


def boundary(
    logits: Float[Array, "b h w j"], truth: Bool[Array, "b h w k"]
) -> Float[Array, " b"]:
    """The mean of probability times signed distance, in pixels, over the structures.

    It is least, and below 0, where a structure is found wherever it is and nowhere
    else.
    """
    return (shares(logits) * signed_distances(truth)).mean((1, 2, 3))


def signed_distances(truth: Bool[Array, "b h w k"]) -> Float[Array, "b h w k"]:
    """How many pixels each pixel is from its structure: negative inside.

    As the paper's code has it: outside, the distance to the nearest pixel of the
    structure; inside, 1 minus that to the nearest pixel outside. 0 everywhere where the
    structure is not there or fills the picture, and there is no boundary.
    """
    both = jnp.concatenate([truth, ~truth], axis=-1)
    there = both.any(axis=(1, 2), keepdims=True)
    outside, inside = jnp.split(distances(both), 2, axis=-1)
    signed = jnp.where(truth, 1.0 - inside, outside)
    exists = jnp.logical_and(*jnp.split(there, 2, axis=-1))
    return jnp.where(exists, signed, 0.0)


def distances(target: Bool[Array, "b h w k"]) -> Float[Array, "b h w k"]:
    """The distance to the nearest true pixel, infinite where there is none.

    Exact: along columns first, then the least over the columns of a row (Felzenszwalb
    and Huttenlocher 2012, without their envelope), one column a turn.
    """
    width = target.shape[2]
    row = jnp.arange(target.shape[1], dtype=jnp.float32)[None, :, None, None]
    column = jnp.arange(width, dtype=jnp.float32)[None, None, :, None]
    above = jax.lax.cummax(jnp.where(target, row, -jnp.inf), axis=1)
    below = jax.lax.cummin(jnp.where(target, row, jnp.inf), axis=1, reverse=True)
    squared = jnp.square(jnp.minimum(row - above, below - row))

    def nearer(place: Array, least: Array) -> Array:
        there = jax.lax.dynamic_slice_in_dim(squared, place, 1, axis=2)
        return jnp.minimum(least, there + jnp.square(column - place))

    least = jnp.full_like(squared, jnp.inf)
    return jnp.sqrt(jax.lax.fori_loop(0, width, nearer, least))
