"""Moves the levels away from the mean grey, as Pillow's `ImageEnhance.Contrast`."""

import jax.numpy as jnp

from ultrasound_jax.augment.primitives import Amount, Counts, Table
from ultrasound_jax.augment.primitives._levels import (
    LEVELS,
    blend,
    every_channel,
    mean_grey,
)
from ultrasound_jax.augment.primitives.brighten import RANGES as RANGES


def table(counts: Counts, amount: Amount) -> Table:
    """The amount is the factor: 1 changes nothing, 0 is grey."""
    grey = jnp.broadcast_to(mean_grey(counts), LEVELS.shape)
    return every_channel(blend(grey, amount[0]), counts)
