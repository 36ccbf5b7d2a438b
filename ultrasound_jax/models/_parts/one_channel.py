"""Networks of one channel, whose originals scale the grey pixel itself."""

from dataclasses import replace
from typing import NamedTuple

from jaxtyping import Array, Float

from ultrasound_jax.models._parts.checks import require
from ultrasound_jax.models._parts.given import Given


class PixelScale(NamedTuple):
    """What a grey pixel in [0, 1] is multiplied with, and what is added behind that."""

    scale: float = 1.0
    offset: float = 0.0

    def __call__(self, image: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
        """The image as the network's weights know it."""
        if self == PixelScale():
            return image
        return self.scale * image + self.offset


def pixel_scale(given: Given) -> tuple[Given, PixelScale]:
    """Takes the scale out of what a network of one channel is given.

    `StemConv` tells grey pixels, which it scales, from normalised ones by the number of
    channels; of one channel the network scales them itself. Without a scale its images
    are normalised already. Of several channels nothing is taken. Raises `ModelError`
    for numbers of more channels than one.
    """
    if given.channels > 1:
        return given, PixelScale()
    for option in ("grey_scale", "grey_offset"):
        value = getattr(given, option)
        require(value is None or len(value) == 1, option, value, "None or one number")
    (scale,), (offset,) = given.grey_scale or (1.0,), given.grey_offset or (0.0,)
    rest = replace(given, grey_scale=None, grey_offset=None)
    return rest, PixelScale(float(scale), float(offset))
