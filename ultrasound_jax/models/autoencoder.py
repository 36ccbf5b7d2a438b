"""The autoencoder of the PU2756 study: an image to 1024 numbers and back.

It is for images of `image_shape`, 256x256 if nobody says, with pixels in [0, 1].
"""

from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from ultrasound_jax.models._parts.checks import ModelError, require, require_counts
from ultrasound_jax.models._parts.given import Given
from ultrasound_jax.models._parts.halving import halved
from ultrasound_jax.models._parts.initialisers import torch_uniform, uniform_bias
from ultrasound_jax.models._parts.layers import BatchNorm, Conv, Layout, Linear, call
from ultrasound_jax.models._parts.normalisation import Normalisation
from ultrasound_jax.models._parts.one_channel import pixel_scale
from ultrasound_jax.models._parts.stem import StemConv
from ultrasound_jax.models._parts.torch_names import Names

PUBLISHED_SHAPE = (256, 256)
STRIDE = 32  # how much smaller the last map is
# Of each convolution with a norm: channels, as multiples of the first, and stride.
NORMED = ((2, 1), (4, 2), (8, 2), (16, 1))
POOLED = (0, 2, 3)  # behind which of these the size is halved
DEEPEST = NORMED[-1][0]


class Encoder(nnx.Module):
    """Six convolutions of ever smaller images, `width` to 16 times as many channels."""

    def __init__(self, given: Given, width: int):
        options = {"bias": True, "kernel_init": torch_uniform}
        self.conv1 = StemConv(given, width, (3, 3), stride=1, **options)
        made, inputs = [], width
        for times, stride in NORMED:
            layer = options | {"stride": stride, **given.layer}
            made.append(Conv(inputs, times * width, (3, 3), **layer))
            inputs = times * width
        self.convs = nnx.List(made)
        self.norms = nnx.List(BatchNorm(c.out_features, **given.layer) for c in made)

    def __call__(self, image: Float[Array, "b h w c"]) -> Float[Array, "b i j k"]:
        """The last map, of a 32nd of the size."""
        x = nnx.relu(self.conv1(image))
        for place, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = nnx.relu(norm(conv(x)))
            if place in POOLED:
                x = halved(x)
        return x


class TurnedConv(Conv):
    """A 3x3 transposed convolution of stride 1: one with the kernel turned round."""

    def __init__(self, given: Given, inputs: int, outputs: int):
        # PyTorch counts a transposed kernel's fan in by its outputs.
        start = partial(uniform_bias, 9 * outputs)
        options = {"bias": True, "kernel_init": start, **given.layer}
        super().__init__(inputs, outputs, (3, 3), **options)
        self.bias = nnx.Param(start(given.rngs.params(), (outputs,), jnp.float32))

    def torch_layout(self) -> dict[str, Layout]:
        """By input, output, row, column there, and not turned."""

        def to_ours(weight: np.ndarray) -> np.ndarray:
            return weight[:, :, ::-1, ::-1].transpose(2, 3, 0, 1)

        shape = (self.in_features, self.out_features, 3, 3)
        return {"kernel": Layout("weight", shape, to_ours)}


class Decoder(nnx.Module):
    """Five times twice the size (each pixel four times) and a convolution."""

    def __init__(self, given: Given, width: int):
        sizes = [times * width for times in (16, 8, 4, 2, 1)]
        pairs = list(zip(sizes, [*sizes[1:], given.channels], strict=True))
        self.convs = nnx.List(TurnedConv(given, *pair) for pair in pairs)
        self.norms = nnx.List(BatchNorm(size, **given.layer) for size in sizes[1:])

    def __call__(self, x: Float[Array, "b i j k"]) -> Float[Array, "b h w c"]:
        """The image's logits."""
        for place, conv in enumerate(self.convs):
            x = conv(x.repeat(2, axis=1).repeat(2, axis=2))
            if place < len(self.norms):
                x = nnx.relu(self.norms[place](x))
        return x


