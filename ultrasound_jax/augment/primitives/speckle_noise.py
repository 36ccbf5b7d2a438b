"""Noise in proportion to the pixel; as published it wraps round modulo 256."""

import jax.numpy as jnp

from ultrasound_jax.augment.primitives import Amount, Frames, Scene

RANGES = {
    "fast": lambda m, draw: (0.5 * m, 0.0),
    "published": lambda m, draw: (0.5 * m, 1.0),
}


def paint(frames: Frames, scene: Scene, amount: Amount) -> Frames:
    """The amounts are the noise's deviation at white, and 1 for bytes that wrap."""
    noisy = frames * (1 + amount[0] * scene.white())
    wrapped = jnp.mod(jnp.trunc(noisy * 255), 256) / 255
    return jnp.where(amount[1] > 0, wrapped, jnp.clip(noisy, 0.0, 1.0))
