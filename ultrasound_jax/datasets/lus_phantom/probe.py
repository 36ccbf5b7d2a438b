"""The curved array: its polar sampling grid and the conversion to a square frame.

Everything is simulated where the machine measures it, along beams, and becomes a
picture only at the end. Angles are radians from the centre beam, depths are mm from
the probe's surface along a beam.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from jaxtyping import Float, UInt8

SPEED_MM_PER_US = 1.54  # soft tissue, the value every scanner assumes
RENDER_PIXELS = 192  # smaller frames are drawn at least this large and then averaged


class Array(ABC):
    """What arrays of any form have: the grid along their beams, and how they focus.

    `depth_mm` is the displayed depth, `frequency_mhz` the centre frequency, `focus_mm`
    the depth of the focus, `aperture_mm` the width of the array that is used at once;
    the spot at the focus is `least_mm` wider than theory has it.
    """

    depth_mm: float
    frequency_mhz: float
    focus_mm: float
    samples: int
    aperture_mm: float
    least_mm: float

    @cached_property
    def depths(self) -> Float[np.ndarray, " z"]:
        """Depth of each sample in mm; sample k lies at k times `sample_mm`."""
        return np.arange(self.samples, dtype=np.float32) * np.float32(self.sample_mm)

    @property
    @abstractmethod
    def beam_mm(self) -> Float[np.ndarray, " z"]:
        """Distance between neighbouring beams at each depth in mm."""

    @property
    def sample_mm(self) -> float:
        """Distance between two samples of a beam in mm."""
        return self.depth_mm / (self.samples - 1)

    @property
    def wavelength_mm(self) -> float:
        """Wavelength in soft tissue."""
        return SPEED_MM_PER_US / self.frequency_mhz


@dataclass(frozen=True)
class Probe(Array):
    """A convex array and the settings that shape its picture.

    `radius_mm` of the array, `opening_deg` the full angle of the fan, `depth_mm` the
    displayed depth, `frequency_mhz` the centre frequency, `focus_mm` the depth of the
    transmit focus, `aperture_mm` the width of the array that is used at once; the spot
    at the focus is `least_mm` wider than theory has it. The polar grid is `samples` x
    `beams`.
    """

    radius_mm: float
    opening_deg: float
    depth_mm: float
    frequency_mhz: float
    focus_mm: float
    beams: int = 128
    samples: int = 384
    aperture_mm: float = 16.0
    least_mm: float = 0.8

    @cached_property
    def angles(self) -> Float[np.ndarray, " beam"]:
        """Direction of each beam in radians, left to right."""
        half = np.deg2rad(self.opening_deg) / 2
        return np.linspace(-half, half, self.beams, dtype=np.float32)

    @property
    def beam_mm(self) -> Float[np.ndarray, " z"]:
        """Distance between neighbouring beams at each depth in mm."""
        return (self.radius_mm + self.depths.astype(np.float64)) * self.beam_rad

    @property
    def beam_rad(self) -> float:
        """Angle between neighbouring beams."""
        return float(np.deg2rad(self.opening_deg)) / (self.beams - 1)

    def radians(self, along_mm: float, depth_mm: float) -> float:
        """The angle under which a lateral distance at a depth is seen."""
        return along_mm / (self.radius_mm + depth_mm)


class ScanConverter:
    """Draws a polar picture as a square one with the fan centred on black.

    The maps are made once. Frames smaller than `RENDER_PIXELS` are drawn larger and
    averaged, because point sampling would alias the speckle into flicker.
    `pixel_mm` is the side of one pixel of the result.
    """

    def __init__(self, probe: Probe, size: int):
        self.size = size
        self._oversampling = max(1, -(-RENDER_PIXELS // size))
        pixels = size * self._oversampling
        half = np.deg2rad(probe.opening_deg) / 2
        outer = probe.radius_mm + probe.depth_mm
        top = probe.radius_mm * np.cos(half)
        extent = max(2 * outer * np.sin(half), outer - top)
        self.pixel_mm = float(extent / size)
        step = extent / pixels
        across = (np.arange(pixels) + 0.5 - pixels / 2) * step
        margin = (extent - (outer - top)) / 2
        down = top - margin + (np.arange(pixels) + 0.5) * step
        x, y = np.meshgrid(across, down)
        angle, depth = np.arctan2(x, y), np.hypot(x, y) - probe.radius_mm
        self._beam = ((angle + half) / probe.beam_rad).astype(np.float32)
        self._sample = (depth / probe.sample_mm).astype(np.float32)

    def __call__(self, polar: UInt8[np.ndarray, "z beam"]) -> UInt8[np.ndarray, "s s"]:
        """The square frame; pixels outside the fan are 0."""
        picture = cv2.remap(
            polar, self._beam, self._sample, cv2.INTER_LINEAR, None, cv2.BORDER_CONSTANT
        )
        if self._oversampling > 1:
            side = (self.size, self.size)
            picture = cv2.resize(picture, side, interpolation=cv2.INTER_AREA)
        return picture
