"""Attention with pooled queries, keys and values, the heart of both MViTs."""

from collections.abc import Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from ultrasound_jax.models._parts.depthwise import depthwise_conv
from ultrasound_jax.models._parts.initialisers import (
    draw,
    torch_uniform,
)
from ultrasound_jax.models._parts.layers import (
    Conv,
    LayerNorm,
)
from ultrasound_jax.models._parts.multi_head import (
    attend,
    attention_weights,
)
from ultrasound_jax.models._parts.padding import blank_padding
from ultrasound_jax.models._parts.relative_positions import (
    key_features,
    query_features,
)
from ultrasound_jax.models._parts.torch_names import Names

EPSILON = 1e-6  # of the layer norms
Sides = tuple[int, int]


def small_normal(key: Array, shape: Sequence[int], dtype: DTypeLike) -> Array:
    """Normal with deviation 0.02, as MViT's linear and position parameters start."""
    return (0.02 * draw(jax.random.normal, key, shape)).astype(dtype)


def small_param(rngs: nnx.Rngs, *shape: int) -> nnx.Param:
    """A parameter that starts so."""
    return nnx.Param(small_normal(rngs.params(), shape, jnp.float32))


class TokenLinear(nnx.Linear):
    """A linear layer that starts small and normal, its bias at zero."""

    def __init__(self, inputs: int, outputs: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        super().__init__(
            inputs, outputs, kernel_init=small_normal, dtype=dtype, rngs=rngs
        )


def apart(
    x: Float[Array, "b n *heads d"], sides: Sides
) -> tuple[Float[Array, "b 1 *heads d"], Float[Array, "b t h w *heads d"]]:
    """The class token, and the others by time, row and column."""
    return x[:, :1], x[:, 1:].reshape(x.shape[0], -1, *sides, *x.shape[2:])


def joined(
    first: Float[Array, "b 1 *heads d"], grid: Float[Array, "b t h w *heads d"]
) -> Float[Array, "b n *heads d"]:
    """The class token and the others, one after the other."""
    flat = grid.reshape(grid.shape[0], -1, *grid.shape[4:])
    return jnp.concatenate([first, flat], 1)


def pooled_sides(sides: Sides, stride: int) -> Sides:
    """Height and width after pooling with that stride."""
    return -(-sides[0] // stride), -(-sides[1] // stride)


class TokenPool(nnx.Module):
    """Pools each head's tokens with a depth-wise 3x3x3 convolution and a norm.

    All heads share its kernel. The class token is not convolved, only normalised.
    """

    TORCH_NAMES: ClassVar[Names] = (
        (r"^conv\b", "pool"),
        (r"^norm\b", "norm_act.0"),
    )

    def __init__(self, depth: int, stride: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        self.stride, self.dtype = stride, dtype
        options = {"dtype": dtype, "rngs": rngs}
        self.conv = Conv(
            depth, depth, (3, 3, 3), groups=depth, kernel_init=torch_uniform, **options
        )
        self.norm = LayerNorm(depth, epsilon=EPSILON, **options)

    def __call__(
        self,
        x: Float[Array, "b n heads d"],
        sides: Sides,
        mask: Bool[Array, "b t"] | None,
    ) -> Float[Array, "b m heads d"]:
        """The pooled tokens; none of them sees a step where `mask` is false."""
        first, grid = apart(x, sides)
        kernel = self.conv.kernel[...][..., 0, :]
        grid = depthwise_conv(blank_padding(grid, mask), kernel, stride=self.stride)
        return self.norm(joined(first, grid.astype(x.dtype)))


class PoolingAttention(nnx.Module):
    """Each token's gathering of pooled values, by its (pooled) query.

    `sides` are height and width of the tokens, `steps` the time steps that the network
    is built for. With `relative` (version 2) every query is pooled; relative positions,
    learnt for height, width and time, are added to the logits; the pooled queries are
    added to what they gathered. The class token takes no part in the last two.

    `table_rows` are the lengths of their tables for either side and for time. They are
    interpolated where the tokens need other lengths.
    """

    TORCH_NAMES: ClassVar[Names] = (
        (r"^project\b", "project.0"),
        (r"^rows$", "rel_pos_h"),
        (r"^columns$", "rel_pos_w"),
        (r"^times$", "rel_pos_t"),
    )

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        heads: int,
        query_stride: int,
        key_stride: int,
        sides: Sides,
        steps: int,
        table_rows: tuple[int, int] | None,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        self.heads, self.sides, self.steps = heads, sides, steps
        self.query_sides = pooled_sides(sides, query_stride)
        self.key_sides = pooled_sides(sides, key_stride)
        self.relative = table_rows is not None
        depth, options = outputs // heads, {"dtype": dtype, "rngs": rngs}
        self.qkv = TokenLinear(inputs, 3 * outputs, **options)
        pools = self.relative or query_stride > 1
        self.pool_q = TokenPool(depth, query_stride, **options) if pools else None
        self.pool_k = TokenPool(depth, key_stride, **options)
        self.pool_v = TokenPool(depth, key_stride, **options)
        if table_rows is not None:
            space, time = table_rows
            self.rows = small_param(rngs, space, depth)
            self.columns = small_param(rngs, space, depth)
            self.times = small_param(rngs, time, depth)
        self.project = TokenLinear(outputs, outputs, **options)

    def __call__(
        self, x: Float[Array, "b n c"], mask: Bool[Array, "b t"] | None
    ) -> tuple[Float[Array, "b m d"], Float[Array, "b t k l"]]:
        """The new tokens, and the class token's weights of the keys, its own left out.

        The weights are the heads' mean. Steps where `mask` is false are no keys.
        """
        x = self.qkv(x)
        x = x.reshape(*x.shape[:2], 3, self.heads, -1)
        query, key, value = x[:, :, 0], x[:, :, 1], x[:, :, 2]
        if self.pool_q is not None:
            query = self.pool_q(query, self.sides, mask)
        key = self.pool_k(key, self.sides, mask)
        value = self.pool_v(value, self.sides, mask)
        seen = None if mask is None else self._seen(mask)
        queries, keys = self._with_positions(query, key)
        mixed = attend(queries, keys, value, seen)
        if self.relative:
            mixed = mixed.at[:, 1:].add(query[:, 1:])
        weights = attention_weights(queries[:, :1], keys, seen).mean(1)
        _, weights = apart(weights.swapaxes(1, 2), self.key_sides)
        return self.project(mixed.reshape(*mixed.shape[:2], -1)), weights[..., 0]

    def _seen(self, mask: Bool[Array, "b t"]) -> Bool[Array, "b m"]:
        """Which keys are real; the class token, the first, always is."""
        height, width = self.key_sides
        return jnp.pad(
            jnp.repeat(mask, height * width, 1), ((0, 0), (1, 0)), constant_values=True
        )

    def _with_positions(
        self, query: Float[Array, "b n heads d"], key: Float[Array, "b m heads d"]
    ) -> tuple[Float[Array, "b n heads e"], Float[Array, "b m heads e"]]:
        """Scaled queries and their keys, with the features of relative positions."""
        scaled = query * query.shape[-1] ** -0.5
        if not self.relative:
            return scaled, key
        _, grid = apart(query, self.query_sides)
        keys = (grid.shape[1], *self.key_sides)
        tables = (self.rows[...], self.columns[...], self.times[...])
        places = query_features(grid, tables, keys, self.steps)
        places = joined(jnp.zeros_like(places[:, :1, 0, 0]), places)
        picks = jnp.pad(key_features(keys), ((1, 0), (0, 0))).astype(key.dtype)
        picks = jnp.broadcast_to(picks[:, None], (*key.shape[:-1], picks.shape[-1]))
        return jnp.concatenate([scaled, places], -1), jnp.concatenate([key, picks], -1)
