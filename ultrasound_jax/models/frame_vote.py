"""The frame-by-frame baseline: every frame is classified, then the frames vote."""

from typing import ClassVar

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from ultrasound_jax.models._parts.checks import require
from ultrasound_jax.models._parts.encoders import (
    build_encoder,
    encode_frames,
)
from ultrasound_jax.models._parts.given import Given
from ultrasound_jax.models._parts.layers import Linear
from ultrasound_jax.models._parts.padding import (
    frame_max,
    frame_mean,
    real_frames,
)
from ultrasound_jax.models._parts.torch_names import Names

POOLINGS = ("max", "mean")


class FrameVote(nnx.Module):
    """An image classifier on each frame; the clip's logits are the frames' mean or max.

    The LUV-Net paper's "CNN only" baseline (it trains on frames and takes the maximum;
    here the clip's label trains the vote). Returns `logits` `b p`, `frame_logits`
    `b t p` and `features` `b t d`. Frames beyond `lengths` do not vote; a clip of
    length 0 has logits of zero.
    """

    # An image classifier has its encoder at the top.
    TORCH_NAMES: ClassVar[Names] = ((r"^classifier\b", "<head>"), (r"^encoder\.", ""))

    def __init__(
        self,
        given: Given,
        *,
        encoder: str = "densenet161",
        pooling: str = "mean",
        width: int | None = None,
    ):
        require(pooling in POOLINGS, "pooling", pooling, " or ".join(POOLINGS))
        self.pooling = pooling
        self.encoder = build_encoder(encoder, given, width=width)
        size = self.encoder.features
        self.classifier = Linear(size, given.outputs, **given.layer)

    @property
    def frames_share(self) -> bool:
        """Whether the clip's logits are the mean of its frames'."""
        return self.pooling == "mean"

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


NETWORKS = {"frame_vote": FrameVote}
