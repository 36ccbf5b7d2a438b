"""Norms of each image by itself: of all channels, of groups of them, or of each."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from ultrasound_jax.models._parts.checks import require
from ultrasound_jax.models._parts.layers import Layout, widened

EPSILON = 1e-5


class GroupNorm(nnx.Module):
    """Group norm (Wu and He, ECCV 2018) as PyTorch does it, in float32.

    With as many `groups` as `features` it is instance norm. The variance is taken in
    two passes: in one it cancels far from zero.
    """

    def __init__(
        self,
        features: int,
        groups: int,
        *,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs | None = None,
    ):
        del rngs  # nothing is drawn
        require(features % groups == 0, "groups", groups, f"a divisor of {features}")
        self.scale = nnx.Param(jnp.ones(features))
        self.bias = nnx.Param(jnp.zeros(features))
        self.groups, self.dtype = groups, dtype

    def torch_layout(self) -> dict[str, Layout]:
        """The scale has another name there."""
        return {"scale": Layout("weight", self.scale.shape, np.asarray)}

    def __call__(self, image: Float[Array, "n *space c"]) -> Float[Array, "n *space c"]:
        """Each group of each image with mean 0 and variance 1, then scaled."""
        wide = widened(image)
        centred = wide - self._grouped(wide)
        variance = self._grouped(jnp.square(centred))
        gain = jax.lax.rsqrt(variance + EPSILON) * self.scale[...]
        return (centred * gain + self.bias[...]).astype(self.dtype)

    def _grouped(self, x: Float[Array, "n *space c"]) -> Float[Array, "n *one c"]:
        """The mean over space and group, for each channel."""
        means = x.mean(tuple(range(1, x.ndim - 1)), keepdims=True)
        if self.groups == means.shape[-1]:
            return means
        apart = means.reshape(*means.shape[:-1], self.groups, -1)
        whole = jnp.broadcast_to(apart.mean(-1, keepdims=True), apart.shape)
        return whole.reshape(means.shape)
