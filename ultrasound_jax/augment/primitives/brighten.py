"""Multiplies the levels, as Pillow's `ImageEnhance.Brightness`."""

import jax.numpy as jnp

from ultrasound_jax.augment.primitives import Amount, Counts, Table
from ultrasound_jax.augment.primitives._levels import LEVELS, blend, every_channel

RANGES = {
    "fast": lambda m, draw: 10 * m,
    "published": lambda m, draw: 10 * m,
    "trivial": lambda m, draw: 1 + 0.9 * m * draw.sign,
    "trivial_wide": lambda m, draw: 1 + 0.99 * m * draw.sign,
}


def table(counts: Counts, amount: Amount) -> Table:
    """The amount is the factor: 1 changes nothing, 0 is black."""
    return every_channel(blend(jnp.zeros_like(LEVELS), amount[0]), counts)
