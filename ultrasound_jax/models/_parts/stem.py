"""The entrance of every encoder, which also takes grey images for a colour stem."""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float

from ultrasound_jax.models._parts.checks import ModelError, require
from ultrasound_jax.models._parts.clip_conv import convolve_clip
from ultrasound_jax.models._parts.given import Given
from ultrasound_jax.models._parts.image_conv import image_conv
from ultrasound_jax.models._parts.initialisers import kaiming_fan_in
from ultrasound_jax.models._parts.layers import BatchNorm, Conv
from ultrasound_jax.models._parts.max_pool import max_pool
from ultrasound_jax.models._parts.padding import blank_padding
from ultrasound_jax.models._parts.xla_conv import as_one_convolution, same_edges


class StemConv(Conv):
    """The convolution at the entrance, of images or clips, which also takes grey ones.

    A grey image `x` that stands for `channels` inputs `grey_scale[c] * x +
    grey_offset[c]` is not copied: the kernels are summed over their inputs (weighted by
    the scales), and the offsets pass the convolution as one constant image, so that the
    zero padding at the border stays what it was. Equal to the copies, at a third of the
    work for three channels. With `same` an image is padded by TensorFlow's rule.
    """

    def __init__(
        self,
        given: Given,
        features: int,
        kernel_size: Sequence[int] = (7, 7),
        *,
        stride: int | Sequence[int] = 2,
        bias: bool = False,
        same: bool = False,
        kernel_init: Callable[..., Array] = kaiming_fan_in,
    ):
        scale, offset = grey_inputs(given)
        super().__init__(
            given.channels,
            features,
            kernel_size,
            stride=stride,
            bias=bias,
            kernel_init=kernel_init,
            **given.layer,
        )
        self.grey_scale, self.grey_offset = scale, offset
        axes, self.same = len(kernel_size), same
        self.stride = (stride,) * axes if isinstance(stride, int) else tuple(stride)

    def __call__(
        self,
        image: Float[Array, "n *space c"],
        mask: Bool[Array, "n t"] | None = None,
    ) -> Float[Array, "n *outer k"]:
        """Convolve; `c` is the number of channels built for, or 1 for a grey image.

        A clip's frames where `mask` is false must be zero. They then stay zero inputs,
        also those of a grey clip with offsets.
        """
        check_channels(image, self.in_features)
        kernel = self.kernel[...]
        if image.shape[-1] == self.in_features:
            x = self._convolve(image, kernel)
        else:
            scale = np.asarray(self.grey_scale, np.float32)[:, None]
            x = self._convolve(image, (kernel * scale).sum(-2, keepdims=True))
            if any(self.grey_offset):
                x = x + self._convolve_offsets(image, mask)
        return x if self.bias is None else x + self.bias[...].astype(x.dtype)

    def _convolve_offsets(
        self, image: Float[Array, "n *space 1"], mask: Bool[Array, "n t"] | None
    ) -> Float[Array, "_ *outer k"]:
        """What the offsets of the real frames contribute; one row if all are real."""
        offset = np.asarray(self.grey_offset, np.float32)[:, None]
        ones = jnp.ones((1, *image.shape[1:]), image.dtype)
        if mask is not None:
            ones = blank_padding(jnp.repeat(ones, len(image), 0), mask)
        return self._convolve(ones, (self.kernel[...] * offset).sum(-2, keepdims=True))

    def _convolve(
        self, image: Float[Array, "n *space c"], kernel: Float[Array, "*window c k"]
    ) -> Float[Array, "n *outer k"]:
        if len(self.kernel_size) == 3:
            return convolve_clip(image, kernel, stride=self.stride, dtype=self.dtype)
        x, kernel = image.astype(self.dtype), kernel.astype(self.dtype)
        if self.same:
            padding = same_edges(x.shape[1:3], self.kernel_size, self.stride)
            rows, columns = self.stride
            return as_one_convolution(
                x, kernel, stride=(rows, columns), padding=padding
            )
        return image_conv(x, kernel, stride=self.stride)


def grey_inputs(given: Given) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The scale and offset of each channel that a grey image stands for.

    Raises `ModelError` unless there is a number for each of two or more channels.
    """
    channels, scale, offset = given.channels, given.grey_scale, given.grey_offset
    for option, value in (("grey_scale", scale), ("grey_offset", offset)):
        allowed = f"None or, above one channel, a number for each of {channels}"
        fits = value is None or (channels > 1 and len(value) == channels)
        require(fits, option, value, allowed)
    scales = tuple(float(s) for s in scale or (1.0,) * channels)
    return scales, tuple(float(o) for o in offset or (0.0,) * channels)


def check_channels(image: Float[Array, "*n c"], channels: int) -> None:
    """Raise `ModelError` unless the image has that many channels, or one as grey."""
    if image.shape[-1] not in (1, channels):
        raise ModelError(
            f"an image of {image.shape[-1]} channels: allowed are "
            f"{channels} and, as grey, 1"
        )


class Stem(nnx.Module):
    """The entrance of every encoder: a quarter of the size, `features` channels.

    Takes `StemConv`'s options.
    """

    def __init__(self, given: Given, features: int, **options: Any):
        self.conv = StemConv(given, features, **options)
        self.norm = BatchNorm(features, **given.layer)

    def __call__(
        self, image: Float[Array, "n h w c"], mask: Bool[Array, " n"] | None
    ) -> Float[Array, "n i j k"]:
        """Convolve, normalise and pool."""
        return max_pool(self.half(image, mask))

    def half(
        self, image: Float[Array, "n h w c"], mask: Bool[Array, " n"] | None
    ) -> Float[Array, "n i j k"]:
        """What is pooled: half the size."""
        return nnx.relu(self.norm(self.conv(image), mask))
