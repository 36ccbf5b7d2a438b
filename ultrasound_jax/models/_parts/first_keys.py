"""Random keys for a network's constructor, counted without the compiler.

Flax counts the keys it draws in an array. While a constructor is traced that array is a
tracer, and at every key Flax asks it for its sharding, which makes JAX walk through all
operations so far for the text of an error that Flax then drops: for DenseNet-121 that
is three quarters of the tracing, and it grows with the square of the layers.
"""

from typing import Any

import jax
import numpy as np
from flax import nnx


class _Stream(nnx.RngStream):
    """Draws the keys that Flax's own stream draws."""

    def __init__(self, key: jax.Array | int, *, tag: str) -> None:
        super().__init__(key, tag=tag)
        self.drawn = 0

    def __call__(self) -> jax.Array:
        key = jax.random.fold_in(self.key.get_value(), np.uint32(self.drawn))
        self.drawn += 1
        return key

    def fork(self, *, split: int | tuple[int, ...] | None = None) -> nnx.RngStream:
        """One that a module keeps and draws from at every call: Flax's own."""
        key = self() if split is None else jax.random.split(self(), split)
        return nnx.RngStream(key, tag=self.tag)


def first_keys(seed: jax.Array | int) -> nnx.Rngs:
    """What `nnx.Rngs(seed)` gives, key for key, for constructors that are traced."""
    keys: Any = nnx.Rngs(seed)
    keys.default = _Stream(seed, tag="default")
    return keys
