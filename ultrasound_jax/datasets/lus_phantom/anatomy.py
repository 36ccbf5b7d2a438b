"""What lies between the probe and the lung, and how breathing moves it.

Levels are in dB relative to the speckle of muscle. Numbers are typical of adult chest
walls; layers, bat sign and sliding are those of Lichtenstein's descriptions
(Lichtenstein 2014, Annals of Intensive Care 4:1).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from ultrasound_jax.datasets.lus_phantom.probe import Probe
from ultrasound_jax.datasets.lus_phantom.speckle import smooth_noise

RIB_SHADOW = 0.006  # amplitude left behind a rib
INSPIRATION = 0.4  # share of a breath that is spent breathing in


def amplitude(level_db: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Amplitude of a level in dB."""
    return np.power(10.0, level_db / 20, dtype=np.float32)


@dataclass(frozen=True)
class Motion:
    """How the lung moves: sliding along the chest wall, and the wall's own lift.

    `slide_mm` and `lift_mm` are peak to peak over a breath of `breath_hz`; the heart
    adds `pulse_mm` at `heart_hz` (the lung pulse). `phase` is the breath's share that
    has passed when the video starts.
    """

    breath_hz: float
    phase: float
    slide_mm: float
    lift_mm: float
    heart_hz: float
    pulse_mm: float

    def inflation(self, seconds: float) -> float:
        """0 at the end of expiration, 1 at the end of inspiration."""
        share = (seconds * self.breath_hz + self.phase) % 1.0
        if share < INSPIRATION:
            return float(0.5 - 0.5 * np.cos(np.pi * share / INSPIRATION))
        out = (share - INSPIRATION) / (1 - INSPIRATION)
        return float(0.5 + 0.5 * np.cos(np.pi * out))

    def slide(self, seconds: float) -> float:
        """Lateral displacement of the lung in mm."""
        beat = self.pulse_mm * np.sin(2 * np.pi * self.heart_hz * seconds)
        return float(self.slide_mm * (self.inflation(seconds) - 0.5) + beat)

    def lift(self, seconds: float) -> float:
        """Change of the pleura's depth in mm."""
        beat = 0.3 * self.pulse_mm * np.sin(2 * np.pi * self.heart_hz * seconds)
        return float(self.lift_mm * (self.inflation(seconds) - 0.5) + beat)


@dataclass(frozen=True)
class Pleura:
    """The parietal pleura seen from the probe.

    `flatness` 0 follows the probe's curve, 1 is a plane; `tilt_rad` turns it.
    """

    depth_mm: float
    flatness: float
    tilt_rad: float

    def depth(self, probe: Probe) -> Float[np.ndarray, " beam"]:
        """Depth along each beam in mm, at rest."""
        centre = probe.radius_mm + self.depth_mm
        turned = probe.angles - self.tilt_rad
        plane = centre * np.cos(self.tilt_rad) / np.cos(turned) - probe.radius_mm
        curve = self.flatness * plane + (1 - self.flatness) * self.depth_mm
        return curve.astype(np.float32)

    def incidence(self, probe: Probe) -> Float[np.ndarray, " beam"]:
        """Angle in radians between each beam and the pleura's normal."""
        depth = self.depth(probe)
        slope = np.gradient(depth, probe.beam_rad) / (probe.radius_mm + depth)
        return np.arctan(slope).astype(np.float32)


