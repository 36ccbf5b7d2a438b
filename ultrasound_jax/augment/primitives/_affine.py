"""How moves are written: the rows and columns that an output pixel comes from.

Places are counted from the middle of the frame, downwards and to the right, in pixels.
"""

from typing import Any

import jax.numpy as jnp

from ultrasound_jax.augment.primitives import Matrix


def affine(rows: tuple[Any, Any, Any], columns: tuple[Any, Any, Any]) -> Matrix:
    """The matrix by which `(y, x, 1)` becomes the place to sample at."""
    return jnp.stack(
        [jnp.stack([jnp.asarray(v, jnp.float32) for v in r]) for r in (rows, columns)]
    )
