"""Which frames of a clip are real, and sums over time that heed it.

A mask of None stands for clips without padding and costs nothing. Whatever lies beyond
a clip's length, NaN included, reaches neither values nor gradients.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


def real_frames(
    lengths: Int[Array, " b"] | None, frames: int
) -> Bool[Array, "b t"] | None:
    """True where a frame belongs to its clip; None, which costs nothing, if all do."""
    if lengths is None:
        return None
    return jnp.arange(frames) < lengths[:, None]


def frame_mean(
    frames: Float[Array, "b t d"], mask: Bool[Array, "b t"] | None
) -> Float[Array, "b d"]:
    """The mean over the real frames, in float32; zero for a clip without any."""
    frames = frames.astype(jnp.float32)
    if mask is None:
        return frames.mean(1)
    total = jnp.where(mask[..., None], frames, 0.0).sum(1)
    return total / jnp.maximum(mask.sum(1, keepdims=True), 1)


def blank_padding(
    frames: Float[Array, "b t *rest"], mask: Bool[Array, "b t"] | None
) -> Float[Array, "b t *rest"]:
    """Zeros in place of whatever lies beyond a clip's length, NaN included."""
    if mask is None:
        return frames
    where = mask.reshape(mask.shape + (1,) * (frames.ndim - 2))
    return jnp.where(where, frames, jnp.zeros((), frames.dtype))


def frame_max(
    frames: Float[Array, "b t p"], mask: Bool[Array, "b t"] | None
) -> Float[Array, "b p"]:
    """The largest over the real frames; zero for a clip without any."""
    if mask is None:
        return frames.max(1)
    frames = jnp.where(mask[..., None], frames, jnp.finfo(frames.dtype).min)
    return jnp.where(mask.any(1, keepdims=True), frames.max(1), 0.0)


def masked_softmax(
    scores: Float[Array, "b p heads t"], mask: Bool[Array, "b t"] | None
) -> Float[Array, "b p heads t"]:
    """Softmax over the frames where `mask` is true; all zeros where none is."""
    if mask is None:
        return jax.nn.softmax(scores)
    where = mask[:, None, None, :]
    # The smallest float stands for -inf: a row of nothing else stays free of NaN.
    scores = jnp.where(where, scores, jnp.finfo(scores.dtype).min)
    top = jax.lax.stop_gradient(scores.max(-1, keepdims=True))
    weights = jnp.where(where, jnp.exp(scores - top), 0.0)
    total = weights.sum(-1, keepdims=True)
    return weights / jnp.where(total > 0, total, 1.0)
