"""The entrance of every encoder, which also takes grey images for a colour stem."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from ultrasound_jax.models.initial import kaiming_fan_in
from ultrasound_jax.models.layers import BatchNorm, Conv, ModelError, require


class StemConv(Conv):
    """The 7x7 stride-2 convolution at the entrance, which also takes grey images.

    A grey image `x` that stands for `channels` inputs `grey_scale[c] * x +
    grey_offset[c]` is not copied: the kernels are summed over their inputs (weighted by
    the scales), and the offsets pass the convolution as one constant image, so that the
    zero padding at the border stays what it was. Equal to the copies, at a third of the
    work for three channels.
    """

    def __init__(
        self,
        channels: int,
        features: int,
        *,
        grey_scale: Sequence[float] | None = None,
        grey_offset: Sequence[float] | None = None,
        kernel_init: Callable[..., Array] = kaiming_fan_in,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        for option, value in (("grey_scale", grey_scale), ("grey_offset", grey_offset)):
            allowed = f"None or, above one channel, a number for each of {channels}"
            fits = value is None or (channels > 1 and len(value) == channels)
            require(fits, option, value, allowed)
        super().__init__(
            channels,
            features,
            (7, 7),
            stride=2,
            kernel_init=kernel_init,
            dtype=dtype,
            rngs=rngs,
        )
        self.grey_scale = tuple(float(s) for s in grey_scale or (1.0,) * channels)
        self.grey_offset = tuple(float(o) for o in grey_offset or (0.0,) * channels)

    def __call__(self, image: Float[Array, "n h w c"]) -> Float[Array, "n i j k"]:
        """Convolve; `c` is the number of channels built for, or 1 for a grey image."""
        if image.shape[-1] == self.in_features:
            return super().__call__(image)
        if image.shape[-1] != 1:
            raise ModelError(
                f"an image of {image.shape[-1]} channels: allowed are "
                f"{self.in_features} and, as grey, 1"
            )
        kernel = self.kernel[...]
        scale = np.asarray(self.grey_scale, np.float32)[:, None]
        grey = self._convolve(image, (kernel * scale).sum(2, keepdims=True))
        if not any(self.grey_offset):
            return grey
        offset = np.asarray(self.grey_offset, np.float32)[:, None]
        ones = jnp.ones((1, *image.shape[1:]), image.dtype)
        return grey + self._convolve(ones, (kernel * offset).sum(2, keepdims=True))

    def _convolve(
        self, image: Float[Array, "n h w 1"], kernel: Float[Array, "7 7 1 k"]
    ) -> Float[Array, "n i j k"]:
        return jax.lax.conv_general_dilated(
            image.astype(self.dtype),
            kernel.astype(self.dtype),
            window_strides=(2, 2),
            padding=((3, 3), (3, 3)),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )


class Stem(nnx.Module):
    """The entrance of every encoder: a quarter of the size, `features` channels.

    Takes `StemConv`'s options.
    """

    def __init__(
        self,
        channels: int,
        features: int,
        *,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
        **options: Any,
    ):
        self.conv = StemConv(channels, features, dtype=dtype, rngs=rngs, **options)
        self.norm = BatchNorm(features, dtype=dtype, rngs=rngs)

    def __call__(
        self, image: Float[Array, "n h w c"], mask: Bool[Array, " n"] | None
    ) -> Float[Array, "n i j k"]:
        """Convolve, normalise and pool."""
        return max_pool(nnx.relu(self.norm(self.conv(image), mask)))


def max_pool(image: Float[Array, "n h w c"]) -> Float[Array, "n i j c"]:
    """The largest of each 3x3 window, stride 2; the padding is minus infinity."""
    return jax.lax.reduce_window(
        image,
        -np.inf,
        jax.lax.max,
        window_dimensions=(1, 3, 3, 1),
        window_strides=(1, 2, 2, 1),
        padding=((0, 0), (1, 1), (1, 1), (0, 0)),
    )
