"""The linear array: parallel beams, and the square picture that is made of them.

Everything is simulated where the machine measures it, along beams, as in `lus_phantom`;
depths are mm from the probe's surface, places along it mm from its middle.
"""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from ultrasound_jax.datasets.lus_phantom.probe import Array
from ultrasound_jax.media.geometry import letterbox


@dataclass(frozen=True)
class LinearProbe(Array):
    """A linear array and the settings that shape its picture.

    `width_mm` of the array, `depth_mm` the displayed depth, `frequency_mhz` the centre
    frequency, `focus_mm` the depth of the focus, `aperture_mm` the width used at once;
    the spot at the focus is `least_mm` wider than theory has it. The grid is
    `samples` x `beams`.
    """

    width_mm: float
    depth_mm: float
    frequency_mhz: float
    focus_mm: float
    beams: int = 160
    samples: int = 384
    aperture_mm: float = 9.0
    least_mm: float = 0.12

    @cached_property
    def places(self) -> Float[np.ndarray, " beam"]:
        """Where each beam stands along the array in mm, left to right."""
        half = self.width_mm / 2
        return np.linspace(-half, half, self.beams, dtype=np.float32)

    @property
    def pitch_mm(self) -> float:
        """Distance between two beams in mm."""
        return self.width_mm / (self.beams - 1)

    @property
    def beam_mm(self) -> Float[np.ndarray, " z"]:
        """The same at each depth, as `PointSpread` asks for it."""
        return np.full(self.samples, self.pitch_mm)

    def pixel_mm(self, size: int) -> float:
        """The side of a pixel in a square picture of `size`."""
        return max(self.width_mm, self.depth_mm) / size

    def picture(
        self, beams: UInt8[np.ndarray, "z beam"], size: int
    ) -> UInt8[np.ndarray, "s s"]:
        """The square picture: aspect true, centred on black."""
        return letterbox(beams, size, pixel_aspect=self.pitch_mm / self.sample_mm)

    def mask(
        self, inside: Bool[np.ndarray, "z beam"], size: int
    ) -> UInt8[np.ndarray, "s s"]:
        """1 where at least half of a pixel of `picture` is inside, else 0."""
        share = self.picture(inside.astype(np.uint8) * 255, size)
        return cv2.threshold(share, 127, 1, cv2.THRESH_BINARY)[1].astype(np.uint8)
