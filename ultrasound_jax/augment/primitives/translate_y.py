"""Shifts up or down by whole pixels, black outside."""

import jax.numpy as jnp

from ultrasound_jax.augment.primitives import Amount, Matrix
from ultrasound_jax.augment.primitives._affine import affine
from ultrasound_jax.augment.primitives.translate_x import RANGES as RANGES


def matrix(amount: Amount, shape: tuple[int, int]) -> Matrix:
    """The amount is the share of the height."""
    return affine((1.0, 0.0, jnp.round(amount[0] * shape[0])), (0.0, 1.0, 0.0))
