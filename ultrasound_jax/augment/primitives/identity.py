"""Nothing: TrivialAugment leaves an example as it is as often as anything else."""

from ultrasound_jax.augment.primitives import Amount, Matrix
from ultrasound_jax.augment.primitives._affine import affine

RANGES = {"trivial": lambda m, draw: 0.0, "trivial_wide": lambda m, draw: 0.0}


def matrix(amount: Amount, shape: tuple[int, int]) -> Matrix:
    """There is no amount."""
    return affine((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
