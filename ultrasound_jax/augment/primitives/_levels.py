"""How tones are written: a table of the 256 levels, as Pillow's `Image.point` has it.

Results are whole levels: what Pillow makes of bytes, to the level.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from ultrasound_jax.augment.primitives import Counts, Table

LEVELS = jnp.arange(256, dtype=jnp.float32)
LUMA = (19595, 38470, 7471)  # of 65536: Pillow's grey of red, green and blue


def every_channel(levels: Float[Array, " 256"], counts: Counts) -> Table:
    """The same table for each channel."""
    return jnp.broadcast_to(levels, counts.shape)


def blend(base: Float[Array, "..."], factor: Float[Array, ""]) -> Float[Array, "..."]:
    """`base + factor * (levels - base)` as bytes: clipped, fractions cut off."""
    return jnp.floor(jnp.clip(base + factor * (LEVELS - base), 0.0, 255.0))


def mean_grey(counts: Counts) -> Float[Array, ""]:
    """The mean level of the grey picture, as a whole number."""
    means = (counts * LEVELS).sum(axis=1) / counts.sum(axis=1)
    if len(counts) == 3:
        means = means * jnp.asarray(LUMA, jnp.float32) * (3 / 65536)
    return jnp.floor(means.mean() + 0.5)
