"""U-Net (Ronneberger et al., MICCAI 2015), as the PU2756 study trains it.

Differences from the paper, all of them the study's: convolutions are padded, so that a
mask is as large as its image; each has a batch norm; 32 channels at the top, not 64.
The study's sigmoid is not in the network: losses and tasks want logits.

The way down can be any encoder that has a pyramid instead, with ImageNet's weights or
another run's.
"""

from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from ultrasound_jax.models._parts.checks import require, require_counts
from ultrasound_jax.models._parts.encoders import build_encoder
from ultrasound_jax.models._parts.filled import filled
from ultrasound_jax.models._parts.given import Given
from ultrasound_jax.models._parts.halving import halved
from ultrasound_jax.models._parts.initialisers import uniform_bias
from ultrasound_jax.models._parts.layers import (
    Conv,
    Layout,
    PointwiseConv,
    call,
    freeze,
    widened,
)
from ultrasound_jax.models._parts.norms import NORMS, norm_of
from ultrasound_jax.models._parts.stem import StemConv
from ultrasound_jax.models._parts.torch_names import Names


class DoubleConv(nnx.Module):
    """Two 3x3 convolutions, each with a norm and ReLU; without a norm, with a bias.

    `first` is the first of them where it is not a plain one.
    """

    def __init__(
        self,
        given: Given,
        inputs: int,
        outputs: int,
        *,
        norm: str,
        first: Conv | None = None,
    ):
        options = {"bias": norm == "none", **given.layer}
        self.conv1 = first or Conv(inputs, outputs, (3, 3), **options)
        self.norm1 = norm_of(norm, given, outputs)
        self.conv2 = Conv(outputs, outputs, (3, 3), **options)
        self.norm2 = norm_of(norm, given, outputs)

    def __call__(self, image: Float[Array, "b h w c"]) -> Float[Array, "b h w k"]:
        """Convolve twice."""
        x = self.conv1(image)
        x = self.conv2(nnx.relu(self.norm1(x) if self.norm1 else x))
        return nnx.relu(self.norm2(x) if self.norm2 else x)


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


WIDTH, DEPTH = 32, 4  # the study's
DECODER_WIDTH = 16  # beside an encoder, whose first map is of half the size already
DEEPEST = 7  # below it the widths would take tens of gigabytes


