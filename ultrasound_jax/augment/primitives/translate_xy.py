"""Shifts both ways by whole pixels, black outside; at the most nothing is left."""

import jax.numpy as jnp

from ultrasound_jax.augment.primitives import Amount, Matrix
from ultrasound_jax.augment.primitives._affine import affine

RANGES = {
    "fast": lambda m, draw: (m * draw.first, m * draw.second),
    "published": lambda m, draw: (m * draw.first, m * draw.second),
}


def matrix(amount: Amount, shape: tuple[int, int]) -> Matrix:
    """The amounts are the shares of the height and of the width."""
    down, right = (jnp.round(amount[axis] * shape[axis]) for axis in (0, 1))
    return affine((1.0, 0.0, down), (0.0, 1.0, right))
