"""The segmentation network of a public demonstration on BUSI (Keras), for lesions.

As published every convolution is 1x1: an output pixel knows the 8x8 pixels that the
pools put together and nothing else, so that it cannot tell a lesion from a shadow. With
`kernel_size=3` and `skips=True` it is a U-Net, which can.

Differences from the published one: its sigmoid is not in the network, and pixels are in
[0, 1] (the demonstration divides by 254, since its grey of white is cut to 254).
"""

from typing import ClassVar

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from ultrasound_jax.models._parts.checks import require, require_counts, require_rates
from ultrasound_jax.models._parts.doubled import repeated
from ultrasound_jax.models._parts.filled import filled
from ultrasound_jax.models._parts.given import Given
from ultrasound_jax.models._parts.halving import halved
from ultrasound_jax.models._parts.keras import start_as_keras
from ultrasound_jax.models._parts.layers import (
    BatchNorm,
    Conv,
    PointwiseConv,
    call,
    widened,
)
from ultrasound_jax.models._parts.normalisation import Normalisation
from ultrasound_jax.models._parts.one_channel import pixel_scale
from ultrasound_jax.models._parts.stem import StemConv
from ultrasound_jax.models._parts.torch_names import Names

WIDTHS = (1, 2, 4, 8, 4, 2, 1)  # channels of each block, as multiples of the first
HALVINGS = 3  # behind the first blocks; the size is doubled behind the next ones
KERNELS = (1, 3)
NORM = {"momentum": 0.99, "epsilon": 1e-3}


class BreastSegNet(nnx.Module):
    """Seven times two convolutions, halved behind three of them and doubled again.

    Returns `logits` `b h w k`. `kernel_size` is of every convolution, 1 or 3; with
    `skips` maps of the same size are put beside what was doubled. `width` is the
    channels of the first two convolutions; `dropout` is at two places.

    Sides need not be multiples of 8: the last row and column are repeated to there, and
    what was added is cut off again.
    """

    NORMALISATION: ClassVar[Normalisation] = Normalisation((0.0,), (1.0,))
    TORCH_NAMES: ClassVar[Names] = (
        (r"^convs\b", "c"),
        (r"^norms\.(\d)\b", r"bn\1"),
    )

    def __init__(
        self,
        given: Given,
        *,
        kernel_size: int = 1,
        skips: bool = False,
        width: int = 16,
        dropout: float = 0.5,
    ):
        require(kernel_size in KERNELS, "kernel_size", kernel_size, "1 or 3")
        require(isinstance(skips, bool), "skips", skips, "True or False")
        require_counts(width=width)
        require_rates(dropout=dropout)
        given, self.pixels = pixel_scale(given)
        self.remat, self.skips = given.remat, skips
        widths = [width * times for times in WIDTHS]
        window = (kernel_size, kernel_size)
        pairs: list[tuple[int, int]] = []
        for block, features in enumerate(widths):
            beside = widths[self._beside(block)] if self._beside(block) >= 0 else 0
            pairs += [(widths[block - 1] + beside, features), (features, features)]
        pairs.append((widths[-1], given.outputs))
        convs: list[Conv | PointwiseConv] = [
            StemConv(given, width, window, stride=1, bias=True)
        ]
        for sizes in pairs[1:]:
            convs.append(
                PointwiseConv(*sizes, bias=True, **given.layer)
                if kernel_size == 1
                else Conv(*sizes, window, bias=True, **given.layer)
            )
        for conv in convs:
            start_as_keras(conv, given)
        self.convs = nnx.List(convs)
        self.norms = nnx.List(
            BatchNorm(features, **NORM, **given.layer)
            for features in (widths[0], widths[HALVINGS])
        )
        self.dropout = nnx.Dropout(dropout)

    def __call__(
        self, image: Float[Array, "b h w c"], *, rngs: nnx.Rngs | None = None
    ) -> dict[str, Array]:
        """Segment; the training view needs `rngs` for its dropout."""
        height, width = image.shape[1:3]
        x, maps = self.pixels(filled(image, 2**HALVINGS)), []
        for block in range(len(WIDTHS)):
            if self._beside(block) >= 0:
                x = jnp.concatenate([x, maps[self._beside(block)]], -1)
            for conv in self.convs[2 * block : 2 * block + 2]:
                x = nnx.relu(call(conv, x, remat=self.remat))
            maps.append(x)
            if block < HALVINGS:
                x = halved(x)
            elif block < 2 * HALVINGS:
                x = repeated(x)
            if block in (0, HALVINGS):
                x = self.norms[block // HALVINGS](x)
            elif block in (HALVINGS - 1, 2 * HALVINGS - 1):
                x = self.dropout(x, rngs=rngs)
        logits = self.convs[-1](x)[:, :height, :width]
        return {"logits": widened(logits)}

    def _beside(self, block: int) -> int:
        """The block whose maps are put beside what enters one; -1 for none."""
        return 2 * HALVINGS - block if self.skips and block > HALVINGS else -1


NETWORKS = {"breast_segnet": BreastSegNet}
