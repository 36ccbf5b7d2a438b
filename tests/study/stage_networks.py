"""Networks of two stages that compile in a second."""

import jax
import jax.numpy as jnp
from flax import nnx

SEGMENT, CLASSIFY = f"{__name__}:Dark", f"{__name__}:Means"
CELLS = 4  # a side


class Dark(nnx.Module):
    """Marks what is darker than a limit that is trained, on the upper half."""

    def __init__(self, given):
        del given
        self.limit = nnx.Param(jnp.full((1,), 0.2, jnp.float32))

    def __call__(self, image, *, rngs=None):
        del rngs
        grey = image.mean(axis=-1, keepdims=True)
        logits = 20 * (self.limit[...] - grey) - 50 * (grey < 0.02)
        return {"logits": logits.astype(jnp.float32)}


class Means(nnx.Module):
    """A linear layer on the means of sixteen cells."""

    def __init__(self, given):
        self.layer = nnx.Linear(CELLS**2, given.outputs, rngs=given.rngs)

    def __call__(self, image, *, rngs=None):
        del rngs
        grey = image.mean(axis=-1, keepdims=True)
        shape = (len(grey), CELLS, CELLS, 1)
        cells = jax.image.resize(grey, shape, "linear").reshape(len(grey), -1)
        return {"logits": self.layer(cells).astype(jnp.float32)}
