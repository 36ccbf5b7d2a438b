"""DenseNet (Huang et al., CVPR 2017), as torchvision and timm publish it.

Bottleneck layers, halving transitions, and a ReLU after the last norm.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from ultrasound_jax.models._parts.layers import (
    BatchNorm,
    Conv,
    PointwiseConv,
    average_pool,
    call,
    global_average,
)
from ultrasound_jax.models._parts.stem import Stem

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
    the channels of the stem and twice the channels that a layer adds.
    """

    def __init__(
        self,
        layers: Sequence[int],
        *,
        width: int = 64,
        channels: int = 3,
        grey_scale: Sequence[float] | None = None,
        grey_offset: Sequence[float] | None = None,
        dtype: DTypeLike = jnp.float32,
        remat: bool = False,
        rngs: nnx.Rngs,
    ):
        self.remat = remat
        self.stem = Stem(
            channels,
            width,
            grey_scale=grey_scale,
            grey_offset=grey_offset,
            dtype=dtype,
            rngs=rngs,
        )
        growth, inputs, blocks, transitions = width // 2, width, [], []
        for i, count in enumerate(layers):
            blocks.append(
                DenseBlock(inputs, growth, count, dtype=dtype, remat=remat, rngs=rngs)
            )
            inputs += count * growth
            if i < len(layers) - 1:
                transitions.append(Transition(inputs, dtype=dtype, rngs=rngs))
                inputs //= 2
        self.blocks = nnx.List(blocks)
        self.transitions = nnx.List(transitions)
        self.norm = BatchNorm(inputs, dtype=dtype, rngs=rngs)
        self.features = inputs

    def __call__(
        self, image: Float[Array, "n h w c"], mask: Bool[Array, " n"] | None = None
    ) -> Float[Array, "n d"]:
        """Pooled features; where `mask` is false, an image is in no batch statistic."""
        return global_average(self.feature_map(image, mask))

    def feature_map(
        self, image: Float[Array, "n h w c"], mask: Bool[Array, " n"] | None = None
    ) -> Float[Array, "n i j d"]:
        """The features before they are averaged over the image."""
        x = call(self.stem, image, mask, remat=self.remat)
        features = self.blocks[0](x, mask)
        for transition, block in zip(self.transitions, self.blocks[1:], strict=True):
            x = call(transition, features, mask, remat=self.remat)
            features = block(x, mask)
        return nnx.relu(self.norm(jnp.concatenate(features, -1), mask))
