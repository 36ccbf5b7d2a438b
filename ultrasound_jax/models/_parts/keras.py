"""Starting values as Keras draws them."""

import jax.numpy as jnp
from flax import nnx

from ultrasound_jax.models._parts.given import Given
from ultrasound_jax.models._parts.initialisers import glorot_uniform
from ultrasound_jax.models._parts.layers import Conv, Linear, PointwiseConv


def start_as_keras(layer: Conv | Linear | PointwiseConv, given: Given) -> None:
    """Glorot's uniform weights, and no bias."""
    shape = layer.kernel.shape
    layer.kernel = nnx.Param(glorot_uniform(given.rngs.params(), shape, jnp.float32))
    layer.bias = nnx.Param(jnp.zeros(shape[-1]))
