"""ViViT with a factorised encoder: frames first, then time.

Arnab et al., "ViViT: A Video Vision Transformer", ICCV 2021, model 2.
"""

import math
from collections.abc import Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from ultrasound_jax.models._parts.checks import require, require_counts
from ultrasound_jax.models._parts.given import Given
from ultrasound_jax.models._parts.initialisers import (
    draw,
    torch_uniform,
)
from ultrasound_jax.models._parts.layers import (
    LayerNorm,
    Linear,
    call,
)
from ultrasound_jax.models._parts.multi_head import (
    attend,
    attention_weights,
)
from ultrasound_jax.models._parts.padding import (
    blank_padding,
    real_frames,
)
from ultrasound_jax.models._parts.patches import (
    PatchLinear,
    check_fits,
    clip_shape_of,
)
from ultrasound_jax.models._parts.torch_names import Names

Tokens = Float[Array, "b n d"]


class SelfAttention(nnx.Module):
    """Multi-head self-attention; queries, keys and values have no bias."""

    def __init__(
        self,
        features: int,
        heads: int,
        depth: int,
        *,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        self.heads = heads
        self.qkv = nnx.Linear(
            features,
            3 * heads * depth,
            use_bias=False,
            kernel_init=torch_uniform,
            dtype=dtype,
            rngs=rngs,
        )
        self.out = Linear(heads * depth, features, dtype=dtype, rngs=rngs)

    def __call__(
        self, x: Tokens, mask: Bool[Array, "b n"] | None
    ) -> tuple[Tokens, Float[Array, "b n n"]]:
        """The mixed tokens, and each token's weights of all, as the heads' mean."""
        x = self.qkv(x)
        x = x.reshape(*x.shape[:2], 3, self.heads, -1)
        query, key, value = x[:, :, 0], x[:, :, 1], x[:, :, 2]
        query = query * query.shape[-1] ** -0.5
        mixed = attend(query, key, value, mask)
        weights = attention_weights(query, key, mask).mean(1)
        return self.out(mixed.reshape(*mixed.shape[:2], -1)), weights


class TransformerBlock(nnx.Module):
    """Attention and an MLP of four times the width, each after its norm."""

    def __init__(
        self, features: int, heads: int, depth: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ):
        options = {"dtype": dtype, "rngs": rngs}
        self.attention_norm = LayerNorm(features, **options)
        self.attention = SelfAttention(features, heads, depth, **options)
        self.mlp_norm = LayerNorm(features, **options)
        self.mlp_hidden = Linear(features, 4 * features, **options)
        self.mlp_out = Linear(4 * features, features, **options)

    def __call__(
        self, x: Tokens, mask: Bool[Array, "b n"] | None
    ) -> tuple[Tokens, Float[Array, "b n n"]]:
        """The tokens after both, and the heads' mean attention."""
        mixed, weights = self.attention(self.attention_norm(x), mask)
        x = x + mixed
        hidden = jax.nn.gelu(self.mlp_hidden(self.mlp_norm(x)), approximate=False)
        return x + self.mlp_out(hidden), weights


class Transformer(nnx.Module):
    """Blocks one after the other, and a last norm."""

    TORCH_NAMES: ClassVar[Names] = (
        (r"^blocks\.(\d+)\.attention_norm\b", r"layers.\1.0.norm"),
        (r"^blocks\.(\d+)\.attention\.qkv\b", r"layers.\1.0.fn.to_qkv"),
        (r"^blocks\.(\d+)\.attention\.out\b", r"layers.\1.0.fn.to_out.0"),
        (r"^blocks\.(\d+)\.mlp_norm\b", r"layers.\1.1.norm"),
        (r"^blocks\.(\d+)\.mlp_hidden\b", r"layers.\1.1.fn.net.0"),
        (r"^blocks\.(\d+)\.mlp_out\b", r"layers.\1.1.fn.net.3"),
    )

    def __init__(
        self,
        features: int,
        blocks: int,
        heads: int,
        depth: int,
        *,
        remat: bool,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        self.remat = remat
        self.blocks = nnx.List(
            TransformerBlock(features, heads, depth, dtype=dtype, rngs=rngs)
            for _ in range(blocks)
        )
        self.norm = LayerNorm(features, dtype=dtype, rngs=rngs)

    def __call__(
        self, x: Tokens, mask: Bool[Array, "b n"] | None = None
    ) -> tuple[Tokens, tuple[Float[Array, "b n n"], ...]]:
        """The tokens and each block's attention; no token heeds a masked one."""
        attention = []
        for block in self.blocks:
            x, weights = call(block, x, mask, remat=self.remat)
            attention.append(weights)
        return self.norm(x), tuple(attention)


class ViViT(nnx.Module):
    """A transformer over the patches of each frame, then one over the frames.

    The published baseline's (LUV-Net's repository): patches of 16 pixels, width 192,
    4 + 4 blocks of 3 heads, learnt positions, no dropout. `clip_shape` is the (frames,
    height, width) to size the positions for; the sides must be multiples of `patch`. A
    shorter clip is allowed and equal to one padded to that length.

    Returns `logits` `b p`; `features` `b t d`, each frame's class token, zero beyond
    `lengths`; for attention rollout, a tuple with one array a block, each the mean over
    the heads of every token's weights: `space_attention` `b t n n` (token 0 is the
    class token, then the patches by row; zero beyond `lengths`) and `time_attention`
    `b t+1 t+1` (token 0 is the class token). Frames beyond `lengths` change nothing: no
    frame attends to them.
    """

    TORCH_NAMES: ClassVar[Names] = (
        (r"^positions$", "pos_embedding"),
        (r"^space_token$", "space_token"),
        (r"^time_token$", "temporal_token"),
        (r"^patches\b", "to_patch_embedding.1"),
        (r"^space\b", "space_transformer"),
        (r"^time\b", "temporal_transformer"),
        (r"^norm\b", "mlp_head.0"),
        (r"^classifier\b", "mlp_head.1"),
    )

    def __init__(
        self,
        given: Given,
        *,
        patch: int = 16,
        dim: int = 192,
        depth: int = 4,
        heads: int = 3,
        dim_head: int = 64,
    ):
        require_counts(
            patch=patch, dim=dim, depth=depth, heads=heads, dim_head=dim_head
        )
        self.clip_shape = clip_shape_of(given)
        frames, *sides = self.clip_shape
        fits = all(side % patch == 0 for side in sides)
        allowed = f"a height and width that are multiples of patch={patch}"
        require(fits, "clip_shape", self.clip_shape, allowed)
        self.dtype = given.dtype
        tokens = math.prod(side // patch for side in sides) + 1
        self.patches = PatchLinear(given, dim, patch=patch)
        self.positions = _normal(given.rngs, (1, frames, tokens, dim))
        self.space_token = _normal(given.rngs, (1, 1, dim))
        self.time_token = _normal(given.rngs, (1, 1, dim))
        size = (dim, depth, heads, dim_head)
        self.space = Transformer(*size, remat=given.remat, **given.layer)
        self.time = Transformer(*size, remat=given.remat, **given.layer)
        self.norm = LayerNorm(dim, **given.layer)
        self.classifier = Linear(dim, given.outputs, **given.layer)

    def __call__(
        self,
        clip: Float[Array, "b t h w c"],
        lengths: Int[Array, " b"] | None = None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> dict[str, Array | tuple[Array, ...]]:
        """Classify; `rngs` is taken so that all networks are called alike."""
        del rngs
        check_fits(clip, self.clip_shape)
        batch, frames = clip.shape[:2]
        mask = real_frames(lengths, frames)
        x = self.patches(blank_padding(clip, mask))
        x = _with_class(self.space_token[...], x.reshape(batch * frames, *x.shape[2:]))
        x = x.reshape(batch, frames, *x.shape[1:])
        x = x + self.positions[:, :frames].astype(self.dtype)
        x, space = self.space(x.reshape(batch * frames, *x.shape[2:]))
        features = blank_padding(x[:, 0].reshape(batch, frames, -1), mask)
        x = _with_class(self.time_token[...], features)
        x, time = self.time(x, None if mask is None else _with_first(mask))
        logits = self.classifier(self.norm(x[:, 0]))
        return {
            "logits": logits.astype(jnp.float32),
            "features": features,
            "space_attention": tuple(
                blank_padding(weights.reshape(batch, frames, *weights.shape[1:]), mask)
                for weights in space
            ),
            "time_attention": time,
        }


def _normal(rngs: nnx.Rngs, shape: Sequence[int]) -> nnx.Param:
    return nnx.Param(draw(jax.random.normal, rngs.params(), shape))


def _with_class(token: Float[Array, "1 1 d"], x: Tokens) -> Float[Array, "b n+1 d"]:
    """The tokens behind a class token of their own."""
    first = jnp.broadcast_to(token.astype(x.dtype), (x.shape[0], 1, x.shape[-1]))
    return jnp.concatenate([first, x], 1)


def _with_first(mask: Bool[Array, "b t"]) -> Bool[Array, "b t+1"]:
    """The mask with a class token, which is always real, in front."""
    return jnp.pad(mask, ((0, 0), (1, 0)), constant_values=True)


NETWORKS = {"vivit": ViViT}