class Autoencoder(nnx.Module):
    """An image to a code, and the image that is made of the code alone.

    Returns `image` `b h w c` in [0, 1], as many channels as it was given; `logits`, the
    same before the sigmoid; `code` `b d`, zero or more, what is learnt for others.
    `width` is the channels of the first convolution and `code` how long the code is.

    Raises `ModelError` for images of another size than it is made for.
    """

    NORMALISATION: ClassVar[Normalisation] = Normalisation((0.0,), (1.0,))
    TORCH_NAMES: ClassVar[Names] = (
        (r"^encoder\.conv1\b", "convenoder.encoder_cnn1.0"),
        (r"^encoder\.convs\.0\b", "convenoder.encoder_cnn1.2"),
        (r"^encoder\.norms\.0\b", "convenoder.encoder_cnn1.3"),
        (r"^encoder\.convs\.1\b", "convenoder.encoder_cnn2.1"),
        (r"^encoder\.norms\.1\b", "convenoder.encoder_cnn2.2"),
        (r"^encoder\.convs\.2\b", "convenoder.encoder_cnn2.4"),
        (r"^encoder\.norms\.2\b", "convenoder.encoder_cnn2.5"),
        (r"^encoder\.convs\.3\b", "convenoder.encoder_cnn3.1"),
        (r"^encoder\.norms\.3\b", "convenoder.encoder_cnn3.2"),
        (r"^to_code\b", "linencoder.encoder_lin.0"),
        (r"^norm\b", "linencoder.encoder_lin.1"),
        (r"^from_code\b", "lindecoder.decoder_lin.0"),
        *(
            (rf"^decoder\.{ours}\.{n}\b", f"convdecoder.decoder_conv.{4 * n + place}")
            for n in range(5)
            for ours, place in (("convs", 1), ("norms", 2))
        ),
    )

    def __init__(self, given: Given, *, code: int = 1024, width: int = 16):
        require_counts(code=code, width=width)
        given, self.pixels = pixel_scale(given)
        self.image_shape = given.shape or PUBLISHED_SHAPE
        fits = len(self.image_shape) == 2 and not any(
            side % STRIDE or not side for side in self.image_shape
        )
        allowed = f"(height, width), both multiples of {STRIDE}"
        require(fits, "image_shape", self.image_shape, allowed)
        self.remat = given.remat
        self.encoder, self.decoder = Encoder(given, width), Decoder(given, width)
        self.cells = tuple(side // STRIDE for side in self.image_shape)
        flat = DEEPEST * width * self.cells[0] * self.cells[1]
        self.to_code = Linear(flat, code, **given.layer)
        self.norm = BatchNorm(code, **given.layer)
        self.from_code = Linear(code, flat, **given.layer)

    def __call__(
        self, image: Float[Array, "b h w c"], *, rngs: nnx.Rngs | None = None
    ) -> dict[str, Array]:
        """There and back; `rngs` is taken so that all networks are called alike."""
        del rngs
        if image.shape[1:3] != self.image_shape:
            height, width = self.image_shape
            raise ModelError(
                f"images of {image.shape[1]}x{image.shape[2]}: allowed are {height}x"
                f"{width}, as image_shape says"
            )
        x = call(self.encoder, self.pixels(image), remat=self.remat)
        # PyTorch flattens with the channels first.
        x = jnp.moveaxis(x, -1, 1).reshape(len(x), -1)
        code = nnx.relu(self.norm(self.to_code(x)))
        x = nnx.relu(self.from_code(code)).reshape(len(x), -1, *self.cells)
        x = call(self.decoder, jnp.moveaxis(x, 1, -1), remat=self.remat)
        logits = x.astype(jnp.float32)
        return {"logits": logits, "image": jax.nn.sigmoid(logits), "code": code}


NETWORKS = {"autoencoder": Autoencoder}
