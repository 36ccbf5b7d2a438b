"""White noise of a deviation of 0.1, whose mean rises with the magnitude."""

import jax.numpy as jnp

from ultrasound_jax.augment.primitives import Amount, Frames, Scene

DEVIATION = 0.1
RANGES = {"fast": lambda m, draw: 0.2 * m, "published": lambda m, draw: 0.2 * m}


def paint(frames: Frames, scene: Scene, amount: Amount) -> Frames:
    """The amount is the noise's mean: as published, it brightens."""
    return jnp.clip(frames + amount[0] + DEVIATION * scene.white(), 0.0, 1.0)
