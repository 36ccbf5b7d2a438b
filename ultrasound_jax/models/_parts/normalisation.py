"""How pixels were scaled when an image network's published weights were trained."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ultrasound_jax.models._parts import by_name


class Normalisation(NamedTuple):
    """The mean and the spread that pixels in [0, 1] are freed of, for each channel."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def scale(self) -> tuple[float, ...]:
        """What a pixel is multiplied with."""
        return tuple(1 / s for s in self.std)

    @property
    def offset(self) -> tuple[float, ...]:
        """What is added behind that."""
        return tuple(-m / s for m, s in zip(self.mean, self.std, strict=True))


IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# (pixel - 127) / 128 of pixels up to 255, as TensorFlow's mobile networks have it.
MOBILE = Normalisation((127 / 255,) * 3, (128 / 255,) * 3)


def normalisation_of(kind: type[Any], options: Mapping[str, Any]) -> Normalisation:
    """What a network's class, or that of its encoder, says by `NORMALISATION`.

    `options` are those that the network is made with, of which `encoder` may name one.
    Classes that say nothing are as torchvision's: ImageNet's mean and spread.
    """
    named = (by_name.options_of(kind) | dict(options)).get("encoder")
    encoder: Any = getattr(kind, "encoder_kind", None)
    if named is not None:
        encoder = by_name.find(by_name.ENCODERS, "encoder", named)
    of_encoder = getattr(encoder, "NORMALISATION", IMAGENET)
    return getattr(kind, "NORMALISATION", of_encoder)
