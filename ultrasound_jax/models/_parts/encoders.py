"""The image encoders by name, and how a clip passes through one frame by frame."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, runtime_checkable

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from ultrasound_jax.models._parts.layers import (
    ModelError,
    compute_dtype,
    is_count,
    require,
)
from ultrasound_jax.models._parts.padding import blank_padding
from ultrasound_jax.models.densenet import DenseNet
from ultrasound_jax.models.resnet import BasicBlock, Bottleneck, ResNet


@runtime_checkable
class Encoder(Protocol):
    """An image to one vector of `features` numbers, the mean of its feature map."""

    features: int

    def __call__(
        self, image: Float[Array, "n h w c"], mask: Bool[Array, " n"] | None = None
    ) -> Float[Array, "n d"]:
        """Returns the pooled features."""
        ...

    def feature_map(
        self, image: Float[Array, "n h w c"], mask: Bool[Array, " n"] | None = None
    ) -> Float[Array, "n i j d"]:
        """Returns the features before they are averaged over the image."""
        ...


# Each with its published width, the channels of the stem.
ENCODERS: dict[str, tuple[Callable[..., DenseNet | ResNet], int]] = {
    "resnet18": (partial(ResNet, BasicBlock, (2, 2, 2, 2)), 64),
    "resnet50": (partial(ResNet, Bottleneck, (3, 4, 6, 3)), 64),
    "densenet121": (partial(DenseNet, (6, 12, 24, 16)), 64),
    "densenet161": (partial(DenseNet, (6, 12, 36, 24)), 96),
}


def build_encoder(
    name: str,
    *,
    width: int | None = None,
    channels: int = 3,
    grey_scale: Sequence[float] | None = None,
    grey_offset: Sequence[float] | None = None,
    dtype: DTypeLike = jnp.float32,
    remat: bool = False,
    rngs: nnx.Rngs,
) -> DenseNet | ResNet:
    """An encoder of `ENCODERS`; `width` None is the published one.

    Raises `ModelError` for an unknown name, a width that is not even and positive, or a
    dtype other than float32 and bfloat16.
    """
    if name not in ENCODERS:
        raise ModelError(f"encoder {name!r}: allowed are {', '.join(sorted(ENCODERS))}")
    make, published_width = ENCODERS[name]
    width = published_width if width is None else width
    even = is_count(width) and width % 2 == 0
    require(even, "width", width, "an even number of channels, or None")
    require(is_count(channels), "channels", channels, "1 or more")
    return make(
        width=width,
        channels=channels,
        grey_scale=grey_scale,
        grey_offset=grey_offset,
        dtype=compute_dtype(dtype),
        remat=remat,
        rngs=rngs,
    )


def encode_frames(
    encoder: Encoder, clip: Float[Array, "b t h w c"], mask: Bool[Array, "b t"] | None
) -> Float[Array, "b t d"]:
    """One vector a frame; frames where `mask` is false count nowhere and give zeros."""
    # Blank before and after: finite inputs keep the gradients finite, and the norms'
    # offsets would give even a blank frame features.
    clip = blank_padding(clip, mask)
    batch, frames = clip.shape[:2]
    flat_mask = None if mask is None else mask.reshape(-1)
    features = encoder(clip.reshape(batch * frames, *clip.shape[2:]), flat_mask)
    return blank_padding(features.reshape(batch, frames, -1), mask)
