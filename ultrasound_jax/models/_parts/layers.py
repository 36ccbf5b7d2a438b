"""What every network is made of: PyTorch's convolutions, norms and pools.

PyTorch is matched because published weights come from it: symmetric padding, epsilon
1e-5, running variances that are unbiased. Parameters and statistics are float32
whatever the compute `dtype` is.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from ultrasound_jax.models._parts.image_conv import image_conv
from ultrasound_jax.models._parts.initialisers import (
    kaiming_fan_in,
    torch_uniform,
    uniform_bias,
)


class Layout(NamedTuple):
    """Where a parameter lies in a PyTorch state dict: its name there within the module,
    its shape there, and how a value of that shape becomes ours.
    """

    name: str
    shape: tuple[int, ...]
    to_ours: Callable[[np.ndarray], np.ndarray]


class Frozen(nnx.Variable):
    """A parameter that is not trained: no gradient, optimiser or decay reaches it."""


def freeze(module: Any) -> None:
    """Keep all parameters and batch statistics of a module as they are.

    A stopped gradient would not do: AdamW decays what has none.
    """
    for _, part in nnx.iter_modules(module):
        for name, variable in list(vars(part).items()):
            if isinstance(variable, nnx.Param):
                setattr(part, name, Frozen(variable.get_value()))
        if isinstance(part, BatchNorm):
            part.frozen = True


class BatchNorm(nnx.BatchNorm):
    """Batch norm as PyTorch does it, over the real rows only.

    Differences from `nnx.BatchNorm`: the running variance is unbiased (n - 1); the
    running statistics are never rounded to the compute dtype; moments are taken around
    the running mean, because the one-pass variance cancels badly in float32 where a
    channel's mean is far larger than its spread, as on the black border of a scan; and
    a batch without any real row leaves everything as it was. `momentum` is of the old
    value, as Flax has it (PyTorch's is of the new one).
    """

    def __init__(
        self,
        features: int,
        *,
        scale_init: Callable[..., Array] = nnx.initializers.ones,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        super().__init__(
            features,
            momentum=momentum,
            epsilon=epsilon,
            scale_init=scale_init,
            dtype=dtype,
            rngs=rngs,
        )
        self.frozen = False  # then the running statistics serve in training too

    def __call__(
        self, x: Float[Array, "n *space c"], mask: Bool[Array, "n *rest"] | None = None
    ) -> Float[Array, "n *space c"]:
        """Normalise `x`; rows (or frames) where `mask` is false do not count.

        The mask has the leading axes of `x`; with a one-name mask, its first axis.
        """
        dtype = x.dtype if self.dtype is None else self.dtype
        centred = widened(x) - self.mean[...]
        if self.use_running_average or self.frozen:
            shift, variance = jnp.zeros_like(self.mean[...]), self.var[...]
        else:
            shift, variance = self._batch_moments(centred, mask)
        scale, bias = self.scale[...], self.bias[...]  # pyright: ignore[reportOptionalSubscript]
        variance = variance.astype(centred.dtype)
        gain = jax.lax.rsqrt(variance + self.epsilon) * scale
        return ((centred - shift) * gain + bias).astype(dtype)

    def _batch_moments(
        self, centred: Float[Array, "n *space c"], mask: Bool[Array, "n *rest"] | None
    ) -> tuple[Float[Array, " c"], Float[Array, " c"]]:
        """Moments of the batch around the running mean; updates the running ones."""
        axes = tuple(range(centred.ndim - 1))
        old_mean, old_var = self.mean[...], self.var[...]
        if mask is None:
            count = np.float32(centred.size // centred.shape[-1])
            total, squares = centred.sum(axes), jnp.square(centred).sum(axes)
        else:
            where = mask.reshape(mask.shape + (1,) * (centred.ndim - mask.ndim))
            inside = np.prod(centred.shape[mask.ndim : -1], dtype=np.float32)
            count = mask.sum(dtype=jnp.float32) * inside
            real = jnp.where(where, centred, 0.0)
            total, squares = real.sum(axes), jnp.square(real).sum(axes)
        shift = total / jnp.maximum(count, 1.0)
        variance = squares / jnp.maximum(count, 1.0) - jnp.square(shift)
        variance = jnp.where(count > 0, jnp.maximum(variance, 0.0), old_var)
        unbiased = variance * (count / jnp.maximum(count - 1.0, 1.0))
        pace = jnp.where(count > 0, 1.0 - self.momentum, 0.0)
        # Written last: the moments above are around the mean before the update.
        self.mean[...] = jax.lax.stop_gradient(old_mean + pace * shift)
        self.var[...] = jax.lax.stop_gradient(old_var + pace * (unbiased - old_var))
        return shift, variance


class LayerNorm(nnx.LayerNorm):
    """Layer norm over the last axis as PyTorch does it, in float32.

    The variance is taken in two passes: in one it cancels far from zero.
    """

    def __init__(
        self,
        features: int,
        *,
        epsilon: float = 1e-5,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        super().__init__(
            features,
            epsilon=epsilon,
            use_fast_variance=False,
            dtype=dtype,
            rngs=rngs,
        )


class Conv(nnx.Conv):
    """A convolution over any number of axes, padded by (kernel - 1) // 2 on both sides.

    `stride` is one number or one for each axis; with `groups` equal to `inputs` it is
    depth-wise. A bias starts as PyTorch's does.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel_size: Sequence[int],
        *,
        stride: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = False,
        kernel_init: Callable[..., Array] = kaiming_fan_in,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        fan_in = math.prod(kernel_size) * inputs // groups
        super().__init__(
            inputs,
            outputs,
            tuple(kernel_size),
            strides=stride,
            padding=[((size - 1) // 2, (size - 1) // 2) for size in kernel_size],
            feature_group_count=groups,
            use_bias=bias,
            kernel_init=kernel_init,
            bias_init=partial(uniform_bias, fan_in),
            dtype=dtype,
            rngs=rngs,
        )

    def __call__(self, image: Float[Array, "n *space c"]) -> Float[Array, "n *out k"]:
        """Convolve; images by `image_conv`, anything else by XLA alone."""
        if self.feature_group_count > 1 or len(self.kernel_size) != 2:
            return super().__call__(image)
        strides = self.strides
        stride = (strides,) * 2 if isinstance(strides, int) else strides or (1, 1)
        dtype = image.dtype if self.dtype is None else self.dtype
        kernel = self.kernel[...].astype(dtype)
        x = image_conv(image.astype(dtype), kernel, stride=stride)
        return x if self.bias is None else x + self.bias[...].astype(dtype)


class PointwiseConv(nnx.Linear):
    """A 1x1 convolution as a matrix product; a bias starts as PyTorch's does.

    XLA's CPU gradients of the product are 2 to 3 times faster than of the convolution.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        stride: int = 1,
        bias: bool = False,
        kernel_init: Callable[..., Array] = kaiming_fan_in,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        super().__init__(
            inputs,
            outputs,
            use_bias=bias,
            kernel_init=kernel_init,
            bias_init=partial(uniform_bias, inputs),
            dtype=dtype,
            rngs=rngs,
        )
        self.stride = stride

    def torch_layout(self) -> dict[str, Layout]:
        """A convolution's kernel there, a matrix here."""
        shape = (self.out_features, self.in_features, 1, 1)
        return {"kernel": Layout("weight", shape, lambda value: value[:, :, 0, 0].T)}

    def __call__(self, image: Float[Array, "n h w c"]) -> Float[Array, "n i j k"]:
        """Mix the channels of every `stride`-th pixel."""
        if self.stride > 1:
            image = image[:, :: self.stride, :: self.stride]
        return super().__call__(image)


class Linear(nnx.Linear):
    """A linear layer that starts as PyTorch's does, its bias included."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        bias: bool = True,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        super().__init__(
            inputs,
            outputs,
            use_bias=bias,
            kernel_init=torch_uniform,
            bias_init=partial(uniform_bias, inputs),
            dtype=dtype,
            rngs=rngs,
        )


def average_pool(image: Float[Array, "n h w c"]) -> Float[Array, "n i j c"]:
    """The mean of each 2x2 window, stride 2; an odd last row or column is dropped."""
    return nnx.avg_pool(image, (2, 2), strides=(2, 2))


def global_average(image: Float[Array, "n h w c"]) -> Float[Array, "n c"]:
    """The mean over the image, summed in float32 and returned in the image's dtype."""
    return image.mean((1, 2), dtype=jnp.float32).astype(image.dtype)


def widened(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The same in float32; what is wider already, as it is."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def call(layer: nnx.Module, *inputs: Any, remat: bool, method: str = "__call__") -> Any:
    """Apply a layer; with `remat` its inside is computed again for the gradient."""

    def apply(layer: nnx.Module, *inputs: Any) -> Any:
        return getattr(layer, method)(*inputs)

    return (nnx.remat(apply) if remat else apply)(layer, *inputs)