class UNet(nnx.Module):
    """Convolutions of ever coarser images and back, with what was lost put beside.

    Returns `logits` `b h w k`, a mask's for each output. `width` is the channels at the
    top, twice as many a level below, 32 if not given; `depth` is how often the image is
    halved, 4 if not given; `norm` one of `batch`, `group` (of 8), `instance`, `none`.
    Sides need not be multiples of 2^depth: the last row and column are repeated to
    there, and what was added is cut off again.

    `encoder` is what goes down instead: its maps of every stride are put beside, and
    its norms stay its own. `width` is that of the way up then, 16 if not given, and
    `depth` the encoder's.

    Raises `ModelError` for an encoder without a pyramid, or a depth that is not its.
    """

    TORCH_NAMES: ClassVar[Names] = (
        (r"^((?:encoders|bottleneck|decoders)\b.*)\bnorm(\d)\b", r"\1bn\2"),
        (r"^encoders\.(\d+)\.(\w+)", r"encoder<0>.enc<0>_\2"),
        (r"^bottleneck\.(\w+)", r"bottleneck.bottleneck_\1"),
        (r"^ups\.(\d+)\b", "upconv<0>"),
        (r"^decoders\.(\d+)\.(\w+)", r"decoder<0>.dec<0>_\2"),
        (r"^classifier\b", "conv"),
    )

    def __init__(
        self,
        given: Given,
        *,
        width: int | None = None,
        depth: int | None = None,
        norm: str = "batch",
        encoder: str | None = None,
    ):
        require(norm in NORMS, "norm", norm, f"one of {', '.join(NORMS)}")
        self.remat = given.remat
        if encoder is None:
            beside, width = self._own(given, width, depth, norm)
        else:
            beside, width = self._encoder(given, encoder, width, depth)
        # Channels that go up from each size, the finest first, and that come out.
        self.depth = len(beside) - 1
        widths = [width * 2**level for level in range(self.depth)]
        below = [*widths[1:], beside[-1]]
        self.ups = nnx.List(
            UpConv(given, *pair) for pair in zip(below, widths, strict=True)
        )
        self.decoders = nnx.List(
            DoubleConv(given, up + skipped, up, norm=norm)
            for up, skipped in zip(widths, beside[:-1], strict=True)
        )
        self.classifier = PointwiseConv(width, given.outputs, bias=True, **given.layer)

    def _own(
        self, given: Given, width: int | None, depth: int | None, norm: str
    ) -> tuple[list[int], int]:
        """Makes the study's way down; the channels at each size, and the first."""
        width = WIDTH if width is None else width
        depth = DEPTH if depth is None else depth
        require_counts(width=width, depth=depth)
        require(depth <= DEEPEST, "depth", depth, f"1 to {DEEPEST}")
        widths = [width * 2**level for level in range(depth + 1)]
        *pairs, last = zip(widths[:-1], widths[1:], strict=True)
        stem = StemConv(given, width, (3, 3), stride=1, bias=norm == "none")
        self.encoders = nnx.List(
            [
                DoubleConv(given, given.channels, width, norm=norm, first=stem),
                *(DoubleConv(given, *pair, norm=norm) for pair in pairs),
            ]
        )
        self.bottleneck = DoubleConv(given, *last, norm=norm)
        return widths, width

    def _encoder(
        self, given: Given, name: str, width: int | None, depth: int | None
    ) -> tuple[list[int], int]:
        """Makes an encoder; its channels at each size, and the way up's first."""
        encoder: Any = build_encoder(name, given)
        channels: dict[int, int] = getattr(encoder, "pyramid_channels", {})
        deep = max(channels, default=1).bit_length() - 1
        strides = [2**level for level in range(1, deep + 1)]
        allowed = "one with a pyramid of every stride, 2, 4, 8, …"
        require(deep > 0 and sorted(channels) == strides, "encoder", name, allowed)
        allowed = f"None, or {deep} as encoder {name!r} has"
        require(depth in (None, deep), "depth", depth, allowed)
        width = DECODER_WIDTH if width is None else width
        require_counts(width=width)
        for unread in getattr(encoder, "beyond_pyramid", ()):
            freeze(unread)  # else a decay without a gradient would wear it away
        self.encoder = encoder
        return [0, *(channels[stride] for stride in strides)], width

    def __call__(
        self, image: Float[Array, "b h w c"], *, rngs: nnx.Rngs | None = None
    ) -> dict[str, Array]:
        """Segment; `rngs` is taken so that all networks are called alike."""
        del rngs
        height, width = image.shape[1:3]
        x, skipped = self._down(filled(image, 2**self.depth))
        levels = list(zip(self.ups, skipped, self.decoders, strict=True))
        for up, beside, decoder in reversed(levels):
            x = up(x)
            if beside is not None:
                x = jnp.concatenate([x, beside], -1)
            x = call(decoder, x, remat=self.remat)
        return {"logits": widened(self.classifier(x)[:, :height, :width])}

    def _down(
        self, image: Float[Array, "b h w c"]
    ) -> tuple[Float[Array, "b i j k"], list[Float[Array, "b _ _ _"] | None]]:
        """The deepest map, and those of every size above, the finest first."""
        if hasattr(self, "encoder"):
            levels = self.encoder.pyramid(image)
            *finer, deepest = (levels[stride] for stride in sorted(levels))
            return deepest, [None, *finer]
        x, skipped = image, []
        for encoder in self.encoders:
            skipped.append(call(encoder, x, remat=self.remat))
            x = halved(skipped[-1])
        return call(self.bottleneck, x, remat=self.remat), skipped


NETWORKS = {"unet": UNet}
