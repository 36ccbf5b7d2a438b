"""Turns the time-gain compensation: the far field up or down against the near one."""

import jax.numpy as jnp

from ultrasound_jax.augment.primitives import Amount, Frames, Scene

RANGES = {"ultrasound": lambda m, draw: m * draw.sign}


def paint(frames: Frames, scene: Scene, amount: Amount) -> Frames:
    """The amount is an exponent of 2: of the far end, and reversed of the near one."""
    fan = scene.fan()
    return fan.painted(
        frames, frames * fan.field(jnp.exp2(amount[0] * (2 * fan.depth - 1)))
    )
