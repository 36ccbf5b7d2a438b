"""How POCUS videos are cut into clips: the options of a build and their name."""

import dataclasses
from typing import Any

import tensorflow_datasets as tfds

from ultrasound_jax.datasets.errors import DatasetError

TAILS = ("length", "duplicate")
# Option: type, smallest and largest allowed value.
NUMBERS = {
    "size": (int, 8, 1024),
    "frame_rate": (float, 0.5, 200),
    "clip_seconds": (float, 0.05, 60),
    "overlap": (float, 0, 0.95),
}


@dataclasses.dataclass(kw_only=True)
class PocusConfig(tfds.core.BuilderConfig):
    """What a clip is; two configs that differ in anything differ in their name.

    size: side of the square frame in pixels. frame_rate: Hz after resampling in time.
    clip_seconds: nominal length. overlap: share of a clip that the next one repeats.
    tail: `length` keeps short last clips short; `duplicate` fills them up by repeating
    their last frame, as the original does.
    """

    size: int = 112
    frame_rate: float = 10.0
    clip_seconds: float = 1.0
    overlap: float = 0.2
    tail: str = "length"

    @property
    def clip_frames(self) -> int:
        """Nominal frames of a clip."""
        return max(1, round(self.clip_seconds * self.frame_rate))


def checked_config(**options: Any) -> PocusConfig:
    """A config with a name derived from its options, such as `112px_10hz_1s`.

    Raises:
        DatasetError: an unknown option, or a value that is not allowed.
    """
    config = PocusConfig(
        name="unnamed", **{key: _checked(key, value) for key, value in options.items()}
    )
    name = (
        f"{config.size}px_{config.frame_rate:.12g}hz_{config.clip_seconds:.12g}s"
        + (f"_overlap{config.overlap:.12g}" if config.overlap != 0.2 else "")
        + (f"_{config.tail}" if config.tail != "length" else "")
    ).replace(".", "p")
    description = (
        f"{config.size} px, {config.frame_rate:g} Hz, clips of {config.clip_frames} "
        f"frames overlapping by {100 * config.overlap:g} %, tail: {config.tail}"
    )
    return dataclasses.replace(config, name=name, description=description)


def _checked(key: str, value: Any) -> Any:
    if key == "tail":
        if value not in TAILS:
            raise DatasetError(f"pocus tail={value!r}, allowed: {', '.join(TAILS)}")
        return value
    if key not in NUMBERS:
        allowed = ", ".join((*NUMBERS, "tail"))
        raise DatasetError(f"pocus has no option {key!r}, allowed: {allowed}")
    kind, low, high = NUMBERS[key]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not low <= value <= high or kind(value) != value:
        word = "a whole number" if kind is int else "a number"
        raise DatasetError(
            f"pocus {key}={value!r}, allowed is {word} from {low} to {high}"
        )
    return kind(value)
