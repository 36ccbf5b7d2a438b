"""USVN: the frames' features weighed by attention, then one linear layer.

After Smith et al. (MICCAI 2023), in the form that LUV-Net is compared with.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from ultrasound_jax.models._parts.checks import is_count, require
from ultrasound_jax.models._parts.encoders import (
    build_encoder,
    encode_frames,
)
from ultrasound_jax.models._parts.given import Given
from ultrasound_jax.models._parts.initialisers import torch_uniform
from ultrasound_jax.models._parts.layers import Linear, freeze
from ultrasound_jax.models._parts.padding import (
    frame_max,
    frame_mean,
    masked_softmax,
    real_frames,
)
from ultrasound_jax.models._parts.torch_names import Names

TANH_UNITS = 32


class QueryAttention(nnx.Module):
    """One learnt query a head; keys and values are the head's share of the features."""

    def __init__(self, features: int, heads: int, *, rngs: nnx.Rngs):
        shape = (heads, features // heads)
        self.queries = nnx.Param(jax.random.normal(rngs.params(), shape))

    def __call__(
        self, frames: Float[Array, "b t heads d"]
    ) -> Float[Array, "b heads t"]:
        """How much each head wants each frame."""
        scores = jnp.einsum("bthd,hd->bht", frames, self.queries[...])
        return scores / frames.shape[-1] ** 0.5


class TanhAttention(nnx.Module):
    """Two layers a head, tanh between them (Ilse et al., ICML 2018, equation 8)."""

    def __init__(self, features: int, heads: int, *, rngs: nnx.Rngs):
        depth = features // heads
        hidden = torch_uniform(rngs.params(), (depth, heads * TANH_UNITS), jnp.float32)
        out = torch_uniform(rngs.params(), (TANH_UNITS, heads), jnp.float32)
        self.hidden = nnx.Param(hidden.T.reshape(heads, TANH_UNITS, depth))
        self.out = nnx.Param(out.T)

    def __call__(
        self, frames: Float[Array, "b t heads d"]
    ) -> Float[Array, "b heads t"]:
        """How much each head wants each frame."""
        x = jnp.tanh(jnp.einsum("bthd,hud->bthu", frames, self.hidden[...]))
        return jnp.einsum("bthu,hu->bht", x, self.out[...])


ATTENTIONS = {"attention": QueryAttention, "tanh_attention": TanhAttention}
POOLINGS = (*ATTENTIONS, "max", "mean")


class Usvn(nnx.Module):
    """An encoder, one vector a clip by pooling over its frames, and a linear layer.

    `pooling` is "attention" (scaled products with a learnt query a head),
    "tanh_attention" (a small tanh network a head; the pooled vector is divided by the
    root of the head's width, as in the original), "max" or "mean". All patterns share
    the pooled vector. Returns `logits` `b p`, `features` `b t d` and, for the two
    attentions, `attention` `b heads t`, which sums to one over the real frames.

    `freeze_encoder` trains the pooling and the last layer alone: the encoder's
    parameters and batch statistics stay as they are. They are then no `nnx.Param`s, so
    that neither optimiser memory nor weight decay is theirs.

    Frames beyond `lengths` change nothing in any pooling (the original's maximum and
    mean see them, and its attention lets a little through). A clip of length 0 is
    finite and counts nowhere. `heads` must divide the encoder's features, else
    `ModelError`; the maximum and the mean use no heads.
    """

    # What the original calls the parts of its tanh attention is not known.
    TORCH_NAMES: ClassVar[Names] = (
        (r"^attention\.queries$", "attn_query_vecs"),
        (r"^attention\.hidden$", "attn_tanh_vecs"),
        (r"^attention\.out$", "attn_tanh_weights"),
        (r"^classifier\b", "fc_out.1"),
    )
    attention_is_shared = True  # one look for all outputs

    def __init__(
        self,
        given: Given,
        *,
        encoder: str = "densenet161",
        heads: int = 8,
        pooling: str = "attention",
        freeze_encoder: bool = False,
        width: int | None = None,
    ):
        require(pooling in POOLINGS, "pooling", pooling, " or ".join(POOLINGS))
        told = isinstance(freeze_encoder, bool)
        require(told, "freeze_encoder", freeze_encoder, "True or False")
        self.pooling, self.heads = pooling, heads
        self.encoder = build_encoder(encoder, given, width=width)
        if freeze_encoder:
            freeze(self.encoder)
        size = self.encoder.features
        kind = ATTENTIONS.get(pooling)
        fits = kind is None or (is_count(heads) and size % heads == 0)
        require(fits, "heads", heads, f"a divisor of the encoder's {size} features")
        self.attention = kind(size, heads, rngs=given.rngs) if kind else None
        self.classifier = Linear(size, given.outputs, **given.layer)

    @property
    def frames_share(self) -> bool:
        """Whether the clip's vector is a mean of its frames', weighted or not."""
        return self.pooling != "max"

    def __call__(
        self,
        clip: Float[Array, "b t h w c"],
        lengths: Int[Array, " b"] | None = None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> dict[str, Array]:
        """Pool and classify; `rngs` is taken so that all networks are called alike."""
        del rngs
        mask = real_frames(lengths, clip.shape[1])
        features = encode_frames(self.encoder, clip, mask)
        pooled, attention = self._pool(features, mask)
        logits = self.classifier(pooled).astype(jnp.float32)
        return {"logits": logits, "features": features, **attention}

    def _pool(
        self, features: Float[Array, "b t d"], mask: Bool[Array, "b t"] | None
    ) -> tuple[Float[Array, "b d"], dict[str, Array]]:
        """The clip's vector, in float32, and what it was weighed with, if it was."""
        if self.attention is None:
            pool = frame_max if self.pooling == "max" else frame_mean
            return pool(features.astype(jnp.float32), mask), {}
        frames = features.astype(jnp.float32)
        frames = frames.reshape(*frames.shape[:2], self.heads, -1)
        attention = masked_softmax(self.attention(frames)[:, None], mask)[:, 0]
        pooled = jnp.einsum("bht,bthd->bhd", attention, frames)
        if self.pooling == "tanh_attention":
            pooled = pooled / frames.shape[-1] ** 0.5
        return pooled.reshape(len(pooled), -1), {"attention": attention}


NETWORKS = {"usvn": Usvn}
