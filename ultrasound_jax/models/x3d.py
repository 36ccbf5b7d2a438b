"""X3D-S: a small network of depth-wise 3x3x3 convolutions (Feichtenhofer, CVPR 2020).

Why this one as the small modern network: a study of some dozens of patients cannot
feed the 33 to 214 million parameters of the other video networks. X3D-S has 3 million
and was found by growing a tiny network along one axis at a time, for accuracy a
multiplication. It strides in space only, so that every frame is kept to the end, it
takes any number of frames, and padding can be left out exactly; transformers of its
size have no such prior for data this scarce. Weights for it, trained on Kinetics-400,
are published under the names of `TORCH_NAMES`, PyTorchVideo's.
"""

from typing import Any, ClassVar

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from ultrasound_jax.models._parts.checks import require_counts, require_rates
from ultrasound_jax.models._parts.clip_conv import (
    ClipConv,
    clip_mean,
)
from ultrasound_jax.models._parts.depthwise import depthwise_conv
from ultrasound_jax.models._parts.given import Given
from ultrasound_jax.models._parts.initialisers import kaiming_fan_out
from ultrasound_jax.models._parts.layers import (
    BatchNorm,
    Conv,
    Linear,
    call,
)
from ultrasound_jax.models._parts.padding import (
    blank_padding,
    real_frames,
)
from ultrasound_jax.models._parts.stem import StemConv
from ultrasound_jax.models._parts.torch_names import Names

EXPANSION = 2.25  # of the channels inside a block
HEAD = 2048  # features of the head at the published width of 24
Lengths = Int[Array, " b"] | None


