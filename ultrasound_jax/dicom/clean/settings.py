"""What is cleaned, and how: what must be known of a file, and what a user chooses."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from ultrasound_jax.dicom.read.regions import Region
from ultrasound_jax.types import InputError

GREYS = ("luminance", "red", "none")
LARGEST = 4096  # side of the letterbox


@runtime_checkable
class Layout(Protocol):
    """What cleaning must know of a file; a `CineHeader` knows it and more."""

    @property
    def rows(self) -> int:
        """Height of the frames in pixels."""
        ...

    @property
    def columns(self) -> int:
        """Their width."""
        ...

    @property
    def frames(self) -> int:
        """How many there are."""
        ...

    @property
    def regions(self) -> tuple[Region, ...] | None:
        """The calibrated ones; None where a kind of file never has any."""
        ...

    @property
    def pixel_aspect(self) -> float:
        """Width of a pixel over its height, where no region is calibrated."""
        ...


@runtime_checkable
class Frames(Protocol):
    """What is cleaned: a layout, and frames that can be walked through again."""

    @property
    def header(self) -> Layout:
        """What is known of the frames before they are seen."""
        ...

    def frames(self) -> Iterator[np.ndarray]:
        """Every frame from the first, uint8 `h w` or RGB `h w 3`."""
        ...


@dataclass(frozen=True)
class CleanSettings:
    """How frames are cleaned.

    region: number of the ultrasound region to cut out; None chooses
    (`regions.choose_region`). size: side of the square that frames are letterboxed to;
    None or 0 keeps the region's own pixels. grey: `luminance` (BT.601), `red` (the red
    channel, as the original takes), or `none` to keep colour. mask_fan: black outside
    the fan; without it, text that is burned in beside the fan stays.
    """

    region: int | None = None
    size: int | None = 256
    grey: str = "luminance"
    mask_fan: bool = True

    def __post_init__(self) -> None:
        if self.grey not in GREYS:
            raise InputError(f"grey is {self.grey!r}, allowed are {', '.join(GREYS)}")
        if not 0 <= (self.size or 0) <= LARGEST:
            raise InputError(f"size is {self.size} pixels, allowed are 0 to {LARGEST}")
