"""DenseNet (Huang et al., CVPR 2017), as torchvision and timm publish it.

Bottleneck layers, halving transitions, and a ReLU after the last norm.
"""

from typing import ClassVar

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from ultrasound_jax.models._parts.encoders import encoder_width
from ultrasound_jax.models._parts.given import Given
from ultrasound_jax.models._parts.image_classifier import ImageClassifier
from ultrasound_jax.models._parts.layers import (
    BatchNorm,
    Conv,
    PointwiseConv,
    average_pool,
    call,
    global_average,
)
from ultrasound_jax.models._parts.max_pool import max_pool
from ultrasound_jax.models._parts.stem import Stem
from ultrasound_jax.models._parts.torch_names import Names

Features = tuple[Float[Array, "n h w _"], ...]


class DenseLayer(nnx.Module):
    """Adds `growth` channels from all that came before, through a 1x1 bottleneck.

    It takes the earlier features apart and joins them itself, so that with
    rematerialisation only each layer's own output is kept: memory grows linearly with
    depth, not quadratically (Pleiss et al., arXiv:1707.06990).
    """

    def __init__(self, inputs: int, growth: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        self.norm1 = BatchNorm(inputs, dtype=dtype, rngs=rngs)
        self.conv1 = PointwiseConv(inputs, 4 * growth, dtype=dtype, rngs=rngs)
        self.norm2 = BatchNorm(4 * growth, dtype=dtype, rngs=rngs)
        self.conv2 = Conv(4 * growth, growth, (3, 3), dtype=dtype, rngs=rngs)

    def __call__(
        self, earlier: Features, mask: Bool[Array, " n"] | None
    ) -> Float[Array, "n h w g"]:
        """The channels that this layer adds."""
        x = jnp.concatenate(earlier, -1)
        x = self.conv1(nnx.relu(self.norm1(x, mask)))
        return self.conv2(nnx.relu(self.norm2(x, mask)))


class DenseBlock(nnx.Module):
    """Layers of one resolution; what leaves is everything that entered or was added."""

    def __init__(
        self,
        inputs: int,
        growth: int,
        layers: int,
        *,
        dtype: DTypeLike,
        remat: bool,
        rngs: nnx.Rngs,
    ):
        self.remat = remat
        self.layers = nnx.List(
            DenseLayer(inputs + i * growth, growth, dtype=dtype, rngs=rngs)
            for i in range(layers)
        )

    def __call__(
        self, image: Float[Array, "n h w c"], mask: Bool[Array, " n"] | None
    ) -> Features:
        """The input, then each layer's own channels, still apart."""
        features = (image,)
        for layer in self.layers:
            features += (call(layer, features, mask, remat=self.remat),)
        return features


class Transition(nnx.Module):
    """Halves the channels and the size."""

    def __init__(self, inputs: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        self.norm = BatchNorm(inputs, dtype=dtype, rngs=rngs)
        self.conv = PointwiseConv(inputs, inputs // 2, dtype=dtype, rngs=rngs)

    def __call__(
        self, features: Features, mask: Bool[Array, " n"] | None
    ) -> Float[Array, "n i j k"]:
        """Join, normalise, mix and shrink."""
        x = nnx.relu(self.norm(jnp.concatenate(features, -1), mask))
        return average_pool(self.conv(x))


class DenseNet(nnx.Module):
    """An image to one vector: stem, dense blocks with transitions between, average.

    `features` is the vector's length; `layers` are the layers of each block, `width`
    the channels of the stem and twice the channels that a layer adds, the published
    ones if not given.
    """

    TORCH_NAMES: ClassVar[Names] = (
        (r"^stem\.conv\b", "features.conv0"),
        (r"^stem\.norm\b", "features.norm0"),
        (r"^blocks\.(\d+)\.layers\.(\d+)", "features.denseblock<0>.denselayer<1>"),
        (r"^transitions\.(\d+)", "features.transition<0>"),
        (r"^norm\b", "features.norm5"),
    )
    # torchvision's first DenseNets had a dot there, as their published files have.
    TORCH_OLD_NAMES: ClassVar[Names] = (
        (r"(denselayer\d+\.(?:norm|conv))\.([12]\.)", r"\1\2"),
    )
    TORCH_HEAD = "classifier"
    layers: ClassVar[tuple[int, ...]]
    published_width: ClassVar[int] = 64

    def __init__(self, given: Given, *, width: int | None = None):
        width = encoder_width(width, self.published_width)
        self.remat = given.remat
        self.stem = Stem(given, width)
        growth, inputs, blocks, transitions = width // 2, width, [], []
        for i, count in enumerate(self.layers):
            blocks.append(
                DenseBlock(inputs, growth, count, remat=given.remat, **given.layer)
            )
            inputs += count * growth
            if i < len(self.layers) - 1:
                transitions.append(Transition(inputs, **given.layer))
                inputs //= 2
        self.blocks = nnx.List(blocks)
        self.transitions = nnx.List(transitions)
        self.norm = BatchNorm(inputs, **given.layer)
        self.features = inputs

    def in_order(self) -> list[list[nnx.Module]]:
        """The stem, and each block with what leads to it; the last norm with the last.

        A stage is four, with the stem five.
        """
        first, *others = self.blocks
        later = [[*pair] for pair in zip(self.transitions, others, strict=True)]
        return [[self.stem], [first], *later[:-1], [*later[-1], self.norm]]

    def __call__(
        self, image: Float[Array, "n h w c"], mask: Bool[Array, " n"] | None = None
    ) -> Float[Array, "n d"]:
        """Pooled features; where `mask` is false, an image is in no batch statistic."""
        return global_average(self.feature_map(image, mask))

    def feature_map(
        self, image: Float[Array, "n h w c"], mask: Bool[Array, " n"] | None = None
    ) -> Float[Array, "n i j d"]:
        """The features before they are averaged over the image."""
        return self._normed(self._blocks(image, mask, joined=False)[-1], mask)

    def stage_maps(
        self, image: Float[Array, "n h w c"], mask: Bool[Array, " n"] | None = None
    ) -> list[Float[Array, "n _ _ _"]]:
        """The features behind each block, of strides 4, 8, 16 and 32; the last normed.

        Features are joined before the next block takes them, so that more is kept for a
        gradient than `feature_map` keeps.
        """
        *earlier, last = self._blocks(image, mask, joined=True)
        return [*(x for (x,) in earlier), self._normed(last, mask)]

    @property
    def pyramid_channels(self) -> dict[int, int]:
        """The channels of each stride of `pyramid`."""
        found, inputs = {2: self.stem.conv.out_features}, self.stem.conv.out_features
        for place, count in enumerate(self.layers):
            inputs += count * (self.stem.conv.out_features // 2)
            found[4 * 2**place] = inputs
            inputs //= 2
        return found

    def pyramid(
        self, image: Float[Array, "n h w c"], mask: Bool[Array, " n"] | None = None
    ) -> dict[int, Float[Array, "n _ _ _"]]:
        """The features at each stride: of 2 before the pool, then behind each block.

        The last ones are normed. Sides are the image's divided by the stride where they
        are its multiples.
        """
        half = call(self.stem, image, mask, remat=self.remat, method="half")
        *earlier, last = self._behind_stem(max_pool(half), mask, joined=True)
        levels = [*(x for (x,) in earlier), self._normed(last, mask)]
        return {2: half} | {4 * 2**i: level for i, level in enumerate(levels)}

    def _blocks(
        self,
        image: Float[Array, "n h w c"],
        mask: Bool[Array, " n"] | None,
        *,
        joined: bool,
    ) -> list[tuple[Float[Array, "n _ _ _"], ...]]:
        x = call(self.stem, image, mask, remat=self.remat)
        return self._behind_stem(x, mask, joined=joined)

    def _behind_stem(
        self,
        x: Float[Array, "n h w c"],
        mask: Bool[Array, " n"] | None,
        *,
        joined: bool,
    ) -> list[tuple[Float[Array, "n _ _ _"], ...]]:
        """What leaves each block: layers' channels apart, or `joined` as one."""
        found: list[tuple[Array, ...]] = []
        for place, block in enumerate(self.blocks):
            features = block(x, mask)
            if joined:
                features = (jnp.concatenate(features, -1),)
            found.append(features)
            if place < len(self.transitions):
                x = call(self.transitions[place], features, mask, remat=self.remat)
        return found

    def _normed(
        self, features: Features, mask: Bool[Array, " n"] | None
    ) -> Float[Array, "n i j d"]:
        return nnx.relu(self.norm(jnp.concatenate(features, -1), mask))


class DenseNet121(DenseNet):
    """121 layers, of which 58 are dense layers of two convolutions."""

    layers = (6, 12, 24, 16)


class DenseNet161(DenseNet):
    """161 layers, half as wide again."""

    layers, published_width = (6, 12, 36, 24), 96


class DenseNet121Classifier(ImageClassifier):
    """DenseNet-121 for images."""

    encoder_kind = DenseNet121


class DenseNet161Classifier(ImageClassifier):
    """DenseNet-161 for images."""

    encoder_kind = DenseNet161


ENCODERS = {"densenet121": DenseNet121, "densenet161": DenseNet161}
NETWORKS = {
    "densenet121": DenseNet121Classifier,
    "densenet161": DenseNet161Classifier,
}
