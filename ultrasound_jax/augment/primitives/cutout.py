"""Blackens one square anywhere; masks stay, as what is there is not gone."""

import jax
import jax.numpy as jnp

from ultrasound_jax.augment.primitives import Amount, Frames, Scene

# As published: up to 210 pixels, of pictures of 224.
RANGES = {
    "fast": lambda m, draw: 210 / 224 * m,
    "published": lambda m, draw: 210 / 224 * m,
}


def paint(frames: Frames, scene: Scene, amount: Amount) -> Frames:
    """The amount is the square's side as a share of the height."""
    height, width = frames.shape[1:3]
    place = jax.random.uniform(scene.key, (2,))
    half = amount[0] * height / 2
    y = jnp.abs(jnp.arange(height) + 0.5 - place[0] * height) < half
    x = jnp.abs(jnp.arange(width) + 0.5 - place[1] * width) < half
    return jnp.where((y[:, None] & x[None, :])[None, :, :, None], 0.0, frames)
