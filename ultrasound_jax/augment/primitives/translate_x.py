"""Shifts sideways by whole pixels, black outside."""

import jax.numpy as jnp

from ultrasound_jax.augment.primitives import Amount, Matrix
from ultrasound_jax.augment.primitives._affine import affine

# TrivialAugment says 10 and 32 pixels, of the 224 that its ImageNet pictures have.
RANGES = {
    "trivial": lambda m, draw: 10 / 224 * m * draw.sign,
    "trivial_wide": lambda m, draw: 32 / 224 * m * draw.sign,
}


def matrix(amount: Amount, shape: tuple[int, int]) -> Matrix:
    """The amount is the share of the width."""
    return affine((1.0, 0.0, 0.0), (0.0, 1.0, jnp.round(amount[0] * shape[1])))
