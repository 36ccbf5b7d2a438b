"""Starting values of weights, distributed as PyTorch and timm draw them."""

import math
from collections.abc import Callable, Sequence

import jax
from jax.typing import DTypeLike
from jaxtyping import Array, Float


def draw(
    sample: Callable[..., Array], key: Array, shape: Sequence[int]
) -> Float[Array, "..."]:
    """Float32 samples of any shape, cut from a flat power of two of them.

    XLA compiles a draw once a shape, and one of several axes five times slower than a
    flat one: drawn directly, a DenseNet takes minutes to make on a CPU.
    """
    size = math.prod(shape)
    return sample(key, (1 << (size - 1).bit_length(),))[:size].reshape(shape)


def kaiming_fan_in(key: Array, shape: Sequence[int], dtype: DTypeLike) -> Array:
    """PyTorch's `kaiming_normal_` with gain sqrt(2): variance 2 / fan in."""
    scale = math.sqrt(2 / math.prod(shape[:-1]))
    return (scale * draw(jax.random.normal, key, shape)).astype(dtype)


def kaiming_fan_out(key: Array, shape: Sequence[int], dtype: DTypeLike) -> Array:
    """PyTorch's `kaiming_normal_` in its mode "fan_out": variance 2 / fan out."""
    scale = math.sqrt(2 / (math.prod(shape[:-2]) * shape[-1]))
    return (scale * draw(jax.random.normal, key, shape)).astype(dtype)


def glorot_uniform(key: Array, shape: Sequence[int], dtype: DTypeLike) -> Array:
    """Keras's default for weights: uniform, variance 2 / (fan in + fan out)."""
    window, (inputs, outputs) = math.prod(shape[:-2]), shape[-2:]
    bound = math.sqrt(6 / (window * (inputs + outputs)))
    return (bound * (2 * draw(jax.random.uniform, key, shape) - 1)).astype(dtype)


def torch_uniform(key: Array, shape: Sequence[int], dtype: DTypeLike) -> Array:
    """PyTorch's default for weights: uniform within 1 / sqrt(fan in)."""
    bound = math.prod(shape[:-1]) ** -0.5
    return (bound * (2 * draw(jax.random.uniform, key, shape) - 1)).astype(dtype)


def uniform_bias(
    fan_in: int, key: Array, shape: Sequence[int], dtype: DTypeLike
) -> Array:
    """PyTorch's default for biases: uniform within 1 / sqrt(fan in of the weights)."""
    unit = 2 * draw(jax.random.uniform, key, shape) - 1
    return (float(fan_in) ** -0.5 * unit).astype(dtype)
