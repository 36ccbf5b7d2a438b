"""Speckle: multiplies by grains of two to three pixels, as interference does."""

import jax.numpy as jnp

from ultrasound_jax.augment.primitives import Amount, Frames, Scene

RANGES = {"ultrasound": lambda m, draw: 0.6 * m}


def paint(frames: Frames, scene: Scene, amount: Amount) -> Frames:
    """The amount is the deviation of the factor, which is 1 on the average."""
    fan = scene.fan()
    white = jnp.pad(scene.white()[..., 0], 1, mode="wrap")
    rows = white[:-2] + 2 * white[1:-1] + white[2:]
    grains = (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 6  # deviation 1
    return fan.painted(frames, frames * fan.field(1 + amount[0] * grains))
