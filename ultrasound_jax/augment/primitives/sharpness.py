"""Sharpens or blurs, as Pillow's `ImageEnhance.Sharpness`."""

import jax.numpy as jnp

from ultrasound_jax.augment.primitives import Amount, Frames, Scene
from ultrasound_jax.augment.primitives.brighten import RANGES as RANGES

MIDDLE, OTHERS = 5.0, 1.0  # Pillow's SMOOTH, 3 x 3


def paint(frames: Frames, scene: Scene, amount: Amount) -> Frames:
    """The amount is the factor: 1 changes nothing, 0 is the blurred picture."""
    smooth = smoothed(frames)
    return jnp.clip(smooth + amount[0] * (frames - smooth), 0.0, 1.0)


def smoothed(frames: Frames) -> Frames:
    """Frames through Pillow's SMOOTH; the outermost pixels stay as they are."""
    height, width = frames.shape[1:3]
    if height < 3 or width < 3:
        return frames
    rows = frames[:, :-2] + frames[:, 1:-1] + frames[:, 2:]
    boxes = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
    inner = frames[:, 1:-1, 1:-1]
    found = (OTHERS * boxes + (MIDDLE - OTHERS) * inner) / (MIDDLE + 8 * OTHERS)
    return frames.at[:, 1:-1, 1:-1].set(found)
