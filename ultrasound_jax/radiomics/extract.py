"""All features of a region of an image, under pyradiomics' names."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ultrasound_jax.radiomics.errors import RadiomicsError
from ultrasound_jax.radiomics.features.firstorder import firstorder
from ultrasound_jax.radiomics.features.glcm import glcm
from ultrasound_jax.radiomics.features.gldm import gldm
from ultrasound_jax.radiomics.features.glrlm import glrlm
from ultrasound_jax.radiomics.features.glszm import glszm
from ultrasound_jax.radiomics.features.ngtdm import ngtdm
from ultrasound_jax.radiomics.features.shape2d import shape2d
from ultrasound_jax.radiomics.filters import IMAGES, filtered
from ultrasound_jax.radiomics.region import Region, checked_mask, make_region

# The classes of features that are measured on every image, in the features' order.
CLASSES: dict[str, Callable[[Region], dict[str, float]]] = {
    "firstorder": firstorder,
    "glcm": glcm,
    "gldm": gldm,
    "glrlm": glrlm,
    "glszm": glszm,
    "ngtdm": ngtdm,
}


@dataclass(frozen=True)
class Settings:
    """What is measured.

    bin_width: of the grey levels, in the image's values.
    images: of `filters.IMAGES`.
    log_sigmas: of further images, Laplacians of Gaussians, in pixels.

    Raises:
        RadiomicsError: a width that is no positive number, no image at all.
    """

    bin_width: float = 25.0
    images: tuple[str, ...] = IMAGES
    log_sigmas: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.bin_width < np.inf:
            raise RadiomicsError(
                f"bin_width={self.bin_width}; allowed are numbers above 0"
            )
        if not self.images and not self.log_sigmas:
            raise RadiomicsError(f"no image to measure; there are {', '.join(IMAGES)}")

    def as_json(self) -> dict[str, object]:
        """The settings as JSON has them."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self).items()
        }


def extract(
    image: np.ndarray, mask: np.ndarray, settings: Settings | None = None
) -> dict[str, float]:
    """The features `<image>_<class>_<name>`, 939 of them by the defaults.

    Args:
        image: `h w`, finite numbers.
        mask: `h w`, inside where it is not 0; it may have holes and several parts.
        settings: what is measured.

    Raises:
        RadiomicsError: the image is no such, or nothing can be measured on the mask
            (see `checked_mask`) or the image (see `filtered`).
    """
    settings = settings or Settings()
    if image.ndim != 2 or image.dtype.kind not in "uif":
        raise RadiomicsError(
            f"the image is {image.dtype} {image.shape}; allowed are numbers h w"
        )
    inside = checked_mask(mask, image.shape)
    image = image.astype(np.float64)
    if not np.isfinite(image).all():
        raise RadiomicsError("the image has values that are not finite")
    found: dict[str, float] = {}
    for name, seen in filtered(image, settings.images, settings.log_sigmas):
        region = make_region(seen, inside, settings.bin_width)
        if not found:  # the shape is the mask's, whatever the image
            found |= _named("original_shape2D", shape2d(region))
        for kind, measure in CLASSES.items():
            found |= _named(f"{name}_{kind}", measure(region))
    return found


def _named(prefix: str, features: dict[str, float]) -> dict[str, float]:
    return {f"{prefix}_{name}": value for name, value in features.items()}


def feature_names(settings: Settings) -> list[str]:
    """The names of the features that `extract` gives with these settings."""
    return list(extract(np.arange(1.0, 17.0).reshape(4, 4), np.ones((4, 4)), settings))