@dataclass(frozen=True)
class Ribs:
    """Ribs cut across: a bright arc each, and the shadow that makes the bat sign.

    Rows are ribs: `centre_rad`, `half_rad` their half width, `top_mm` their depth.
    """

    centre_rad: Float[np.ndarray, " rib"]
    half_rad: Float[np.ndarray, " rib"]
    top_mm: Float[np.ndarray, " rib"]

    @classmethod
    def draw(cls, rng: np.random.Generator, probe: Probe, pleura_mm: float) -> "Ribs":
        """Ribs 27 to 35 mm apart, 5 to 9 mm above the pleura."""
        top = pleura_mm - min(rng.uniform(5, 9), pleura_mm * 0.45)
        spacing = probe.radians(rng.uniform(27, 35), top)
        half = probe.radians(rng.uniform(4.0, 6.0), top)
        # The operator puts the space between two ribs in the middle.
        first = rng.uniform(-0.65, -0.35) * spacing
        centres = first + spacing * np.arange(-2, 4)
        edge = np.deg2rad(probe.opening_deg) / 2 + half
        centres = centres[np.abs(centres) < edge]
        tops = top + rng.uniform(-0.5, 0.5, len(centres))
        return cls(
            centres.astype(np.float32),
            np.full(len(centres), half, np.float32),
            tops.astype(np.float32),
        )

    @classmethod
    def none(cls) -> "Ribs":
        """A view along an intercostal space."""
        empty = np.zeros(0, np.float32)
        return cls(empty, empty, empty)

    def cover(self, probe: Probe) -> Float[np.ndarray, " beam"]:
        """1 on beams that a rib blocks, 0 beside it, soft over about one beam."""
        covered = np.zeros(probe.beams, np.float32)
        for centre, half in zip(self.centre_rad, self.half_rad, strict=True):
            inside = (half - np.abs(probe.angles - centre)) / probe.beam_rad
            covered = np.maximum(covered, np.clip(inside + 0.5, 0, 1))
        return covered

    def surface(self, probe: Probe) -> Float[np.ndarray, " beam"]:
        """Depth in mm of the bone's arc on each beam; beyond the picture if none."""
        depth = np.full(probe.beams, 2 * probe.depth_mm, np.float32)
        rows = zip(self.centre_rad, self.half_rad, self.top_mm, strict=True)
        for centre, half, top in rows:
            across = (probe.angles - centre) / half
            arc = np.where(np.abs(across) <= 1.1, top + 2.5 * across**2, depth)
            depth = np.minimum(depth, arc.astype(np.float32))
        return depth


def chest_wall(
    rng: np.random.Generator,
    probe: Probe,
    pleura_mm: Float[np.ndarray, " beam"],
    fat: float,
) -> Float[np.ndarray, "z beam"]:
    """Amplitude of the wall's scatterers at rest: skin, fat with septa, muscle.

    `fat` is the share of the wall that is subcutaneous fat. Zero from the pleura on.
    """
    shape = (probe.samples, probe.beams)
    share = probe.depths[:, None] / pleura_mm
    wave = 0.035 * smooth_noise(rng, (probe.beams,), (14.0,))
    layer = share + wave
    thin = 0.6 / probe.sample_mm
    septa = np.maximum(smooth_noise(rng, shape, (thin, 10.0)) - 1.1, 0) * 13
    fibres = smooth_noise(rng, shape, (thin, 22.0)) * 4
    level = np.where(layer < fat, -9 + septa, -3 + fibres)
    level = np.where(share < 0.06, 3.0, level)
    millimetre = 1.0 / float(pleura_mm.mean())
    for border, height in ((fat, 11), ((fat + 1) / 2, 8), (0.93, 6)):
        level += height * np.exp(-(((layer - border) / (0.6 * millimetre)) ** 2))
    inside = np.clip((pleura_mm - probe.depths[:, None]) / probe.sample_mm, 0, 1)
    return amplitude(level.astype(np.float32)) * inside


def shift_rows(
    material: Float[np.ndarray, "m n 2"],
    rows: Float[np.ndarray, "z beam"],
    columns: Float[np.ndarray, "z beam"],
) -> Float[np.ndarray, "z beam 2"]:
    """Where tissue has moved to: reads a field at fractional rows and columns."""
    return cv2.remap(
        material, columns, rows, cv2.INTER_LINEAR, None, cv2.BORDER_CONSTANT
    )
