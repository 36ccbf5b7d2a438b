"""A sector without echoes behind something hard, such as a rib or a calcification."""

import jax
import jax.numpy as jnp

from ultrasound_jax.augment.primitives import Amount, Frames, Scene

NARROWEST, WIDEST = 0.06, 0.25  # half widths, where the fan's is 1
DEEPEST = 0.6  # that it begins at
EDGE = 0.05  # over which it fades
RANGES = {"ultrasound": lambda m, draw: (m, draw.first)}


def paint(frames: Frames, scene: Scene, amount: Amount) -> Frames:
    """The amounts are the share of light that it takes, and where across the fan."""
    fan = scene.fan()
    width, start = jax.random.uniform(scene.key, (2,))
    half = NARROWEST + (WIDEST - NARROWEST) * width
    across = jax.nn.sigmoid((half - jnp.abs(fan.aside - amount[1])) / (EDGE / 4))
    along = jax.nn.sigmoid((fan.depth - DEEPEST * start) / (EDGE / 4))
    kept = 1 - amount[0] * across * along
    return fan.painted(frames, frames * fan.field(kept))
