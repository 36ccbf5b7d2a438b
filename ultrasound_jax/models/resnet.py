"""ResNet: residual learning (He et al., CVPR 2016), as torchvision and timm publish it.

The bottleneck strides in its 3x3 convolution ("v1.5"), not in the first 1x1 as in the
paper. Starting values are timm's: the last norm of each block starts at zero.
"""

from typing import ClassVar

from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from ultrasound_jax.models._parts.encoders import encoder_width
from ultrasound_jax.models._parts.given import Given
from ultrasound_jax.models._parts.image_classifier import ImageClassifier
from ultrasound_jax.models._parts.initialisers import kaiming_fan_out
from ultrasound_jax.models._parts.layers import (
    BatchNorm,
    Conv,
    PointwiseConv,
    call,
    global_average,
)
from ultrasound_jax.models._parts.max_pool import max_pool
from ultrasound_jax.models._parts.stem import Stem
from ultrasound_jax.models._parts.torch_names import Names


class Shortcut(nnx.Module):
    """The projection beside a block that changes the width or the size."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int,
        *,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        self.conv = PointwiseConv(
            inputs,
            outputs,
            stride=stride,
            kernel_init=kaiming_fan_out,
            dtype=dtype,
            rngs=rngs,
        )
        self.norm = BatchNorm(outputs, dtype=dtype, rngs=rngs)

    def __call__(
        self, image: Float[Array, "n h w c"], mask: Bool[Array, " n"] | None
    ) -> Float[Array, "n i j k"]:
        """The image at the block's own width and size."""
        return self.norm(self.conv(image), mask)


class BasicBlock(nnx.Module):
    """Two 3x3 convolutions and a shortcut."""

    expansion = 1

    def __init__(
        self, inputs: int, width: int, stride: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ):
        options = {"kernel_init": kaiming_fan_out, "dtype": dtype, "rngs": rngs}
        self.conv1 = Conv(inputs, width, (3, 3), stride=stride, **options)
        self.norm1 = BatchNorm(width, dtype=dtype, rngs=rngs)
        self.conv2 = Conv(width, width, (3, 3), **options)
        self.norm2 = BatchNorm(
            width, scale_init=nnx.initializers.zeros, dtype=dtype, rngs=rngs
        )
        self.shortcut = (
            Shortcut(inputs, width, stride, dtype=dtype, rngs=rngs)
            if stride > 1 or inputs != width
            else None
        )

    def __call__(
        self, image: Float[Array, "n h w c"], mask: Bool[Array, " n"] | None
    ) -> Float[Array, "n i j k"]:
        """The block's change of its input, added to it."""
        x = nnx.relu(self.norm1(self.conv1(image), mask))
        x = self.norm2(self.conv2(x), mask)
        return nnx.relu(x + (self.shortcut(image, mask) if self.shortcut else image))


class Bottleneck(nnx.Module):
    """1x1, 3x3 and 1x1 convolutions, the last four times wider, and a shortcut."""

    expansion = 4

    def __init__(
        self, inputs: int, width: int, stride: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ):
        options = {"kernel_init": kaiming_fan_out, "dtype": dtype, "rngs": rngs}
        outputs = width * self.expansion
        self.conv1 = PointwiseConv(inputs, width, **options)
        self.norm1 = BatchNorm(width, dtype=dtype, rngs=rngs)
        self.conv2 = Conv(width, width, (3, 3), stride=stride, **options)
        self.norm2 = BatchNorm(width, dtype=dtype, rngs=rngs)
        self.conv3 = PointwiseConv(width, outputs, **options)
        self.norm3 = BatchNorm(
            outputs, scale_init=nnx.initializers.zeros, dtype=dtype, rngs=rngs
        )
        self.shortcut = (
            Shortcut(inputs, outputs, stride, dtype=dtype, rngs=rngs)
            if stride > 1 or inputs != outputs
            else None
        )

    def __call__(
        self, image: Float[Array, "n h w c"], mask: Bool[Array, " n"] | None
    ) -> Float[Array, "n i j k"]:
        """The block's change of its input, added to it."""
        x = nnx.relu(self.norm1(self.conv1(image), mask))
        x = nnx.relu(self.norm2(self.conv2(x), mask))
        x = self.norm3(self.conv3(x), mask)
        return nnx.relu(x + (self.shortcut(image, mask) if self.shortcut else image))


