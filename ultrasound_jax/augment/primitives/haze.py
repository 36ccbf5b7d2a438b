"""A veil of reverberations that is thickest near the probe and uneven across it."""

import jax

from ultrasound_jax.augment.primitives import Amount, Frames, Scene

BEAMS = 16  # the veil's thickness is drawn anew so many times across the fan
BANDS = 6  # and so many times down it
RANGES = {"ultrasound": lambda m, draw: 0.6 * m}


def paint(frames: Frames, scene: Scene, amount: Amount) -> Frames:
    """The amount is the level of the veil where it is thickest."""
    fan = scene.fan()
    knots = jax.random.uniform(scene.key, (BANDS, BEAMS), minval=0.5)
    at = [fan.depth * (BANDS - 1), (fan.aside + 1) / 2 * (BEAMS - 1)]
    uneven = jax.scipy.ndimage.map_coordinates(knots, at, order=1, mode="nearest")
    veil = fan.field(amount[0] * (1 - fan.depth) ** 2 * uneven)
    return fan.painted(frames, frames + veil * (1 - frames))
