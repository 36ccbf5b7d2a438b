"""Makes all levels equally frequent in each channel, as Pillow's `ImageOps.equalize`.

Of a clip the frames together are equalised, each frame counting as one picture does.
"""

import jax.numpy as jnp

from ultrasound_jax.augment.primitives import Amount, Counts, Table
from ultrasound_jax.augment.primitives._levels import LEVELS

RANGES = {
    name: lambda m, draw: 0.0
    for name in ("fast", "published", "trivial", "trivial_wide")
}


def table(counts: Counts, amount: Amount) -> Table:
    """There is no amount."""
    last = 255 - jnp.argmax(counts[:, ::-1] > 0, axis=1)[:, None]
    of_last = jnp.take_along_axis(counts, last, axis=1)
    step = jnp.floor((counts.sum(axis=1, keepdims=True) - of_last) / 255)
    before = jnp.cumsum(counts, axis=1) - counts
    equal = (jnp.floor(step / 2) + before) / jnp.maximum(step, 1.0)
    levels = jnp.clip(jnp.floor(equal), 0.0, 255.0)
    return jnp.where(
        (step == 0) | ((counts > 0).sum(1, keepdims=True) < 2), LEVELS, levels
    )
