"""Convolutions and pools over time and space, without XLA's own 3-D ones.

A step in time is a 2-D convolution of the neighbouring frames' channels side by side.
On two CPU cores that takes a half (forwards) to a third (with gradients) of the time of
XLA's 3-D convolution, for 8 frames of 32x32 with 64 channels to 128. The price is the
memory of the frames side by side, which `remat` does not keep.

Where frames are padding they must be zero, as the borders are; then what a strided
convolution or pool gives for a clip does not depend on how many follow it.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int

from ultrasound_jax.models._parts.image_conv import image_conv
from ultrasound_jax.models._parts.layers import Conv
from ultrasound_jax.models._parts.padding import (
    frame_mean,
    real_frames,
)


def convolve_clip(
    clip: Float[Array, "b t h w c"],
    kernel: Float[Array, "time height width c k"],
    *,
    stride: Sequence[int] = (1, 1, 1),
    dtype: DTypeLike | None = None,
) -> Float[Array, "b s i j k"]:
    """A 3-D convolution padded by (kernel - 1) // 2 on both sides; odd kernels only.

    It is computed in `dtype`, or the clip's.
    """
    dtype = clip.dtype if dtype is None else dtype
    *window, inputs, outputs = kernel.shape
    x = neighbours(clip.astype(dtype), window[0], stride[0])
    kernel = kernel.astype(dtype).transpose(1, 2, 0, 3, 4)
    kernel = kernel.reshape(*window[1:], window[0] * inputs, outputs)
    if window[1:] == [1, 1]:
        # Gradients of a product are several times faster than of a convolution.
        return x[:, :, :: stride[1], :: stride[2]] @ kernel[0, 0]
    images = x.reshape(-1, *x.shape[2:])
    frames = image_conv(images, kernel, stride=stride[1:])
    return frames.reshape(*x.shape[:2], *frames.shape[1:])


def neighbours(
    clip: Float[Array, "b t h w c"], size: int, stride: int = 1
) -> Float[Array, "b s h w n"]:
    """Every `stride`-th frame with the `size` frames around it, as its channels."""
    if size == 1:
        return clip[:, ::stride]
    edge, last = size // 2, stride * (math.ceil(clip.shape[1] / stride) - 1)
    padded = jnp.pad(clip, ((0, 0), (edge, edge), (0, 0), (0, 0), (0, 0)))
    taps = [padded[:, at : at + last + 1 : stride] for at in range(size)]
    return jnp.concatenate(taps, -1)


class ClipConv(Conv):
    """A convolution of a clip; takes `Conv`'s options, three numbers a kernel."""

    def __call__(self, clip: Float[Array, "b t h w c"]) -> Float[Array, "b s i j k"]:
        """Convolve; padding frames must be zero and are so no longer afterwards."""
        strides = self.strides
        stride = (strides,) * 3 if isinstance(strides, int) else tuple(strides or ())
        x = convolve_clip(clip, self.kernel[...], stride=stride, dtype=self.dtype)
        return x if self.bias is None else x + self.bias[...].astype(x.dtype)


def max_pool_clip(
    clip: Float[Array, "b t h w c"], window: Sequence[int], edge: int = 0
) -> Float[Array, "b s i j c"]:
    """The largest of each window of values that are not negative.

    Windows touch, and what is left over is dropped. `edge` rows and columns of zeros
    come around the clip first. An axis shorter than its window is pooled whole.
    """
    x = jnp.pad(clip, ((0, 0), (0, 0), (edge, edge), (edge, edge), (0, 0)))
    for axis, size in enumerate(window, start=1):
        size = min(size, x.shape[axis])
        count = x.shape[axis] // size
        x = jax.lax.slice_in_dim(x, 0, count * size, axis=axis)
        x = x.reshape(*x.shape[:axis], count, size, *x.shape[axis + 1 :])
        x = x.max(axis + 1)
    return x


def pooled_size(size: int, window: int, edge: int = 0) -> int:
    """How long an axis is after `max_pool_clip`."""
    return max((size + 2 * edge) // window, 1)


def fewer(lengths: Int[Array, " b"] | None, stride: int) -> Int[Array, " b"] | None:
    """The lengths in steps of `stride` frames; one that is partly real counts."""
    return None if lengths is None else -(-lengths // stride)


def clip_mean(
    clip: Float[Array, "b t h w c"], lengths: Int[Array, " b"] | None
) -> Float[Array, "b c"]:
    """The mean over space and the real steps, in float32; zero where there is none."""
    frames = clip.mean((2, 3), dtype=jnp.float32)
    return frame_mean(frames, real_frames(lengths, clip.shape[1]))