class TimeConv(Conv):
    """Each channel's frames mixed by a kernel of its own."""

    def __init__(self, features: int, size: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        super().__init__(
            features,
            features,
            (size, 1, 1),
            groups=features,
            kernel_init=kaiming_fan_out,
            dtype=dtype,
            rngs=rngs,
        )

    def __call__(self, clip: Float[Array, "b t h w c"]) -> Float[Array, "b t h w c"]:
        """Mix; padding frames must be zero."""
        return depthwise_conv(clip, self.kernel[...][..., 0, :], dtype=clip.dtype)


class DepthwiseConv(Conv):
    """Each channel mixed over 3x3x3 by a kernel of its own; strides in space only."""

    def __init__(self, features: int, *, stride: int, dtype: DTypeLike, rngs: nnx.Rngs):
        super().__init__(
            features,
            features,
            (3, 3, 3),
            stride=(1, stride, stride),
            groups=features,
            kernel_init=kaiming_fan_out,
            dtype=dtype,
            rngs=rngs,
        )
        self.space_stride = stride

    def __call__(self, clip: Float[Array, "b t h w c"]) -> Float[Array, "b t i j c"]:
        """Mix; padding frames must be zero."""
        kernel = self.kernel[...][..., 0, :]
        return depthwise_conv(clip, kernel, stride=self.space_stride, dtype=clip.dtype)


class SqueezeExcite(nnx.Module):
    """Scales the channels by what a small network makes of their clip-wide means."""

    def __init__(self, features: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        hidden = round_width(features / 16)
        options = {"bias": True, "dtype": dtype, "rngs": rngs}
        self.squeeze = ClipConv(features, hidden, (1, 1, 1), **options)
        self.excite = ClipConv(hidden, features, (1, 1, 1), **options)

    def __call__(
        self, clip: Float[Array, "b t h w c"], lengths: Lengths
    ) -> Float[Array, "b t h w c"]:
        """The scaled clip; frames beyond the lengths are in no mean."""
        x = clip_mean(clip, lengths).astype(clip.dtype)[:, None, None, None]
        return clip * nnx.sigmoid(self.excite(nnx.relu(self.squeeze(x))))


class Shortcut(nnx.Module):
    """A projection beside a block that changes the size or the width.

    Without a norm where the width stays, as the published weights have it.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, **options: Any):
        self.conv = ClipConv(
            inputs,
            outputs,
            (1, 1, 1),
            stride=(1, stride, stride),
            kernel_init=kaiming_fan_out,
            **options,
        )
        self.norm = BatchNorm(outputs, **options) if inputs != outputs else None

    def __call__(
        self, clip: Float[Array, "b t h w c"], mask: Bool[Array, "b t"] | None
    ) -> Float[Array, "b t i j k"]:
        """The clip at the block's own width and size."""
        x = self.conv(clip)
        return self.norm(x, mask) if self.norm else x


class MobileBlock(nnx.Module):
    """1x1x1 to more channels, depth-wise 3x3x3, 1x1x1 back, and a shortcut."""

    TORCH_NAMES: ClassVar[Names] = (
        (r"^(conv|norm)1\b", r"branch2.\1_a"),
        (r"^conv2\b", "branch2.conv_b"),
        (r"^norm2\b", "branch2.norm_b.0"),
        (r"^excite\.squeeze\b", "branch2.norm_b.1.block.0"),
        (r"^excite\.excite\b", "branch2.norm_b.1.block.2"),
        (r"^(conv|norm)3\b", r"branch2.\1_c"),
        (r"^shortcut\.(conv|norm)\b", r"branch1_\1"),
    )

    def __init__(
        self, inputs: int, outputs: int, stride: int, excite: bool, **options: Any
    ):
        inner = int(EXPANSION * outputs)
        pointwise = {"kernel_init": kaiming_fan_out, **options}
        self.conv1 = ClipConv(inputs, inner, (1, 1, 1), **pointwise)
        self.norm1 = BatchNorm(inner, **options)
        self.conv2 = DepthwiseConv(inner, stride=stride, **options)
        self.norm2 = BatchNorm(inner, **options)
        self.excite = SqueezeExcite(inner, **options) if excite else None
        self.conv3 = ClipConv(inner, outputs, (1, 1, 1), **pointwise)
        self.norm3 = BatchNorm(outputs, scale_init=nnx.initializers.zeros, **options)
        self.shortcut = (
            Shortcut(inputs, outputs, stride, **options)
            if stride > 1 or inputs != outputs
            else None
        )

    def __call__(
        self, clip: Float[Array, "b t h w c"], lengths: Lengths
    ) -> Float[Array, "b t i j k"]:
        """The block's change of its input, added to it."""
        mask = real_frames(lengths, clip.shape[1])
        x = nnx.relu(self.norm1(self.conv1(clip), mask))
        x = self.norm2(self.conv2(blank_padding(x, mask)), mask)
        x = nnx.swish(self.excite(x, lengths) if self.excite else x)
        x = self.norm3(self.conv3(x), mask)
        return nnx.relu(x + (self.shortcut(clip, mask) if self.shortcut else clip))


class X3DStem(nnx.Module):
    """A 3x3 convolution of each frame, then one over 5 frames of each channel."""

    # The original calls the factors by each other's names.
    TORCH_NAMES: ClassVar[Names] = (
        (r"^spatial\b", "conv.conv_t"),
        (r"^temporal\b", "conv.conv_xy"),
    )

    def __init__(self, given: Given, width: int):
        self.spatial = StemConv(
            given, width, (1, 3, 3), stride=(1, 2, 2), kernel_init=kaiming_fan_out
        )
        self.temporal = TimeConv(width, 5, **given.layer)
        self.norm = BatchNorm(width, **given.layer)

    def __call__(
        self, clip: Float[Array, "b t h w c"], lengths: Lengths
    ) -> Float[Array, "b t i j k"]:
        """Half the size."""
        mask = real_frames(lengths, clip.shape[1])
        x = self.temporal(blank_padding(self.spatial(clip), mask))
        return nnx.relu(self.norm(x, mask))


class X3DS(nnx.Module):
    """X3D of the sizes XS, S and M, which differ in the clips that they are fed.

    Returns `logits` `b p`; `features` `b d`, the head's; and `feature_map` `b t i j c`,
    a 32nd of the size in space, as long as the clip and zero beyond `lengths`. Frames
    there change nothing, however many they are: they are zeros at every temporal
    convolution and count in no batch statistic and in no mean. A clip of length 0 is
    finite and counts nowhere. `width` is of the stem; all others follow.
    """

    TORCH_NAMES: ClassVar[Names] = (
        (r"^stem\b", "blocks.0"),
        (r"^stages\.(\d)\.(\d+)\b", r"blocks.<0>.res_blocks.\2"),
        (r"^(conv|norm)\b", r"blocks.5.pool.pre_\1"),
        (r"^head\b", "blocks.5.pool.post_conv"),
        (r"^classifier\b", "blocks.5.proj"),
    )
    depths = (3, 5, 11, 7)  # blocks of each stage

    def __init__(self, given: Given, *, dropout: float = 0.5, width: int = 24):
        require_rates(dropout=dropout)
        require_counts(width=width)
        self.remat = given.remat
        self.stem = X3DStem(given, width)
        inputs, stages = width, []
        for i, depth in enumerate(self.depths):
            stage = []
            for j in range(depth):
                stride = 2 if j == 0 else 1
                excite, outputs = j % 2 == 0, width * 2**i
                block = MobileBlock(inputs, outputs, stride, excite, **given.layer)
                stage.append(block)
                inputs = width * 2**i
            stages.append(nnx.List(stage))
        self.stages = nnx.List(stages)
        pointwise = {"kernel_init": kaiming_fan_out, **given.layer}
        inner, head = int(EXPANSION * inputs), HEAD * width // 24
        self.conv = ClipConv(inputs, inner, (1, 1, 1), **pointwise)
        self.norm = BatchNorm(inner, **given.layer)
        self.head = ClipConv(inner, head, (1, 1, 1), **pointwise)
        self.dropout = nnx.Dropout(dropout)
        self.classifier = Linear(head, given.outputs, **given.layer)

    def __call__(
        self,
        clip: Float[Array, "b t h w c"],
        lengths: Lengths = None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> dict[str, Array]:
        """Classify; the training view needs `rngs` for its dropout."""
        mask = real_frames(lengths, clip.shape[1])
        x = call(self.stem, blank_padding(clip, mask), lengths, remat=self.remat)
        for stage in self.stages:
            for block in stage:
                x = call(block, x, lengths, remat=self.remat)
        x = blank_padding(nnx.relu(self.norm(self.conv(x), mask)), mask)
        pooled = clip_mean(x, lengths).astype(x.dtype)[:, None, None, None]
        features = nnx.relu(self.head(pooled))[:, 0, 0, 0]
        logits = self.classifier(self.dropout(features, rngs=rngs))
        return {
            "logits": logits.astype(jnp.float32),
            "features": features,
            "feature_map": x,
        }


def round_width(width: float) -> int:
    """The multiple of 8 beside `width` that is no more than a tenth below it."""
    rounded = max(8, int(width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * width else rounded


NETWORKS = {"x3d_s": X3DS}
