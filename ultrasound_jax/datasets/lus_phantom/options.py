"""What the phantom simulates and how it is cut: the options of a build."""

from dataclasses import dataclass
from typing import Any

import tensorflow_datasets as tfds

from ultrasound_jax.datasets.errors import DatasetError

# Option: type, smallest and largest allowed value.
OPTIONS = {
    "size": (int, 16, 1024),
    "frame_rate": (float, 1, 200),
    "patients": (int, 1, 100_000),
    "videos": (int, 1, 100),
    "seed": (int, 0, 2**31 - 1),
    "clip_seconds": (float, 0.1, 10),
    "overlap": (float, 0, 0.95),
}


@dataclass(kw_only=True)
class PhantomConfig(tfds.core.BuilderConfig):
    """What is simulated and how it is cut; the name is derived from it.

    size: side of a frame in pixels. frame_rate: Hz. patients, videos: how many, and of
    each patient. clip_seconds: nominal length of a clip. overlap: share of a clip that
    the next one repeats.
    """

    size: int = 64
    frame_rate: float = 10.0
    patients: int = 48
    videos: int = 3
    seed: int = 0
    clip_seconds: float = 1.0
    overlap: float = 0.2

    @property
    def clip_frames(self) -> int:
        """Nominal frames of a clip."""
        return max(1, round(self.clip_seconds * self.frame_rate))


def _checked(options: dict[str, Any]) -> dict[str, Any]:
    checked = {}
    for key, value in options.items():
        if key not in OPTIONS:
            allowed = ", ".join(OPTIONS)
            raise DatasetError(f"lus_phantom has no option {key!r}, allowed: {allowed}")
        kind, low, high = OPTIONS[key]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or kind(value) != value or not low <= value <= high:
            word = "a whole number" if kind is int else "a number"
            raise DatasetError(
                f"lus_phantom {key}={value!r}, allowed is {word} from {low} to {high}"
            )
        checked[key] = kind(value)
    return checked


def checked_config(**options: Any) -> PhantomConfig:
    """The config of these options; its name is derived from them.

    Raises:
        DatasetError: an option is unknown or out of its range.
    """
    drawn = PhantomConfig(name="unnamed", **_checked(options))
    name = (
        f"{drawn.size}px_{drawn.frame_rate:.12g}hz_{drawn.clip_seconds:.12g}s"
        f"_{100 * drawn.overlap:.12g}pct_{drawn.patients}x{drawn.videos}"
        f"_seed{drawn.seed}"
    )
    drawn.name = name.replace(".", "p")
    drawn.description = (
        f"{drawn.patients} patients x {drawn.videos} videos, {drawn.size} pixels, "
        f"{drawn.frame_rate:g} Hz, clips of {drawn.clip_seconds:g} s."
    )
    return drawn
