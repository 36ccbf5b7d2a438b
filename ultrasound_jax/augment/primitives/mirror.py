"""Swaps left and right, whatever the magnitude."""

from ultrasound_jax.augment.primitives import Amount, Matrix
from ultrasound_jax.augment.primitives._affine import affine

RANGES = {"fast": lambda m, draw: 0.0, "published": lambda m, draw: 0.0}


def matrix(amount: Amount, shape: tuple[int, int]) -> Matrix:
    """There is no amount."""
    return affine((1.0, 0.0, 0.0), (0.0, -1.0, 0.0))
