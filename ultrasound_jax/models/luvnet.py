"""LUV-Net: lung ultrasound video by pattern-specific attention and a temporal kernel.

Lee et al., "LUV-Net: Multi-Pattern Lung Ultrasound Video Classification through
Pattern-Specific Attention with Efficient Temporal Feature Extraction", MIDL 2025.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from ultrasound_jax.models._parts.checks import (
    is_count,
    require,
    require_rates,
)
from ultrasound_jax.models._parts.encoders import (
    build_encoder,
    encode_frames,
)
from ultrasound_jax.models._parts.given import Given
from ultrasound_jax.models._parts.initialisers import torch_uniform
from ultrasound_jax.models._parts.layers import (
    BatchNorm,
    Conv,
    Linear,
)
from ultrasound_jax.models._parts.padding import (
    blank_padding,
    frame_mean,
    masked_softmax,
    real_frames,
)
from ultrasound_jax.models._parts.torch_names import Names

# Both networks share the original's names, as far as they share its parts.
TORCH_NAMES: Names = (
    (r"^attention\.queries$", "attn_query_vecs"),
    (r"^attention_hidden\b", "attn_fc.0"),
    (r"^attention_out\b", "attn_fc.2"),
    (r"^temporal\.conv\b", "conv1d.0"),
    (r"^temporal\.norm\b", "conv1d.1"),
    (r"^classifier_hidden\b", "fc_out_final.0"),
    (r"^classifier_out\b", "fc_out_final.3"),
)


class PatternAttention(nnx.Module):
    """Looks at the frames once for each pattern (section 3.1 of the paper).

    Each pattern has one learnt query a head; keys and values are the frames' features
    themselves, split over the heads. Frames beyond a clip's length get exactly no
    attention (the original adds -50, which lets a little through).
    """

    def __init__(self, features: int, patterns: int, heads: int, *, rngs: nnx.Rngs):
        fits = is_count(heads) and features % heads == 0
        require(fits, "heads", heads, f"a divisor of the encoder's {features} features")
        shape = (patterns, heads, features // heads)
        self.queries = nnx.Param(jax.random.normal(rngs.params(), shape))

    def __call__(
        self, features: Float[Array, "b t d"], mask: Bool[Array, "b t"] | None
    ) -> tuple[Float[Array, "b p d"], Float[Array, "b p heads t"]]:
        """Each pattern's view of the clip and its weights of the frames, in float32."""
        queries = self.queries[...]
        patterns, heads, depth = queries.shape
        frames = features.astype(jnp.float32)
        frames = frames.reshape(*features.shape[:2], heads, depth)
        scores = jnp.einsum("bthd,phd->bpht", frames, queries) / depth**0.5
        attention = masked_softmax(scores, mask)
        views = jnp.einsum("bpht,bthd->bphd", attention, frames)
        return views.reshape(-1, patterns, heads * depth), attention


class TemporalConv(nnx.Module):
    """Mixes neighbouring frames with one wide 1-D convolution (section 3.2).

    No bias: the batch norm behind it has one.
    """

    def __init__(
        self, features: int, kernel_size: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ):
        odd = is_count(kernel_size) and kernel_size % 2 == 1
        require(odd, "kernel_size", kernel_size, "an odd number of frames")
        self.conv = Conv(
            features,
            features,
            (kernel_size,),
            kernel_init=torch_uniform,
            dtype=dtype,
            rngs=rngs,
        )
        self.norm = BatchNorm(features, dtype=dtype, rngs=rngs)

    def __call__(
        self, features: Float[Array, "b t d"], mask: Bool[Array, "b t"] | None
    ) -> Float[Array, "b t d"]:
        """The mixed frames; zero beyond a clip's length."""
        x = self.conv(blank_padding(features, mask))
        return blank_padding(nnx.relu(self.norm(x, mask)), mask)


