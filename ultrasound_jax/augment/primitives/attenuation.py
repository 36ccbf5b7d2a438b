"""Darkens with depth, as fat or a high frequency does."""

import jax.numpy as jnp

from ultrasound_jax.augment.primitives import Amount, Frames, Scene

RANGES = {"ultrasound": lambda m, draw: 2.5 * m}


def paint(frames: Frames, scene: Scene, amount: Amount) -> Frames:
    """The amount is the exponent: the far end keeps e^-amount of its brightness."""
    fan = scene.fan()
    return fan.painted(frames, frames * fan.field(jnp.exp(-amount[0] * fan.depth)))
