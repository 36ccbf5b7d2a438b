"""FusionLungNet (arXiv 2410.15812; Biomed. Signal Process. Control 2025): lungs on CT.

A ResNet-50 whose last map attends to itself, is refined, and is multiplied into each
finer map on the way back; a small U-Net corrects what comes out. It is a network of CT
slices: its published results say nothing of ultrasound.

Differences from the published code: logits leave it, no sigmoids; the backbone starts
as timm's (the last norm of each block at zero) unless ImageNet's weights are given to
it, as the original always does (`init_part="encoder"`). Features are multiplied with
features: with weights as they are drawn and statistics that no training has moved,
values can grow beyond any bound, so that an untrained network says nothing.
"""

from collections.abc import Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from ultrasound_jax.models._parts.doubled import doubled, resized
from ultrasound_jax.models._parts.filled import filled
from ultrasound_jax.models._parts.given import Given
from ultrasound_jax.models._parts.halving import halved
from ultrasound_jax.models._parts.layers import (
    BatchNorm,
    Conv,
    PointwiseConv,
    call,
    global_average,
    widened,
)
from ultrasound_jax.models._parts.normalisation import Normalisation
from ultrasound_jax.models._parts.torch_names import Names
from ultrasound_jax.models.resnet import ResNet, ResNet50

STRIDE = 32  # of the deepest map
LEVELS = (2, 3, 4, 5)  # of the maps, of strides 4 to 32
REFINED = 4  # how often the last U-Net halves


def conv(
    given: Given, inputs: int, outputs: int, window: Sequence[int] = (3, 3)
) -> Conv:
    """A padded convolution whose bias starts at zero."""
    made = Conv(inputs, outputs, window, bias=True, **given.layer)
    made.bias = nnx.Param(jnp.zeros(outputs))
    return made


def pointwise(given: Given, inputs: int, outputs: int) -> PointwiseConv:
    """The same of 1x1, as a matrix product."""
    made = PointwiseConv(inputs, outputs, bias=True, **given.layer)
    made.bias = nnx.Param(jnp.zeros(outputs))
    return made


class NormedConv(nnx.Module):
    """A 3x3 convolution with a bias (1x1 if told), batch norm and ReLU."""

    def __init__(self, given: Given, inputs: int, outputs: int, *, wide: bool = True):
        self.conv = (conv if wide else pointwise)(given, inputs, outputs)
        self.norm = BatchNorm(outputs, **given.layer)

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w k"]:
        """Convolve and normalise."""
        return nnx.relu(self.norm(self.conv(x)))


class ChannelAttention(nnx.Module):
    """The deepest map, each channel of it weighed by the whole of a map."""

    TORCH_NAMES: ClassVar[Names] = (
        (r"^narrow\.conv\b", "conv0"),
        (r"^narrow\.norm\b", "bn0"),
        (r"^mix\.conv\b", "conv2"),
        (r"^mix\.norm\b", "bn1"),
        (r"^ask\b", "conv1"),
        (r"^columns\b", "conv31"),
        (r"^rows\b", "conv13"),
    )

    def __init__(self, given: Given, inputs: int, outputs: int):
        self.narrow = NormedConv(given, inputs, outputs, wide=False)
        self.mix = NormedConv(given, outputs, outputs)
        self.ask = pointwise(given, inputs, outputs)
        self.columns = conv(given, outputs, outputs, (3, 1))
        self.rows = conv(given, outputs, outputs, (1, 3))

    def __call__(
        self, image: Float[Array, "b h w c"], asked: Float[Array, "b h w c"]
    ) -> Float[Array, "b h w k"]:
        """The map of fewer channels, each times a number from 0 to 1."""
        gate = nnx.relu(self.ask(asked))
        gate = nnx.relu(self.rows(nnx.relu(self.columns(gate))))
        gate = jax.nn.sigmoid(global_average(gate))
        return self.mix(self.narrow(image)) * gate[:, None, None]