class LuvNet(nnx.Module):
    """Frames, pattern attention and temporal convolution, added and classified.

    Returns `logits` `b p`; `features` `b t d`, the encoder's vector of each frame;
    `attention` `b p heads t`, which sums to one over the real frames; `temporal`
    `b t d`, the convolution's activations before their mean over time. Frames beyond
    `lengths` change nothing, batch statistics included; in `features` and `temporal`
    they are zero. A clip of length 0 is finite and counts nowhere.

    `heads` must divide the encoder's features and `kernel_size` be odd, else
    `ModelError`; `width` is the encoder's.
    """

    TORCH_NAMES = TORCH_NAMES
    frames_share = True  # attention and mean weigh the frames

    def __init__(
        self,
        given: Given,
        *,
        encoder: str = "densenet161",
        heads: int = 8,
        kernel_size: int = 13,
        dropout: float = 0.5,
        width: int | None = None,
    ):
        require_rates(dropout=dropout)
        self.dtype = given.dtype
        self.encoder = build_encoder(encoder, given, width=width)
        size, patterns = self.encoder.features, given.outputs
        self.attention = PatternAttention(size, patterns, heads, rngs=given.rngs)
        self.attention_hidden = Linear(patterns * size, 4096, **given.layer)
        self.attention_out = Linear(4096, size, **given.layer)
        self.temporal = TemporalConv(size, kernel_size, **given.layer)
        self.classifier_hidden = Linear(size, 512, **given.layer)
        self.dropout = nnx.Dropout(dropout)
        self.classifier_out = Linear(512, patterns, **given.layer)

    def __call__(
        self,
        clip: Float[Array, "b t h w c"],
        lengths: Int[Array, " b"] | None = None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> dict[str, Array]:
        """Classify; the training view needs `rngs` for its dropout."""
        mask = real_frames(lengths, clip.shape[1])
        features = encode_frames(self.encoder, clip, mask)
        views, attention = self.attention(features, mask)
        x = self.attention_hidden(views.reshape(views.shape[0], -1))
        attended = self.attention_out(nnx.relu(x))
        temporal = self.temporal(features, mask)
        x = attended + frame_mean(temporal, mask).astype(self.dtype)
        x = self.dropout(nnx.relu(self.classifier_hidden(x)), rngs=rngs)
        return {
            "logits": self.classifier_out(x).astype(jnp.float32),
            "features": features,
            "attention": attention,
            "temporal": temporal,
        }


class LuvNetNoTemporal(nnx.Module):
    """LUV-Net without its temporal convolution, the paper's ablation.

    The logits come straight from the pattern attention, so the order of the frames does
    not matter. Returns `logits`, `features` and `attention` as `LuvNet` does and takes
    the same options, less `kernel_size` and `dropout`.
    """

    TORCH_NAMES = TORCH_NAMES
    frames_share = True

    def __init__(
        self,
        given: Given,
        *,
        encoder: str = "densenet161",
        heads: int = 8,
        width: int | None = None,
    ):
        self.encoder = build_encoder(encoder, given, width=width)
        size, patterns = self.encoder.features, given.outputs
        self.attention = PatternAttention(size, patterns, heads, rngs=given.rngs)
        self.attention_hidden = Linear(patterns * size, 4096, **given.layer)
        self.attention_out = Linear(4096, patterns, **given.layer)

    def __call__(
        self,
        clip: Float[Array, "b t h w c"],
        lengths: Int[Array, " b"] | None = None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> dict[str, Array]:
        """As `LuvNet`; `rngs` is taken so that all networks are called alike."""
        del rngs
        mask = real_frames(lengths, clip.shape[1])
        features = encode_frames(self.encoder, clip, mask)
        views, attention = self.attention(features, mask)
        x = self.attention_hidden(views.reshape(views.shape[0], -1))
        logits = self.attention_out(nnx.relu(x))
        return {
            "logits": logits.astype(jnp.float32),
            "features": features,
            "attention": attention,
        }


NETWORKS = {"luvnet": LuvNet, "luvnet_no_temporal": LuvNetNoTemporal}
