"""Multi-head attention for many tokens, a few thousand queries at a time."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ultrasound_jax.models._parts.padding import masked_softmax

# Above this many queries the weights of all of them are never held at once: block 1 of
# an MViT has 15,361 queries of 3,841 keys a clip, 472 MB of weights in float32.
QUERIES_AT_ONCE = 4096


def attention_weights(
    query: Float[Array, "b n heads d"],
    key: Float[Array, "b m heads d"],
    mask: Bool[Array, "b m"] | None,
) -> Float[Array, "b heads n m"]:
    """Softmax over the keys where `mask` is true, in float32; `query` comes scaled."""
    scores = jnp.einsum(
        "bnhd,bmhd->bhnm", query, key, preferred_element_type=jnp.float32
    )
    return masked_softmax(scores, mask)


def attend(
    query: Float[Array, "b n heads d"],
    key: Float[Array, "b m heads d"],
    value: Float[Array, "b m heads e"],
    mask: Bool[Array, "b m"] | None = None,
) -> Float[Array, "b n heads e"]:
    """The values, weighted by how well each query fits the keys; `query` comes scaled.

    Keys where `mask` is false get no weight. Many queries are taken in turns, and their
    weights are computed again for the gradient.
    """
    batch, queries, heads, depth = query.shape
    turns = -(-queries // QUERIES_AT_ONCE)
    if turns == 1:
        return _mix(query, key, value, mask)
    size = -(-queries // turns)
    filled = jnp.pad(query, ((0, 0), (0, turns * size - queries), (0, 0), (0, 0)))
    dealt = filled.reshape(batch, turns, size, heads, depth).swapaxes(0, 1)
    mixed = jax.lax.map(
        jax.checkpoint(lambda part: _mix(part, key, value, mask)), dealt
    )
    return mixed.swapaxes(0, 1).reshape(batch, turns * size, heads, -1)[:, :queries]


def _mix(
    query: Float[Array, "b n heads d"],
    key: Float[Array, "b m heads d"],
    value: Float[Array, "b m heads e"],
    mask: Bool[Array, "b m"] | None,
) -> Float[Array, "b n heads e"]:
    weights = attention_weights(query, key, mask).astype(value.dtype)
    return jnp.einsum("bhnm,bmhe->bnhe", weights, value)
