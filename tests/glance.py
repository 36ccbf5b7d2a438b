"""A network of a few numbers, for tests that are about everything around it."""

import jax.numpy as jnp
from flax import nnx


class Glance(nnx.Module):
    """The mean of a clip's first frames, by one linear map."""

    def __init__(self, given, *, width: int = 4):
        self.hidden = nnx.Linear(1, width, rngs=given.rngs)
        self.head = nnx.Linear(width, given.outputs, rngs=given.rngs)

    def __call__(self, clip, lengths, *, rngs=None):
        seen = jnp.arange(clip.shape[1])[None, :] < lengths[:, None]
        means = clip.mean((2, 3)) * seen[:, :, None]
        x = nnx.relu(self.hidden(means.sum(1) / lengths[:, None]))
        return {"logits": self.head(x).astype(jnp.float32)}
