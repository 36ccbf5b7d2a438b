"""Multiplies and shifts the grey values of pixels."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ultrasound_jax.augment import Fields, Number, Operation, Roles, _ranges

EXAMPLE = {"probability": 0.5, "gain": 0.2, "shift": 0.1}


def make(*, gain: Number, shift: Number, probability: Number = 1.0) -> Operation:
    """With `probability` pixels become `pixels * a + b`, clipped to [0, 1].

    `a` is uniform in [1 - gain, 1 + gain], `b` in [-shift, shift]. On log-compressed
    ultrasound the one is the scanner's dynamic range, the other its gain.
    """
    probability = _ranges.number("probability", probability, 0.0, 1.0)
    gain = _ranges.number("gain", gain, 0.0, 1.0)
    shift = _ranges.number("shift", shift, 0.0, 1.0)

    def one(pixels: Float[Array, "..."], key: PRNGKeyArray) -> Float[Array, "..."]:
        chance_key, gain_key, shift_key = jax.random.split(key, 3)
        factor = jax.random.uniform(gain_key, minval=1 - gain, maxval=1 + gain)
        offset = jax.random.uniform(shift_key, minval=-shift, maxval=shift)
        changed = jnp.clip(pixels * factor + offset, 0.0, 1.0)
        return jnp.where(jax.random.bernoulli(chance_key, probability), changed, pixels)

    def operation(fields: Fields, roles: Roles, key: PRNGKeyArray) -> Fields:
        if probability == 0 or gain == shift == 0:
            return fields
        return fields | {
            name: jax.vmap(one)(array, jax.random.split(key, array.shape[0]))
            for name, array in fields.items()
            if name in roles and roles[name] == "pixels"
        }

    return operation
