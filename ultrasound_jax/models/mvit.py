"""MViT: attention whose keys and values are pooled, and whose queries shrink in steps.

Version 1: Fan et al., "Multiscale Vision Transformers", ICCV 2021. Version 2: Li et
al., "MViTv2", CVPR 2022. Both as torchvision publishes them for Kinetics, LUV-Net's
baselines; there the sizes are fixed, here `clip_shape` says them.
"""

import math
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from ultrasound_jax.models._parts.checks import require_counts, require_rates
from ultrasound_jax.models._parts.given import Given
from ultrasound_jax.models._parts.layers import (
    LayerNorm,
    Linear,
    call,
)
from ultrasound_jax.models._parts.max_pool import max_pool
from ultrasound_jax.models._parts.padding import (
    blank_padding,
    real_frames,
)
from ultrasound_jax.models._parts.patches import (
    PatchConv,
    check_fits,
    clip_shape_of,
)
from ultrasound_jax.models._parts.pooling_attention import (
    EPSILON,
    PoolingAttention,
    Sides,
    TokenLinear,
    apart,
    joined,
    pooled_sides,
    small_param,
)
from ultrasound_jax.models._parts.torch_names import Names


class BlockSize(NamedTuple):
    """One block: strides of height and width; widths are multiples of the network's."""

    heads: int
    query_stride: int
    key_stride: int
    inputs: int
    outputs: int


