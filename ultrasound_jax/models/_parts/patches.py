"""How a clip becomes the tokens of a transformer, also a grey one for colour."""

import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from ultrasound_jax.models._parts.checks import (
    ModelError,
    is_count,
    require,
)
from ultrasound_jax.models._parts.given import Given
from ultrasound_jax.models._parts.image_conv import image_conv
from ultrasound_jax.models._parts.initialisers import torch_uniform
from ultrasound_jax.models._parts.layers import Linear
from ultrasound_jax.models._parts.stem import (
    StemConv,
    check_channels,
    grey_inputs,
)

PUBLISHED_CLIP = (30, 256, 256)  # what LUV-Net and its baselines were made for


def clip_shape_of(given: Given) -> tuple[int, int, int]:
    """The frames, height and width that a network is sized for; else LUV-Net's."""
    clip_shape = PUBLISHED_CLIP if given.shape is None else given.shape
    fits = len(clip_shape) == 3 and all(is_count(size) for size in clip_shape)
    require(fits, "clip_shape", clip_shape, "(frames, height, width), each > 0")
    frames, height, width = clip_shape
    return frames, height, width


def check_fits(
    clip: Float[Array, "b t h w c"], clip_shape: tuple[int, int, int]
) -> None:
    """Refuse a clip that is longer, or of another image size, than the network's."""
    frames, height, width = clip.shape[1:4]
    if frames > clip_shape[0] or (height, width) != clip_shape[1:]:
        most, *sides = clip_shape
        raise ModelError(
            f"a clip of {frames} frames of {height}x{width}: allowed are up to {most} "
            f"of {sides[0]}x{sides[1]}, as clip_shape says"
        )


class PatchLinear(Linear):
    """One token for each square of `patch` pixels of a frame (ViViT, section 3.2).

    A patch's values are ordered by row, column, channel. A grey clip is taken as
    `StemConv` takes it: the weights are summed over the channels that it stands for.
    """

    def __init__(self, given: Given, features: int, *, patch: int):
        scale, offset = grey_inputs(given)
        super().__init__(patch * patch * given.channels, features, **given.layer)
        self.grey_scale, self.grey_offset = scale, offset
        self.channels, self.patch = given.channels, patch

    def __call__(self, clip: Float[Array, "b t h w c"]) -> Float[Array, "b t n d"]:
        """Tokens by row and column; sides must be multiples of the patch."""
        check_channels(clip, self.channels)
        batch, frames, height, width, given = clip.shape
        rows, columns, patch = height // self.patch, width // self.patch, self.patch
        x = clip.reshape(batch, frames, rows, patch, columns, patch, given)
        x = x.swapaxes(3, 4).reshape(batch, frames, rows * columns, -1)
        kernel, bias = self.kernel[...], self.bias[...]  # pyright: ignore[reportOptionalSubscript]
        if given != self.channels:
            apart = kernel.reshape(patch * patch, self.channels, -1)
            offset = np.asarray(self.grey_offset, np.float32)[:, None]
            kernel = (apart * np.asarray(self.grey_scale, np.float32)[:, None]).sum(1)
            bias = bias + (apart * offset).sum((0, 1))
        x = x.astype(self.dtype) @ kernel.astype(self.dtype)
        return x + bias.astype(self.dtype)


class PatchConv(StemConv):
    """One token for every second frame and fourth pixel, from 3x7x7 windows (MViT).

    Frame 2s is the middle of step s. A window's three frames pass one 2-D convolution
    side by side, which is 2 to 9 times faster on a CPU than one in three dimensions.
    """

    def __init__(self, given: Given, features: int):
        super().__init__(
            given,
            features,
            (3, 7, 7),
            stride=(2, 4, 4),
            bias=True,
            kernel_init=torch_uniform,
        )

    def __call__(
        self,
        image: Float[Array, "b t h w c"],
        mask: Bool[Array, "b t"] | None = None,
    ) -> Float[Array, "b s i j d"]:
        """Tokens by step, row and column; frames where `mask` is false must be zero."""
        if image.shape[-1] != self.in_features:
            return super().__call__(image, mask)
        x = self._convolve(image, self.kernel[...])
        return x + self.bias[...].astype(x.dtype)  # pyright: ignore[reportOptionalSubscript]

    def _convolve(
        self, image: Float[Array, "b t h w c"], kernel: Float[Array, "3 7 7 c d"]
    ) -> Float[Array, "b s i j d"]:
        frames = side_by_side(image)
        batch, steps, *pixels = frames.shape[:4]
        flat = jnp.moveaxis(kernel, 0, 2).reshape(7, 7, -1, kernel.shape[-1])
        images = frames.reshape(batch * steps, *pixels, -1).astype(self.dtype)
        x = image_conv(images, flat.astype(self.dtype), stride=(4, 4))
        return x.reshape(batch, steps, *x.shape[1:])


def side_by_side(clip: Float[Array, "b t h w c"]) -> Float[Array, "b s h w 3 c"]:
    """Frames 2s-1, 2s and 2s+1 of each step s; zeros before and after the clip."""
    frames = clip.shape[1]
    steps = math.ceil(frames / 2)
    filled = jnp.pad(clip, ((0, 0), (1, 2 * steps - frames), *((0, 0),) * 3))
    taps = [filled[:, first : first + 2 * steps - 1 : 2] for first in range(3)]
    return jnp.stack(taps, -2)
