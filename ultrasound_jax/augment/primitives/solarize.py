"""Inverts what is as bright as a limit or brighter."""

import jax.numpy as jnp

from ultrasound_jax.augment.primitives import Amount, Counts, Table
from ultrasound_jax.augment.primitives._levels import LEVELS, every_channel

RANGES = {
    name: lambda m, draw: 255.0 * (1 - m)
    for name in ("fast", "published", "trivial", "trivial_wide")
}


def table(counts: Counts, amount: Amount) -> Table:
    """The amount is the limit, a level."""
    return every_channel(jnp.where(LEVELS >= amount[0], 255.0 - LEVELS, LEVELS), counts)
