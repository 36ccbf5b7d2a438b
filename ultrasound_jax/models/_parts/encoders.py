"""The image encoders by name, and how a clip passes through one frame by frame."""

from typing import Protocol, runtime_checkable

from jaxtyping import Array, Bool, Float

from ultrasound_jax.models._parts import by_name
from ultrasound_jax.models._parts.checks import is_count, require
from ultrasound_jax.models._parts.given import Given
from ultrasound_jax.models._parts.padding import blank_padding


@runtime_checkable
class Encoder(Protocol):
    """An image to one vector of `features` numbers, the mean of its feature map.

    A file of `models/` names its encoders in `ENCODERS`; each is made by
    `Class(given, *, width=None)` and says by `TORCH_HEAD` what its original calls the
    classifier that it does without. One that has `stage_maps(image, mask)`, a list of
    its feature maps from the finest to `feature_map`, can be looked into at each.
    """

    features: int

    def __call__(
        self, image: Float[Array, "n h w c"], mask: Bool[Array, " n"] | None = None
    ) -> Float[Array, "n d"]:
        """The pooled features."""
        ...

    def feature_map(
        self, image: Float[Array, "n h w c"], mask: Bool[Array, " n"] | None = None
    ) -> Float[Array, "n i j d"]:
        """The features before they are averaged over the image."""
        ...


def build_encoder(name: str, given: Given, *, width: int | None = None) -> Encoder:
    """An encoder by its name; `width` None is the published one.

    Raises `ModelError` for an unknown name or a width that it cannot have.
    """
    kind = by_name.find(by_name.ENCODERS, "encoder", name)
    options = {} if width is None else {"width": width}
    fits = options.keys() <= by_name.options_of(kind).keys()
    require(fits, "width", width, f"None: encoder {name!r} has no width")
    return kind(given, **options)


def encoder_width(width: int | None, published: int) -> int:
    """The channels of an encoder's first layer; `ModelError` unless they are even."""
    width = published if width is None else width
    even = is_count(width) and width % 2 == 0
    require(even, "width", width, "an even number of channels, or None")
    return width


def stage_maps(
    encoder: Encoder,
    image: Float[Array, "n h w c"],
    mask: Bool[Array, " n"] | None = None,
) -> list[Float[Array, "n _ _ _"]]:
    """The feature maps behind an encoder's stages; of one that names none, its last."""
    own = getattr(encoder, "stage_maps", None)
    return [encoder.feature_map(image, mask)] if own is None else own(image, mask)


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