class Block(nnx.Module):
    """Pooling attention and an MLP of four times the width, each after its norm.

    Version 1 widens in the MLP, version 2 (`relative`) in the attention; the skipped
    path is then projected from the normalised tokens. In training either branch of a
    clip is left out with probability `drop_path`.
    """

    TORCH_NAMES: ClassVar[Names] = (
        (r"^attention\b", "attn"),
        (r"^mlp_hidden\b", "mlp.0"),
        (r"^mlp_out\b", "mlp.3"),
    )

    def __init__(
        self,
        width: int,
        size: BlockSize,
        *,
        sides: Sides,
        steps: int,
        table_rows: tuple[int, int] | None,
        drop_path: float,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        self.sides, self.stride = sides, size.query_stride
        self.widens_first = table_rows is not None
        inputs, outputs = size.inputs * width, size.outputs * width
        inner = outputs if self.widens_first else inputs
        options = {"dtype": dtype, "rngs": rngs}
        self.norm1 = LayerNorm(inputs, epsilon=EPSILON, **options)
        self.attention = PoolingAttention(
            inputs,
            inner,
            heads=size.heads,
            query_stride=size.query_stride,
            key_stride=size.key_stride,
            sides=sides,
            steps=steps,
            table_rows=table_rows,
            **options,
        )
        self.norm2 = LayerNorm(inner, epsilon=EPSILON, **options)
        self.mlp_hidden = TokenLinear(inner, 4 * inner, **options)
        self.mlp_out = TokenLinear(4 * inner, outputs, **options)
        widens = inputs != outputs
        self.project = TokenLinear(inputs, outputs, **options) if widens else None
        # One draw a clip, for all of its tokens.
        self.drop_path = nnx.Dropout(drop_path, broadcast_dims=(1, 2))

    def __call__(
        self,
        x: Float[Array, "b n c"],
        mask: Bool[Array, "b t"] | None,
        rngs: nnx.Rngs | None,
    ) -> tuple[Float[Array, "b m d"], Float[Array, "b t k l"]]:
        """The new tokens and the class token's attention to the keys."""
        normed = self.norm1(x)
        mixed, attention = self.attention(normed, mask)
        if self.project is not None and self.widens_first:
            x = self.project(normed)
        x = self._shrunk(x) + self.drop_path(mixed, rngs=rngs)
        normed = self.norm2(x)
        if self.project is not None and not self.widens_first:
            x = self.project(normed)
        hidden = jax.nn.gelu(self.mlp_hidden(normed), approximate=False)
        return x + self.drop_path(self.mlp_out(hidden), rngs=rngs), attention

    def _shrunk(self, x: Float[Array, "b n c"]) -> Float[Array, "b m c"]:
        """The skipped path, max-pooled where the queries are."""
        if self.stride == 1:
            return x
        first, grid = apart(x, self.sides)
        batch, times = grid.shape[:2]
        grid = max_pool(grid.reshape(batch * times, *grid.shape[2:]))
        return joined(first, grid.reshape(batch, times, *grid.shape[1:]))


class MViT(nnx.Module):
    """What both versions share; use `MViTv1B` and `MViTv2S`.

    `clip_shape` is the (frames, height, width) that position parameters are sized for.
    A token is 2 frames of 4x4 pixels, and its step (frames 2s-1 to 2s+1, the middle one
    counts) is real where frame 2s is. A shorter clip is allowed and equal to one padded
    to that length (torchvision would squeeze the time table into it). Frames beyond
    `lengths` change nothing: they are zeros for the first convolution, and their steps
    are zeros for every other one and no keys.

    Returns `logits` `b p` and `class_attention`, a tuple with one array `b t k l` a
    block: the class token's weights of the pooled keys, by time step (2 frames), row
    and column, as the heads' mean; they sum to one less its weight of itself. Whole
    attention matrices (61,441 x 961 in block 0) are never held.

    `dropout` is in front of the classifier; `drop_path` (stochastic depth) grows from 0
    in the first block to its value in the last. `width` is that of the first block and
    of every head. `remat` computes each block again for the gradient.
    """

    TORCH_NAMES: ClassVar[Names] = (
        (r"^patches\b", "conv_proj"),
        (r"^class_token$", "pos_encoding.class_token"),
        (r"^space_positions$", "pos_encoding.spatial_pos"),
        (r"^time_positions$", "pos_encoding.temporal_pos"),
        (r"^class_position$", "pos_encoding.class_pos"),
        (r"^classifier\b", "head.1"),
    )
    block_sizes: ClassVar[tuple[BlockSize, ...]]
    relative: ClassVar[bool]

    def __init__(
        self,
        given: Given,
        *,
        width: int = 96,
        dropout: float = 0.5,
        drop_path: float = 0.2,
    ):
        require_rates(dropout=dropout, drop_path=drop_path)
        require_counts(width=width)
        self.clip_shape = clip_shape_of(given)
        self.dtype, self.remat = given.dtype, given.remat
        self.patches = PatchConv(given, width)
        frames, height, width_pixels = self.clip_shape
        steps, sides = math.ceil(frames / 2), pooled_sides((height, width_pixels), 4)
        self.class_token = small_param(given.rngs, width)
        if not self.relative:
            self.space_positions = small_param(given.rngs, math.prod(sides), width)
            self.time_positions = small_param(given.rngs, steps, width)
            self.class_position = small_param(given.rngs, width)
        self.blocks = nnx.List(
            self._make_blocks(width, sides, steps, drop_path, given.layer)
        )
        features = self.block_sizes[-1].outputs * width
        self.norm = LayerNorm(features, epsilon=EPSILON, **given.layer)
        self.dropout = nnx.Dropout(dropout)
        self.classifier = Linear(features, given.outputs, **given.layer)

    def _make_blocks(
        self, width: int, sides: Sides, steps: int, drop_path: float, options: dict
    ) -> list[Block]:
        last = max(len(self.block_sizes) - 1, 1)
        # As torchvision sizes the tables: for the longer side, both of them, and as if
        # every stride divided it.
        longest = max(self.clip_shape[1:]) // 4
        blocks = []
        for index, size in enumerate(self.block_sizes):
            space = longest // min(size.query_stride, size.key_stride)
            time = self.clip_shape[0] // 2
            rows = (2 * max(space, 1) - 1, 2 * max(time, 1) - 1)
            block = Block(
                width,
                size,
                sides=sides,
                steps=steps,
                table_rows=rows if self.relative else None,
                drop_path=drop_path * index / last,
                **options,
            )
            blocks.append(block)
            sides = pooled_sides(sides, size.query_stride)
            longest = longest // size.query_stride
        return blocks

    def __call__(
        self,
        clip: Float[Array, "b t h w c"],
        lengths: Int[Array, " b"] | None = None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> dict[str, Array | tuple[Array, ...]]:
        """Classify; the training view needs `rngs` for its dropout."""
        check_fits(clip, self.clip_shape)
        mask = real_frames(lengths, clip.shape[1])
        grid = self.patches(blank_padding(clip, mask), mask)
        steps = None if mask is None else mask[:, ::2]
        x = self._placed(grid)
        attention = []
        for block in self.blocks:
            x, weights = call(block, x, steps, rngs, remat=self.remat)
            attention.append(weights)
        x = self.dropout(self.norm(x[:, 0]), rngs=rngs)
        return {
            "logits": self.classifier(x).astype(jnp.float32),
            "class_attention": tuple(attention),
        }

    def _placed(self, grid: Float[Array, "b t h w c"]) -> Float[Array, "b n c"]:
        """All tokens with the class token in front, and their absolute positions."""
        first = self.class_token[...]
        if not self.relative:
            times = self.time_positions[: grid.shape[1], None, None]
            space = self.space_positions[...].reshape(*grid.shape[2:])
            grid = grid + (times + space).astype(grid.dtype)
            first = first + self.class_position[...]
        shape = (grid.shape[0], 1, grid.shape[-1])
        return joined(jnp.broadcast_to(first.astype(grid.dtype), shape), grid)


class MViTv1B(MViT):
    """MViT-B: absolute positions, learnt for space and time and summed."""

    relative = False
    block_sizes = (
        BlockSize(1, 1, 8, 1, 2),
        BlockSize(2, 2, 4, 2, 2),
        BlockSize(2, 1, 4, 2, 4),
        BlockSize(4, 2, 2, 4, 4),
        *(BlockSize(4, 1, 2, 4, 4),) * 9,
        BlockSize(4, 1, 2, 4, 8),
        BlockSize(8, 2, 1, 8, 8),
        BlockSize(8, 1, 1, 8, 8),
    )


class MViTv2S(MViT):
    """MViTv2-S: relative positions, pooled queries in every block and added to it."""

    relative = True
    block_sizes = (
        BlockSize(1, 1, 8, 1, 1),
        BlockSize(2, 2, 4, 1, 2),
        BlockSize(2, 1, 4, 2, 2),
        BlockSize(4, 2, 2, 2, 4),
        *(BlockSize(4, 1, 2, 4, 4),) * 10,
        BlockSize(8, 2, 1, 4, 8),
        BlockSize(8, 1, 1, 8, 8),
    )


NETWORKS = {"mvit_v1_b": MViTv1B, "mvit_v2_s": MViTv2S}
