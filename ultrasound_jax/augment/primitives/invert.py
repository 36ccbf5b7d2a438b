"""White becomes black, whatever the magnitude."""

from ultrasound_jax.augment.primitives import Amount, Counts, Table
from ultrasound_jax.augment.primitives._levels import LEVELS, every_channel

RANGES = {"fast": lambda m, draw: 0.0, "published": lambda m, draw: 0.0}


def table(counts: Counts, amount: Amount) -> Table:
    """There is no amount."""
    return every_channel(255.0 - LEVELS, counts)
