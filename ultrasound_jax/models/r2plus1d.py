"""R(2+1)D: convolutions in space, then in time (Tran et al., CVPR 2018).

The blocks are those of the LUV-Net study: the factors of a convolution each have a
batch norm and a ReLU of their own, and the block's batch norm comes on top.
"""

from typing import ClassVar

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int

from ultrasound_jax.models._parts.checks import is_count, require
from ultrasound_jax.models._parts.clip_conv import (
    ClipConv,
    clip_mean,
    fewer,
)
from ultrasound_jax.models._parts.given import Given
from ultrasound_jax.models._parts.layers import (
    BatchNorm,
    Linear,
    call,
)
from ultrasound_jax.models._parts.padding import (
    blank_padding,
    real_frames,
)
from ultrasound_jax.models._parts.stem import StemConv
from ultrasound_jax.models._parts.torch_names import Names

Lengths = Int[Array, " b"] | None


class FactorisedConv(nnx.Module):
    """1 x k x k, then t x 1 x 1, each with batch norm and ReLU.

    Between them are so many channels that the parameters are as many as of the whole
    t x k x k, or those of `spatial` if that module is given for the first of the two.
    """

    TORCH_NAMES: ClassVar[Names] = (
        (r"^(spatial|temporal)\b", r"\1_conv"),
        (r"^norm(\d)\b", r"bn\1"),
    )

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        time: int = 3,
        space: int = 3,
        stride: int = 1,
        spatial: StemConv | None = None,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        whole, area = time * space**2 * inputs * outputs, space**2 * inputs
        between = whole // (area + time * outputs)
        if spatial is not None:
            between = spatial.out_features
        self.spatial = spatial or ClipConv(
            inputs,
            between,
            (1, space, space),
            stride=(1, stride, stride),
            dtype=dtype,
            rngs=rngs,
        )
        self.norm1 = BatchNorm(between, dtype=dtype, rngs=rngs)
        self.temporal = ClipConv(
            between,
            outputs,
            (time, 1, 1),
            stride=(stride, 1, 1),
            dtype=dtype,
            rngs=rngs,
        )
        self.norm2 = BatchNorm(outputs, dtype=dtype, rngs=rngs)
        self.time_stride = stride

    def __call__(
        self, clip: Float[Array, "b t h w c"], lengths: Lengths
    ) -> Float[Array, "b s i j k"]:
        """The clip in `ceil(t / stride)` steps; whatever comes beyond it is no zero."""
        mask = real_frames(lengths, clip.shape[1])
        x = nnx.relu(self.norm1(self.spatial(clip), mask))
        x = self.temporal(blank_padding(x, mask))
        mask = real_frames(fewer(lengths, self.time_stride), x.shape[1])
        return nnx.relu(self.norm2(x, mask))


class Shortcut(nnx.Module):
    """A strided factorised 1x1x1 convolution beside a block that halves the clip."""

    def __init__(self, inputs: int, outputs: int, **options):
        self.conv = FactorisedConv(
            inputs, outputs, time=1, space=1, stride=2, **options
        )
        self.norm = BatchNorm(outputs, **options)

    def __call__(
        self, clip: Float[Array, "b t h w c"], lengths: Lengths
    ) -> Float[Array, "b s i j k"]:
        """The clip at the block's own width and size."""
        x = self.conv(clip, lengths)
        return self.norm(x, real_frames(fewer(lengths, 2), x.shape[1]))


