"""Keeps the highest bits of each level."""

import jax.numpy as jnp

from ultrasound_jax.augment.primitives import Amount, Counts, Table
from ultrasound_jax.augment.primitives._levels import LEVELS, every_channel

RANGES = {
    # As published, but one bit stays where none would leave a black picture.
    "fast": lambda m, draw: jnp.maximum(jnp.floor(8 * (1 - m)), 1.0),
    "published": lambda m, draw: jnp.floor(8 * (1 - m)),
    "trivial": lambda m, draw: 8 - jnp.round(4 * m),
    "trivial_wide": lambda m, draw: 8 - jnp.round(6 * m),
}


def table(counts: Counts, amount: Amount) -> Table:
    """The amount is the number of bits."""
    step = jnp.exp2(8 - amount[0])
    return every_channel(jnp.floor(LEVELS / step) * step, counts)
