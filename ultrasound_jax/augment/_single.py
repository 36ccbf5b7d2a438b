"""One primitive as an operation of its own: what its name in `config.augment` means."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from ultrasound_jax.augment import (
    Fields,
    Number,
    Operation,
    Roles,
    _mixture,
    _ranges,
    _rows,
    primitives,
)


def maker(name: str) -> Callable[..., Operation]:
    """The `make` of a primitive."""

    def make(
        *, magnitude: Number, probability: Number = 1.0, ranges: str = ""
    ) -> Operation:
        """With `probability`, the primitive with this magnitude, from 0 to 1.

        `ranges` is the set of `primitives.SETS` that says what the magnitude means; by
        default the first that the primitive is in.
        """
        _ranges.number("magnitude", magnitude, 0.0, 1.0)
        probability = _ranges.number("probability", probability, 0.0, 1.0)
        found = (primitives.find(name, [ranges] if ranges else []),)

        def operation(fields: Fields, roles: Roles, key: PRNGKeyArray) -> Fields:
            rows = _rows.count(fields, roles)
            if probability == 0 or not rows:
                return fields
            chance_key, own = jax.random.split(key)
            there = jax.random.bernoulli(chance_key, probability, (rows, 1))
            chosen = _mixture.Chosen(
                jnp.where(there, 0, _mixture.NOTHING),
                jnp.full((rows, 1), magnitude, jnp.float32),
            )
            keys = jax.random.split(own, rows)
            return _mixture.apply(fields, roles, keys, found, chosen)

        return operation

    return make
