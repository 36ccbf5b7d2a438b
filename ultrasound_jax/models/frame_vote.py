"""The frame-by-frame baseline: every frame is classified, then the frames vote."""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int

from ultrasound_jax.models._parts.encoders import (
    build_encoder,
    encode_frames,
)
from ultrasound_jax.models._parts.layers import (
    Linear,
    compute_dtype,
    is_count,
    require,
)
from ultrasound_jax.models._parts.padding import (
    frame_max,
    frame_mean,
    real_frames,
)

POOLINGS = ("max", "mean")


class FrameVote(nnx.Module):
    """An image classifier on each frame; the clip's logits are the frames' mean or max.

    The LUV-Net paper's "CNN only" baseline (it trains on frames and takes the maximum;
    here the clip's label trains the vote). Returns `logits` `b p`, `frame_logits`
    `b t p` and `features` `b t d`. Frames beyond `lengths` do not vote; a clip of
    length 0 has logits of zero.
    """

    def __init__(
        self,
        *,
        encoder: str = "densenet161",
        patterns: int = 4,
        pooling: str = "mean",
        width: int | None = None,
        channels: int = 3,
        grey_scale: Sequence[float] | None = None,
        grey_offset: Sequence[float] | None = None,
        dtype: DTypeLike = jnp.float32,
        remat: bool = False,
        rngs: nnx.Rngs,
    ):
        require(pooling in POOLINGS, "pooling", pooling, " or ".join(POOLINGS))
        require(is_count(patterns), "patterns", patterns, "1 or more")
        dtype = compute_dtype(dtype)
        self.pooling = pooling
        self.encoder = build_encoder(
            encoder,
            width=width,
            channels=channels,
            grey_scale=grey_scale,
            grey_offset=grey_offset,
            dtype=dtype,
            remat=remat,
            rngs=rngs,
        )
        self.classifier = Linear(
            self.encoder.features, patterns, dtype=dtype, rngs=rngs
        )

    def __call__(
        self,
        clip: Float[Array, "b t h w c"],
        lengths: Int[Array, " b"] | None = None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> dict[str, Array]:
        """Vote; `rngs` is taken so that all networks are called alike."""
        del rngs
        mask = real_frames(lengths, clip.shape[1])
        features = encode_frames(self.encoder, clip, mask)
        frame_logits = self.classifier(features).astype(jnp.float32)
        pool = frame_mean if self.pooling == "mean" else frame_max
        return {
            "logits": pool(frame_logits, mask),
            "features": features,
            "frame_logits": frame_logits,
        }