class ResidualBlock(nnx.Module):
    """Two factorised convolutions, each with one more batch norm, and a shortcut."""

    TORCH_NAMES: ClassVar[Names] = (
        (r"^norm(\d)\b", r"bn\1"),
        (r"^shortcut\.(conv|norm)\b", r"downsample\1"),
        (r"^downsamplenorm\b", "downsamplebn"),
    )

    def __init__(self, inputs: int, outputs: int, stride: int, **options):
        self.stride = stride
        self.conv1 = FactorisedConv(inputs, outputs, stride=stride, **options)
        self.norm1 = BatchNorm(outputs, **options)
        self.conv2 = FactorisedConv(outputs, outputs, **options)
        self.norm2 = BatchNorm(outputs, **options)
        self.shortcut = Shortcut(inputs, outputs, **options) if stride > 1 else None

    def __call__(
        self, clip: Float[Array, "b t h w c"], lengths: Lengths
    ) -> Float[Array, "b s i j k"]:
        """The block's change of its input, added to it."""
        x = self.conv1(clip, lengths)
        less = fewer(lengths, self.stride)
        mask = real_frames(less, x.shape[1])
        x = nnx.relu(self.norm1(x, mask))
        x = self.norm2(self.conv2(x, less), mask)
        return nnx.relu(x + (self.shortcut(clip, lengths) if self.shortcut else clip))


class R2Plus1D(nnx.Module):
    """A residual network of factorised convolutions over the whole clip.

    Returns `logits` `b p`; `features` `b d`, the mean over space and time; and
    `feature_map` `b s i j d` before it, of ceil(t / 8) steps, zero where no frame of a
    step is real. Frames beyond `lengths` change nothing, however many they are: they
    are zeros at every temporal convolution and count in no batch statistic and in no
    mean. A clip of length 0 is finite and counts nowhere. `width` is of the first
    stage; all others follow.
    """

    TORCH_NAMES: ClassVar[Names] = (
        (r"^stem\b", "res2plus1d.conv1"),
        (r"^stages\.(\d)\.0\b", "res2plus1d.conv<0+2>.block1"),
        (r"^stages\.(\d)\.(\d)\b", "res2plus1d.conv<0+2>.blocks.<1-1>"),
        (r"^classifier\b", "linear"),
    )
    blocks: ClassVar[tuple[int, ...]]  # of each stage

    def __init__(self, given: Given, *, width: int = 64):
        require(is_count(width) and width > 1, "width", width, "2 or more")
        self.remat = given.remat
        # The paper's 45 channels at its width.
        spatial = StemConv(given, 45 * width // 64, (1, 7, 7), stride=(1, 2, 2))
        self.stem = FactorisedConv(
            given.channels, width, spatial=spatial, **given.layer
        )
        inputs, stages = width, []
        for i, count in enumerate(self.blocks):
            stage = []
            for j in range(count):
                stride = 2 if i > 0 and j == 0 else 1
                block = ResidualBlock(inputs, width * 2**i, stride, **given.layer)
                stage.append(block)
                inputs = width * 2**i
            stages.append(nnx.List(stage))
        self.stages = nnx.List(stages)
        self.classifier = Linear(inputs, given.outputs, **given.layer)

    def __call__(
        self,
        clip: Float[Array, "b t h w c"],
        lengths: Lengths = None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> dict[str, Array]:
        """Classify; `rngs` is taken so that all networks are called alike."""
        del rngs
        x = blank_padding(clip, real_frames(lengths, clip.shape[1]))
        x = call(self.stem, x, lengths, remat=self.remat)
        for stage in self.stages:
            for block in stage:
                x = call(block, x, lengths, remat=self.remat)
                lengths = fewer(lengths, block.stride)
        x = blank_padding(x, real_frames(lengths, x.shape[1]))
        features = clip_mean(x, lengths).astype(x.dtype)
        return {
            "logits": self.classifier(features).astype(jnp.float32),
            "features": features,
            "feature_map": x,
        }


class R2Plus1D18(R2Plus1D):
    """Two blocks a stage."""

    blocks = (2, 2, 2, 2)


class R2Plus1D34(R2Plus1D):
    """As many blocks a stage as ResNet-34 has."""

    blocks = (3, 4, 6, 3)


NETWORKS = {"r2plus1d_18": R2Plus1D18, "r2plus1d_34": R2Plus1D34}
