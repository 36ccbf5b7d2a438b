"""Slants rows against each other, about the middle, black outside."""

import jax.numpy as jnp

from ultrasound_jax.augment.primitives import Amount, Matrix
from ultrasound_jax.augment.primitives._affine import affine

STEEPEST = 45.0  # degrees, where any angle up to 360 would leave nothing near 90
RANGES = {
    "fast": lambda m, draw: jnp.tan(jnp.deg2rad(STEEPEST * m * draw.first)),
    "published": lambda m, draw: jnp.tan(jnp.deg2rad(360.0 * m * draw.first)),
    "trivial": lambda m, draw: 0.3 * m * draw.sign,
    "trivial_wide": lambda m, draw: 0.99 * m * draw.sign,
}


def matrix(amount: Amount, shape: tuple[int, int]) -> Matrix:
    """The amount is the tangent of the angle: columns a row."""
    return affine((1.0, 0.0, 0.0), (amount[0], 1.0, 0.0))
