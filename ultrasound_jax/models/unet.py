"""U-Net (Ronneberger et al., MICCAI 2015), as the PU2756 study trains it.

Differences from the paper, all of them the study's: convolutions are padded, so that a
mask is as large as its image; each has a batch norm; 32 channels at the top, not 64.
The study's sigmoid is not in the network: losses and tasks want logits.
"""

from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from ultrasound_jax.models._parts.checks import require, require_counts
from ultrasound_jax.models._parts.given import Given
from ultrasound_jax.models._parts.halving import halved
from ultrasound_jax.models._parts.initialisers import uniform_bias
from ultrasound_jax.models._parts.layers import (
    BatchNorm,
    Conv,
    Layout,
    PointwiseConv,
    call,
)
from ultrasound_jax.models._parts.stem import StemConv
from ultrasound_jax.models._parts.torch_names import Names


class DoubleConv(nnx.Module):
    """Two 3x3 convolutions, each with batch norm and ReLU.

    `first` is the first of them where it is not a plain one.
    """

    def __init__(
        self, given: Given, inputs: int, outputs: int, *, first: Conv | None = None
    ):
        self.conv1 = first or Conv(inputs, outputs, (3, 3), **given.layer)
        self.norm1 = BatchNorm(outputs, **given.layer)
        self.conv2 = Conv(outputs, outputs, (3, 3), **given.layer)
        self.norm2 = BatchNorm(outputs, **given.layer)

    def __call__(self, image: Float[Array, "b h w c"]) -> Float[Array, "b h w k"]:
        """Convolve twice."""
        x = nnx.relu(self.norm1(self.conv1(image)))
        return nnx.relu(self.norm2(self.conv2(x)))


class UpConv(nnx.Module):
    """A 2x2 transposed convolution of stride 2: every pixel becomes four of its own.

    Nothing overlaps, so it is one matrix product and a reshape; XLA's own transposed
    convolution is far slower on some devices.
    """

    def __init__(self, given: Given, inputs: int, outputs: int):
        fan_in, key = 4 * outputs, given.rngs.params  # fan in as PyTorch counts it
        kernel = uniform_bias(fan_in, key(), (inputs, 4 * outputs), jnp.float32)
        self.kernel = nnx.Param(kernel)
        self.bias = nnx.Param(uniform_bias(fan_in, key(), (outputs,), jnp.float32))
        self.dtype = given.dtype

    def torch_layout(self) -> dict[str, Layout]:
        """By input, output, row, column there; by input, row, column, output here."""

        def to_ours(weight: np.ndarray) -> np.ndarray:
            return weight.transpose(0, 2, 3, 1).reshape(len(weight), -1)

        inputs, outputs = len(self.kernel), len(self.bias)
        return {"kernel": Layout("weight", (inputs, outputs, 2, 2), to_ours)}

    def __call__(self, image: Float[Array, "b h w c"]) -> Float[Array, "b 2*h 2*w k"]:
        """Twice the size."""
        batch, height, width, _ = image.shape
        x = image.astype(self.dtype) @ self.kernel[...].astype(self.dtype)
        x = x.reshape(batch, height, width, 2, 2, -1) + self.bias[...].astype(x.dtype)
        return x.swapaxes(2, 3).reshape(batch, 2 * height, 2 * width, -1)


DEEPEST = 7  # below it the widths would take tens of gigabytes


class UNet(nnx.Module):
    """Convolutions of ever coarser images and back, with what was lost put beside.

    Returns `logits` `b h w k`, a mask's for each output. `width` is the channels at the
    top, twice as many a level below; `depth` is how often the image is halved. Sides
    need not be multiples of 2^depth: the last row and column are repeated to there, and
    what was added is cut off again.
    """

    TORCH_NAMES: ClassVar[Names] = (
        (r"\bnorm(\d)\b", r"bn\1"),
        (r"^encoders\.(\d+)\.(\w+)", r"encoder<0>.enc<0>_\2"),
        (r"^bottleneck\.(\w+)", r"bottleneck.bottleneck_\1"),
        (r"^ups\.(\d+)\b", "upconv<0>"),
        (r"^decoders\.(\d+)\.(\w+)", r"decoder<0>.dec<0>_\2"),
        (r"^classifier\b", "conv"),
    )

    def __init__(self, given: Given, *, width: int = 32, depth: int = 4):
        require_counts(width=width, depth=depth)
        require(depth <= DEEPEST, "depth", depth, f"1 to {DEEPEST}")
        self.remat = given.remat
        widths = [width * 2**level for level in range(depth + 1)]
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        stem = StemConv(given, width, (3, 3), stride=1)
        self.encoders = nnx.List(
            [
                DoubleConv(given, given.channels, width, first=stem),
                *(DoubleConv(given, upper, lower) for upper, lower in pairs[:-1]),
            ]
        )
        self.bottleneck = DoubleConv(given, *pairs[-1])
        self.ups = nnx.List(UpConv(given, lower, upper) for upper, lower in pairs)
        self.decoders = nnx.List(
            DoubleConv(given, 2 * upper, upper) for upper, _ in pairs
        )
        self.classifier = PointwiseConv(width, given.outputs, bias=True, **given.layer)

    def __call__(
        self, image: Float[Array, "b h w c"], *, rngs: nnx.Rngs | None = None
    ) -> dict[str, Array]:
        """Segment; `rngs` is taken so that all networks are called alike."""
        del rngs
        height, width = image.shape[1:3]
        x, skipped = _filled(image, 2 ** len(self.encoders)), []
        for encoder in self.encoders:
            skipped.append(call(encoder, x, remat=self.remat))
            x = halved(skipped[-1])
        x = call(self.bottleneck, x, remat=self.remat)
        levels = zip(self.ups, skipped, self.decoders, strict=True)
        for up, beside, decoder in reversed(list(levels)):
            x = jnp.concatenate([up(x), beside], -1)
            x = call(decoder, x, remat=self.remat)
        logits = self.classifier(x)[:, :height, :width]
        return {"logits": logits.astype(jnp.float32)}


def _filled(image: Float[Array, "b h w c"], multiple: int) -> Float[Array, "b i j c"]:
    """The image with its last row and column repeated up to a multiple."""
    rows, columns = (-side % multiple for side in image.shape[1:3])
    return jnp.pad(image, ((0, 0), (0, rows), (0, columns), (0, 0)), mode="edge")


NETWORKS = {"unet": UNet}
