"""MedNeXt (Roy et al., MICCAI 2023) in two dimensions, as the PU2756 study trains it.

A U-Net of ConvNeXt blocks: a depth-wise convolution, a norm of each channel, twice as
many channels in between. Differences from the paper, the study's: 3x3 kernels, two
blocks everywhere, images. The study also leaves out what gives the block its name, the
input added to its output (`residual=False`); here it is added, as in the paper. A
number `dummy_tensor` that the study's code makes and never uses is not here, and is
ignored where a file has it. Starting values are PyTorch's defaults.
"""

from collections.abc import Iterable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from ultrasound_jax.models._parts.checks import require, require_counts
from ultrasound_jax.models._parts.depthwise import depthwise_image_conv
from ultrasound_jax.models._parts.depthwise_up import depthwise_image_up
from ultrasound_jax.models._parts.filled import filled
from ultrasound_jax.models._parts.given import Given
from ultrasound_jax.models._parts.group_norm import GroupNorm
from ultrasound_jax.models._parts.initialisers import torch_uniform
from ultrasound_jax.models._parts.layers import (
    Conv,
    Layout,
    PointwiseConv,
    call,
    widened,
)
from ultrasound_jax.models._parts.normalisation import Normalisation
from ultrasound_jax.models._parts.one_channel import pixel_scale
from ultrasound_jax.models._parts.stem import StemConv
from ultrasound_jax.models._parts.torch_names import Names

EXPANSION = 2
DEEPEST = 7  # below it the widths would take tens of gigabytes


def bias_of(layer: Any, x: Float[Array, "n h w c"]) -> Float[Array, " c"]:
    """A layer's bias in the dtype of what it is added to."""
    return layer.bias[...].astype(x.dtype)


class Depthwise(Conv):
    """Each channel mixed by a 3x3 kernel and a bias of its own."""

    def __init__(self, given: Given, features: int, stride: int = 1):
        options = {"groups": features, "bias": True, "kernel_init": torch_uniform}
        super().__init__(features, features, (3, 3), **options, **given.layer)
        self.stride = stride

    def __call__(self, image: Float[Array, "n h w c"]) -> Float[Array, "n i j c"]:
        """Mix every `stride`-th pixel with its neighbours."""
        kernel = self.kernel[...][..., 0, :]
        x = depthwise_image_conv(image, kernel, stride=self.stride, dtype=image.dtype)
        return x + bias_of(self, x)


class DepthwiseUp(Depthwise):
    """The same transposed: 2 h - 1 rows and as many columns of h."""

    def __call__(self, image: Float[Array, "n h w c"]) -> Float[Array, "n i j c"]:
        """Spread each pixel over its neighbours."""
        x = depthwise_image_up(image, self.kernel[...][..., 0, :], dtype=image.dtype)
        return x + bias_of(self, x)


class TurnedPointwise(PointwiseConv):
    """A 1x1 transposed convolution of stride 1: only its file's layout is another."""

    def torch_layout(self) -> dict[str, Layout]:
        """By input and output there and here."""
        shape = (self.in_features, self.out_features, 1, 1)
        return {"kernel": Layout("weight", shape, lambda value: value[:, :, 0, 0])}


class Block(nnx.Module):
    """A depth-wise convolution, a norm, and a 1x1 perceptron to `outputs` channels."""

    def __init__(
        self,
        given: Given,
        inputs: int,
        outputs: int,
        *,
        first: Depthwise | None = None,
        residual: bool = False,
    ):
        pointwise = {"bias": True, "kernel_init": torch_uniform, **given.layer}
        self.conv1 = first or Depthwise(given, inputs)
        self.norm = GroupNorm(inputs, inputs, **given.layer)
        self.conv2 = PointwiseConv(inputs, EXPANSION * inputs, **pointwise)
        self.conv3 = PointwiseConv(EXPANSION * inputs, outputs, **pointwise)
        self.residual = residual

    def __call__(self, image: Float[Array, "b h w c"]) -> Float[Array, "b i j k"]:
        """Mix in space, then the channels; with `residual` added to the input."""
        x = self.conv2(self.norm(self.conv1(image)))
        x = self.conv3(nnx.gelu(x, approximate=False))
        return x + image if self.residual else x


class Down(Block):
    """A block of half the size and twice the channels, beside a 1x1 convolution."""

    def __init__(self, given: Given, features: int):
        first = Depthwise(given, features, stride=2)
        super().__init__(given, features, 2 * features, first=first)
        options = {"stride": 2, "bias": True, "kernel_init": torch_uniform}
        self.shortcut = PointwiseConv(features, 2 * features, **options, **given.layer)

    def __call__(self, image: Float[Array, "b h w c"]) -> Float[Array, "b i j k"]:
        """Half as many rows and columns, rounded up."""
        return super().__call__(image) + self.shortcut(image)