class Refinement(nnx.Module):
    """A map times one that is made of it, plus another that is."""

    TORCH_NAMES: ClassVar[Names] = (
        (r"^mix\.conv\b", "conv1"),
        (r"^mix\.norm\b", "bn1"),
        (r"^both\b", "conv2"),
    )

    def __init__(self, given: Given, features: int):
        self.mix = NormedConv(given, features, features)
        self.both = conv(given, features, 2 * features)

    def __call__(self, image: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        """Refined, zero or more."""
        x = self.mix(image)
        weight, bias = jnp.split(self.both(x), 2, -1)
        return nnx.relu(weight * x + bias)


class Fusion(nnx.Module):
    """An encoder's map, the next deeper one and the deepest, each times each other."""

    TORCH_NAMES: ClassVar[Names] = (
        (r"^convs\.(\d)\.conv\b", r"conv\1"),
        (r"^convs\.(\d)\.norm\b", r"bn\1"),
    )

    def __init__(self, given: Given, inputs: int, features: int):
        self.convs = nnx.List(
            NormedConv(given, size, features)
            for size in (inputs, features, features, 3 * features)
        )

    def __call__(
        self,
        left: Float[Array, "b h w c"],
        down: Float[Array, "b i j d"],
        right: Float[Array, "b k l d"],
    ) -> Float[Array, "b h w d"]:
        """One map of the finest one's size."""
        left, down, right = (
            layer(x)
            for layer, x in zip(self.convs[:3], (left, down, right), strict=True)
        )
        size = left.shape[1:3]
        down, right = resized(down, size), resized(right, size)
        both = jnp.concatenate([left * down, left * right, right * down], -1)
        return self.convs[3](both)


class Refiner(nnx.Module):
    """A small U-Net over logits, which adds to them what they lack."""

    TORCH_NAMES: ClassVar[Names] = (
        (r"^enter\b", "conv0"),
        (r"^encoders\.(\d)\.conv\b", "conv<0>"),
        (r"^encoders\.(\d)\.norm\b", "bn<0>"),
        (r"^decoders\.(\d)\.conv\b", "conv_d<0>"),
        (r"^decoders\.(\d)\.norm\b", "bn_d<0>"),
        (r"^leave\b", "conv_d0"),
    )

    def __init__(self, given: Given, outputs: int, features: int):
        self.enter = conv(given, outputs, features)
        self.encoders = nnx.List(
            NormedConv(given, features, features) for _ in range(REFINED + 1)
        )
        self.decoders = nnx.List(
            NormedConv(given, 2 * features, features) for _ in range(REFINED)
        )
        self.leave = conv(given, features, outputs)
        self.remat = given.remat

    def __call__(self, logits: Float[Array, "b h w k"]) -> Float[Array, "b h w k"]:
        """Corrected logits, of sides that can be halved four times."""
        x, skipped = self.enter(logits), []
        *encoders, bottom = self.encoders
        for encoder in encoders:
            skipped.append(call(encoder, x, remat=self.remat))
            x = halved(skipped[-1])
        x = call(bottom, x, remat=self.remat)
        levels = list(zip(self.decoders, skipped, strict=True))
        for decoder, beside in reversed(levels):
            x = jnp.concatenate([doubled(x), beside], -1)
            x = call(decoder, x, remat=self.remat)
        return logits + self.leave(x)


class FusionLungNet(nnx.Module):
    """ResNet-50, attention over its last map, fusion with each finer one, correction.

    Returns logits of the image's size, `b h w k`: `refined`, which is `logits` and
    `head0` as well, and `head2` … `head5`, which are made of the maps of strides 4, 8,
    16 and 32. All five are trained. `width` is of the backbone and of the U-Net that
    corrects; all between have four times as many channels.

    Sides need not be multiples of 32: the last row and column are repeated to there,
    and what was added is cut off again.
    """

    # The original gives red's mean and spread to all three copies of a grey image.
    NORMALISATION: ClassVar[Normalisation] = Normalisation((0.485,) * 3, (0.229,) * 3)
    TORCH_NAMES: ClassVar[Names] = (
        (r"^encoder\b", "bkbone"),
        (r"^attention\b", "ca55"),
        (r"^fusions\.(\d)\b", r"fam\1"),
        (r"^refinements\.(\d)\b", "srm<0+2>"),
        (r"^heads\.(\d)\b", "linear<0+2>"),
        (r"^refiner\b", "refunet"),
        (r"\bfam0\b", "fam23"),
        (r"\bfam1\b", "fam34"),
        (r"\bfam2\b", "fam45"),
    )
    backbone: ClassVar[type[ResNet]] = ResNet50

    def __init__(self, given: Given, *, width: int | None = None):
        self.remat = given.remat
        self.encoder = self.backbone(given, width=width)
        channels = self.encoder.pyramid_channels
        features, width = channels[4], channels[2]
        self.attention = ChannelAttention(given, channels[STRIDE], features)
        self.fusions = nnx.List(
            Fusion(given, channels[stride], features) for stride in (4, 8, 16)
        )
        self.refinements = nnx.List(Refinement(given, features) for _ in LEVELS)
        self.heads = nnx.List(conv(given, features, given.outputs) for _ in LEVELS)
        self.refiner = Refiner(given, given.outputs, width)

    def __call__(
        self, image: Float[Array, "b h w c"], *, rngs: nnx.Rngs | None = None
    ) -> dict[str, Array]:
        """Segment; `rngs` is taken so that all networks are called alike."""
        del rngs
        height, width = image.shape[1:3]
        image = filled(image, STRIDE)
        *finer, deepest = self.encoder.stage_maps(image)
        x = call(self.attention, deepest, deepest, remat=self.remat)
        *refinements, first = self.refinements
        maps = [top := call(first, x, remat=self.remat)]
        levels = list(zip(self.fusions, finer, refinements, strict=True))
        for fusion, left, refinement in reversed(levels):
            x = call(fusion, left, maps[0], top, remat=self.remat)
            maps.insert(0, call(refinement, x, remat=self.remat))
        found = [
            resized(head(x), image.shape[1:3])
            for head, x in zip(self.heads, maps, strict=True)
        ]
        names = [f"head{level}" for level in LEVELS]
        heads = {"head0": self.refiner(found[0])} | dict(zip(names, found, strict=True))
        cut = {name: widened(x)[:, :height, :width] for name, x in heads.items()}
        return {"logits": cut["head0"], "refined": cut["head0"], **cut}


NETWORKS = {"fusionlungnet": FusionLungNet}