class ResNet(nnx.Module):
    """An image to one vector: stem, four stages of blocks, global average.

    `features` is the vector's length; `blocks` are the blocks of each stage, `width`
    the channels of the stem and of the first stage, 64 if not given.
    """

    TORCH_NAMES: ClassVar[Names] = (
        (r"^stem\.conv\b", "conv1"),
        (r"^stem\.norm\b", "bn1"),
        (r"^stages\.(\d+)\.", "layer<0>."),
        (r"\bnorm(\d)\b", r"bn\1"),
        (r"\bshortcut\.conv\b", "downsample.0"),
        (r"\bshortcut\.norm\b", "downsample.1"),
    )
    TORCH_HEAD = "fc"
    block: ClassVar[type[BasicBlock] | type[Bottleneck]]
    blocks: ClassVar[tuple[int, ...]]

    def __init__(self, given: Given, *, width: int | None = None):
        width = encoder_width(width, published=64)
        self.remat = given.remat
        self.stem = Stem(given, width, kernel_init=kaiming_fan_out)
        inputs, stages = width, []
        for i, count in enumerate(self.blocks):
            stage = []
            for j in range(count):
                stride = 2 if i > 0 and j == 0 else 1
                stage.append(self.block(inputs, width * 2**i, stride, **given.layer))
                inputs = width * 2**i * self.block.expansion
            stages.append(nnx.List(stage))
        self.stages = nnx.List(stages)
        self.features = inputs

    def in_order(self) -> list[list[nnx.Module]]:
        """The stem, and the blocks of each of the four stages."""
        return [[self.stem], *([*stage] for stage in self.stages)]

    def __call__(
        self, image: Float[Array, "n h w c"], mask: Bool[Array, " n"] | None = None
    ) -> Float[Array, "n d"]:
        """Pooled features; where `mask` is false, an image is in no batch statistic."""
        return global_average(self.feature_map(image, mask))

    def feature_map(
        self, image: Float[Array, "n h w c"], mask: Bool[Array, " n"] | None = None
    ) -> Float[Array, "n i j d"]:
        """The features before they are averaged over the image."""
        return self.stage_maps(image, mask)[-1]

    def stage_maps(
        self, image: Float[Array, "n h w c"], mask: Bool[Array, " n"] | None = None
    ) -> list[Float[Array, "n _ _ _"]]:
        """The features behind each stage, of strides 4, 8, 16 and 32."""
        return self._stages(call(self.stem, image, mask, remat=self.remat), mask)

    @property
    def pyramid_channels(self) -> dict[int, int]:
        """The channels of each stride of `pyramid`."""
        first = self.stem.conv.out_features
        stages = range(len(self.stages))
        wide = {4 * 2**i: first * 2**i * self.block.expansion for i in stages}
        return {2: first} | wide

    def pyramid(
        self, image: Float[Array, "n h w c"], mask: Bool[Array, " n"] | None = None
    ) -> dict[int, Float[Array, "n _ _ _"]]:
        """The features at each stride: of 2 before the pool, then behind each stage.

        An axis is as long as the image's, divided by the stride and rounded up.
        """
        half = call(self.stem, image, mask, remat=self.remat, method="half")
        stages = self._stages(max_pool(half), mask)
        return {2: half} | {4 * 2**i: stage for i, stage in enumerate(stages)}

    def _stages(
        self, x: Float[Array, "n h w c"], mask: Bool[Array, " n"] | None
    ) -> list[Float[Array, "n _ _ _"]]:
        found = []
        for stage in self.stages:
            for block in stage:
                x = call(block, x, mask, remat=self.remat)
            found.append(x)
        return found


class ResNet18(ResNet):
    """Two plain blocks a stage."""

    block, blocks = BasicBlock, (2, 2, 2, 2)


class ResNet50(ResNet):
    """Bottlenecks, most of them in the third stage."""

    block, blocks = Bottleneck, (3, 4, 6, 3)


class ResNet18Classifier(ImageClassifier):
    """ResNet-18 for images."""

    encoder_kind = ResNet18


class ResNet50Classifier(ImageClassifier):
    """ResNet-50 for images."""

    encoder_kind = ResNet50


ENCODERS = {"resnet18": ResNet18, "resnet50": ResNet50}
NETWORKS = {"resnet18": ResNet18Classifier, "resnet50": ResNet50Classifier}
