"""Slants columns against each other, about the middle, black outside."""

from ultrasound_jax.augment.primitives import Amount, Matrix
from ultrasound_jax.augment.primitives._affine import affine

RANGES = {
    "trivial": lambda m, draw: 0.3 * m * draw.sign,
    "trivial_wide": lambda m, draw: 0.99 * m * draw.sign,
}


def matrix(amount: Amount, shape: tuple[int, int]) -> Matrix:
    """The amount is the tangent of the angle: rows a column."""
    return affine((1.0, amount[0], 0.0), (0.0, 1.0, 0.0))
