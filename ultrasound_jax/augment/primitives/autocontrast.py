"""Stretches the levels to the whole range, as Pillow's `ImageOps.autocontrast`."""

import jax.numpy as jnp

from ultrasound_jax.augment.primitives import Amount, Counts, Table
from ultrasound_jax.augment.primitives._levels import LEVELS

RANGES = {
    "fast": lambda m, draw: jnp.floor(49 * m),
    "published": lambda m, draw: jnp.floor(49 * m),
    "trivial": lambda m, draw: 0.0,
    "trivial_wide": lambda m, draw: 0.0,
}


def table(counts: Counts, amount: Amount) -> Table:
    """The amount is the percentage that is cut off at both ends."""
    total = counts.sum(axis=1, keepdims=True)
    cut = jnp.floor(total * amount[0] / 100)
    # What is left of each end when so many pixels are taken from it.
    below = jnp.cumsum(counts, axis=1)
    above = total - below + counts
    low = jnp.argmax(below > cut, axis=1)[:, None].astype(jnp.float32)
    high = 255.0 - jnp.argmax((above > cut)[:, ::-1], axis=1)[:, None]
    stretched = jnp.floor((LEVELS - low) * 255.0 / jnp.maximum(high - low, 1.0))
    stretched = jnp.clip(stretched, 0.0, 255.0)
    return jnp.where(high <= low, LEVELS, stretched)