class Up(Block):
    """A block of twice the size and half the channels, beside a 1x1 convolution.

    Both transposed convolutions make 2 h - 1 rows of h; the first row and column are
    zeros then.
    """

    def __init__(self, given: Given, features: int):
        first = DepthwiseUp(given, features)
        super().__init__(given, features, features // 2, first=first)
        options = {"bias": True, "kernel_init": torch_uniform}
        self.shortcut = TurnedPointwise(
            features, features // 2, **options, **given.layer
        )

    def __call__(self, image: Float[Array, "b h w c"]) -> Float[Array, "b i j k"]:
        """Twice as many rows and columns."""
        # The shortcut's bias is at every pixel, its product at every other one only.
        x = super().__call__(image)
        x = jnp.pad(x + bias_of(self.shortcut, x), ((0, 0), (1, 0), (1, 0), (0, 0)))
        shortcut = image.astype(x.dtype) @ self.shortcut.kernel[...].astype(x.dtype)
        zero, apart, none = jnp.zeros((), x.dtype), (1, 0, 1), (0, 0, 0)
        return x + jax.lax.pad(shortcut, zero, (none, apart, apart, none))


class MedNeXt(nnx.Module):
    """Blocks on ever coarser images and back, with what was lost added.

    Returns `head0` … `head4` `b i j k`, logits at the whole size and at a half, a
    quarter, an eighth and a sixteenth of it, and `logits`, which are `head0`. `width`
    is the channels at the top, `depth` how often the image is halved, `blocks` how many
    are at each size. `residual` adds a block's input to its output.

    Sides need not be multiples of 2^depth: the last row and column are repeated to
    there, and what was added is cut off again (of a coarser head, rounded up).
    """

    NORMALISATION: ClassVar[Normalisation] = Normalisation((0.0,), (1.0,))
    TORCH_NAMES: ClassVar[Names] = (
        (r"^encoders\.(\d+)\b", r"enc_block_\1"),
        (r"^decoders\.(\d+)\b", r"dec_block_\1"),
        (r"^downs\.(\d+)\b", r"down_\1"),
        (r"^ups\.(\d+)\b", r"up_\1"),
        (r"^heads\.(\d+)\b", r"out_\1.conv_out"),
        (r"\bshortcut\b", "res_conv"),
    )
    TORCH_UNUSED: ClassVar[tuple[str, ...]] = (r"dummy_tensor$",)

    def __init__(
        self,
        given: Given,
        *,
        residual: bool = True,
        width: int = 32,
        depth: int = 4,
        blocks: int = 2,
    ):
        require_counts(width=width, depth=depth, blocks=blocks)
        require(depth <= DEEPEST, "depth", depth, f"1 to {DEEPEST}")
        require(isinstance(residual, bool), "residual", residual, "True or False")
        given, self.pixels = pixel_scale(given)
        self.remat = given.remat
        widths = [width * 2**level for level in range(depth + 1)]

        def stage(features: int) -> nnx.List:
            return nnx.List(
                Block(given, features, features, residual=residual)
                for _ in range(blocks)
            )

        self.stem = StemConv(
            given, width, (1, 1), stride=1, bias=True, kernel_init=torch_uniform
        )
        self.encoders = nnx.List(stage(features) for features in widths[:-1])
        self.downs = nnx.List(Down(given, features) for features in widths[:-1])
        self.bottleneck = stage(widths[-1])
        self.ups = nnx.List(Up(given, features) for features in widths[1:])
        self.decoders = nnx.List(stage(features) for features in widths[:-1])
        options = {"bias": True, "kernel_init": torch_uniform, **given.layer}
        self.heads = nnx.List(
            TurnedPointwise(features, given.outputs, **options) for features in widths
        )

    def __call__(
        self, image: Float[Array, "b h w c"], *, rngs: nnx.Rngs | None = None
    ) -> dict[str, Array]:
        """Segment; `rngs` is taken so that all networks are called alike."""
        del rngs
        height, width = image.shape[1:3]
        x = self.stem(self.pixels(filled(image, 2 ** len(self.downs))))
        skipped = []
        for stage, down in zip(self.encoders, self.downs, strict=True):
            skipped.append(self._through(stage, x))
            x = call(down, skipped[-1], remat=self.remat)
        maps = [self._through(self.bottleneck, x)]
        levels = list(zip(self.ups, skipped, self.decoders, strict=True))
        for up, beside, stage in reversed(levels):
            x = beside + call(up, maps[-1], remat=self.remat)
            maps.append(self._through(stage, x))
        found = {}
        for level, head in enumerate(self.heads):
            logits = widened(head(maps[-1 - level]))
            rows, columns = (-(-side // 2**level) for side in (height, width))
            found[f"head{level}"] = logits[:, :rows, :columns]
        return {"logits": found["head0"], **found}

    def _through(self, stage: Iterable[Block], x: Float[Array, "b h w c"]) -> Array:
        for block in stage:
            x = call(block, x, remat=self.remat)
        return x


NETWORKS = {"mednext": MedNeXt}
