"""The small network of a public demonstration on BUSI (Keras), for breast images.

Differences from it: pixels are in [0, 1] already, so that its first layer, which
divides by 255, is not here; the last one gives logits, not their softmax. It is for
images of `image_shape`, 256x256 if nobody says.
"""

from typing import ClassVar

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from ultrasound_jax.models._parts.checks import (
    ModelError,
    require,
    require_counts,
    require_rates,
)
from ultrasound_jax.models._parts.given import Given
from ultrasound_jax.models._parts.halving import halved
from ultrasound_jax.models._parts.keras import start_as_keras
from ultrasound_jax.models._parts.layers import Conv, Linear, call
from ultrasound_jax.models._parts.normalisation import Normalisation
from ultrasound_jax.models._parts.one_channel import pixel_scale
from ultrasound_jax.models._parts.stem import StemConv
from ultrasound_jax.models._parts.torch_names import Names

PUBLISHED_SHAPE = (256, 256)
BLOCKS = 4
HIDDEN = 16  # times the width


class BreastCnn(nnx.Module):
    """Four times a 3x3 convolution and a pool, then two linear layers; no batch norm.

    Returns `logits` `b k`; `features` `b d`, what the last layer sees; `stage_maps`,
    each convolution's `b i j c` from the finest; `feature_map`, the last one's. `width`
    is of the first convolution, each further one has twice as many channels; `dropout`
    is behind the last pool. The pixels are flattened by row, column and channel, as
    Keras has it.

    Raises `ModelError` for images of another size than it is made for.
    """

    NORMALISATION: ClassVar[Normalisation] = Normalisation((0.0,), (1.0,))
    TORCH_NAMES: ClassVar[Names] = ((r"^hidden\b", "d1"), (r"^classifier\b", "d2"))

    def __init__(self, given: Given, *, dropout: float = 0.5, width: int = 16):
        require_rates(dropout=dropout)
        require_counts(width=width)
        given, self.pixels = pixel_scale(given)
        self.image_shape = given.shape or PUBLISHED_SHAPE
        fits = len(self.image_shape) == 2 and min(self.image_shape) >= 2**BLOCKS
        allowed = f"(height, width), each {2**BLOCKS} or more"
        require(fits, "image_shape", self.image_shape, allowed)
        self.remat = given.remat
        convs: list[Conv] = [StemConv(given, width, (3, 3), stride=1, bias=True)]
        for block in range(1, BLOCKS):
            sizes = width * 2 ** (block - 1), width * 2**block
            convs.append(Conv(*sizes, (3, 3), bias=True, **given.layer))
        self.convs = nnx.List(convs)
        height, side = (size // 2**BLOCKS for size in self.image_shape)
        flat = height * side * width * 2 ** (BLOCKS - 1)
        self.hidden = Linear(flat, HIDDEN * width, **given.layer)
        self.dropout = nnx.Dropout(dropout)
        self.classifier = Linear(HIDDEN * width, given.outputs, **given.layer)
        for layer in (*convs, self.hidden, self.classifier):
            start_as_keras(layer, given)

    def __call__(
        self, image: Float[Array, "b h w c"], *, rngs: nnx.Rngs | None = None
    ) -> dict[str, Array | tuple[Array, ...]]:
        """Classify; the training view needs `rngs` for its dropout."""
        if image.shape[1:3] != self.image_shape:
            height, width = self.image_shape
            raise ModelError(
                f"images of {image.shape[1]}x{image.shape[2]}: allowed are {height}x"
                f"{width}, as image_shape says"
            )
        x, stages = self.pixels(image), []
        for conv in self.convs:
            stages.append(nnx.relu(call(conv, x, remat=self.remat)))
            x = halved(stages[-1])
        x = self.dropout(x, rngs=rngs).reshape(len(x), -1)
        features = nnx.relu(self.hidden(x))
        return {
            "logits": self.classifier(features).astype(jnp.float32),
            "features": features,
            "stage_maps": tuple(stages),
            "feature_map": stages[-1],
        }


NETWORKS = {"breast_cnn": BreastCnn}
