"""Turns about the middle, black outside."""

import jax.numpy as jnp

from ultrasound_jax.augment.primitives import Amount, Matrix
from ultrasound_jax.augment.primitives._affine import affine

RANGES = {
    "trivial": lambda m, draw: 30.0 * m * draw.sign,
    "trivial_wide": lambda m, draw: 135.0 * m * draw.sign,
}


def matrix(amount: Amount, shape: tuple[int, int]) -> Matrix:
    """The amount is the angle in degrees, counterclockwise as Pillow counts it."""
    cosine, sine = jnp.cos(jnp.deg2rad(amount[0])), jnp.sin(jnp.deg2rad(amount[0]))
    return affine((cosine, sine, 0.0), (-sine, cosine, 0.0))
