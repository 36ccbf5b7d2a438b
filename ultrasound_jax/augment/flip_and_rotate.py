"""Mirrors left-right and turns about the middle (LUV-Net, section 2)."""

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from ultrasound_jax.augment import Fields, Number, Operation, Roles, _ranges, _sampling

EXAMPLE = {"flip": 0.5, "rotate": 0.5, "degrees": 10.0}


def make(*, flip: Number, rotate: Number, degrees: Number) -> Operation:
    """Mirrors with probability `flip`, then turns with probability `rotate`.

    The angle is uniform in [-degrees, degrees] about the middle of the frame, black
    outside. Values keep their scale: the original turned them into fractions and
    divided by 255 once more, which blackened half of the clips it trained on. Both
    moves are one resampling, so an unturned example is copied exactly.
    """
    flip = _ranges.number("flip", flip, 0.0, 1.0)
    rotate = _ranges.number("rotate", rotate, 0.0, 1.0)
    degrees = _ranges.number("degrees", degrees)

    def places(key: PRNGKeyArray, height: int, width: int) -> _sampling.Places:
        flip_key, rotate_key, angle_key = jax.random.split(key, 3)
        mirrored = jax.random.bernoulli(flip_key, flip)
        turned = jax.random.bernoulli(rotate_key, rotate)
        angle = jax.random.uniform(angle_key, minval=-degrees, maxval=degrees)
        angle = jnp.deg2rad(jnp.where(turned, angle, 0.0))
        middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
        y, x = jnp.meshgrid(
            jnp.arange(height) - middle_y, jnp.arange(width) - middle_x, indexing="ij"
        )
        source_y = jnp.cos(angle) * y - jnp.sin(angle) * x + middle_y
        source_x = jnp.sin(angle) * y + jnp.cos(angle) * x
        source_x = jnp.where(mirrored, -source_x, source_x) + middle_x
        return source_y, source_x

    def operation(fields: Fields, roles: Roles, key: PRNGKeyArray) -> Fields:
        if flip == 0 and (rotate == 0 or degrees == 0):
            return fields
        return _sampling.move(fields, roles, key, places)

    return operation
