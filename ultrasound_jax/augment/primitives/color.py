"""More or less colour, as Pillow's `ImageEnhance.Color`; nothing on grey pictures."""

import jax.numpy as jnp

from ultrasound_jax.augment.primitives import Amount, Frames, Scene
from ultrasound_jax.augment.primitives._levels import LUMA

RANGES = {
    "trivial": lambda m, draw: 1 + 0.9 * m * draw.sign,
    "trivial_wide": lambda m, draw: 1 + 0.99 * m * draw.sign,
}


def paint(frames: Frames, scene: Scene, amount: Amount) -> Frames:
    """The amount is the factor: 1 changes nothing, 0 leaves grey."""
    if frames.shape[-1] != 3:
        return frames
    grey = frames @ (jnp.asarray(LUMA, jnp.float32) / 65536)
    grey = grey[..., None]
    return jnp.clip(grey + amount[0] * (frames - grey), 0.0, 1.0)
