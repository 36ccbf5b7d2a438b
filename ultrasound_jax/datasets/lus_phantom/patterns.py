"""The four findings and the artefacts they are made of.

Each is drawn once for a video and then moves with the lung. Lateral positions that
belong to the lung are angles in the lung's own frame; `shift_rad` is how far the lung
has slid. Descriptions follow Lichtenstein 2014 (Annals of Intensive Care
4:1) and Volpicelli et al. 2012 (Intensive Care Medicine 38:577).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float

from ultrasound_jax.datasets.lus_phantom.anatomy import Motion, amplitude
from ultrasound_jax.datasets.lus_phantom.probe import Probe
from ultrasound_jax.datasets.lus_phantom.speckle import evolve, smooth_noise

MARGIN = 40  # beams of lung beyond each edge of the fan, for it to slide in


@dataclass(frozen=True)
class ALines:
    """Echoes that bounce between probe and pleura: lines at 2, 3, ... pleural depths.

    `level_db` is that of the first one, each further one is `loss_db` weaker.
    `spread_rad`: how fast they fade where the beam does not meet the pleura squarely.
    """

    level_db: float
    loss_db: float
    spread_rad: float

    def strength(
        self, incidence: Float[np.ndarray, " beam"]
    ) -> Float[np.ndarray, " beam"]:
        """Amplitude of the first line on each beam when nothing erases it."""
        square = np.exp(-0.5 * (incidence / self.spread_rad) ** 2)
        return (10 ** (self.level_db / 20) * square).astype(np.float32)

    def field(
        self,
        depths: Float[np.ndarray, " z"],
        pleura_mm: Float[np.ndarray, " beam"],
        strength: Float[np.ndarray, " beam"],
    ) -> Float[np.ndarray, "z beam"]:
        """Amplitude of all the lines; zero above 1.5 pleural depths.

        Each bounce adds to a line's thickness, because the wall is not perfectly even.
        """
        bounce = np.rint(depths[:, None] / pleura_mm)
        off = depths[:, None] - bounce * pleura_mm
        thickness = np.float32(0.4) + np.float32(0.1) * bounce
        lines = np.exp(-0.5 * (off / thickness) ** 2)
        lines *= amplitude((2 - bounce) * np.float32(self.loss_db))
        return np.where(bounce >= 2, lines * strength, 0).astype(np.float32)


@dataclass(frozen=True)
class BLines:
    """Comet tails: bright narrow columns from the pleura to the bottom, not fading.

    Rows are lines. `centre_rad` in the lung's frame, `width_rad` standard deviation,
    `level` amplitude, `ringing` and its successor `z line 2`: the stack of short echoes
    that sound trapped between air spaces gives (Soldati et al. 2020, Appl. Sci. 10).
    With `respiratory`, lines are there only while the lung is more inflated than
    `threshold`.
    """

    centre_rad: Float[np.ndarray, " line"]
    width_rad: Float[np.ndarray, " line"]
    level: Float[np.ndarray, " line"]
    ringing: Float[np.ndarray, "z line 2"]
    successor: Float[np.ndarray, "z line 2"]
    twinkle_hz: float
    respiratory: bool
    threshold: float

    @classmethod
    def draw(
        cls,
        rng: np.random.Generator,
        probe: Probe,
        lines: int,
        confluent: bool,
        respiratory: bool,
    ) -> "BLines":
        """Lines spread over the middle of the fan, or crowded into one sector."""
        half = np.deg2rad(probe.opening_deg) / 2
        if confluent:
            sector = rng.uniform(0.25, 0.6) * half
            middle = rng.uniform(-0.4, 0.4) * half
            places = np.linspace(-sector, sector, lines) + middle
            places = places + rng.normal(0, 0.6 * 2 * sector / lines, lines)
            widths = rng.uniform(0.9, 1.8, lines)
        else:
            places = rng.uniform(-0.75, 0.75, lines) * half
            widths = rng.uniform(0.7, 1.7, lines)
        level = 10 ** ((rng.uniform(3.0, 9.0) + rng.normal(0, 1.5, lines)) / 20)
        ring = (probe.samples, lines)
        axial = max(0.8, 1.2 * probe.wavelength_mm / probe.sample_mm)
        textures = [
            smooth_noise(rng, ring, (axial, 0.01)) * np.float32(0.5**0.5)
            for _ in range(4)
        ]
        return cls(
            places.astype(np.float32),
            (widths * probe.beam_rad).astype(np.float32),
            level.astype(np.float32),
            np.stack(textures[:2], -1),
            np.stack(textures[2:], -1),
            twinkle_hz=float(rng.uniform(0.15, 0.5)),
            respiratory=respiratory,
            threshold=float(rng.uniform(0.35, 0.6)),
        )

    def presence(self, inflation: float) -> float:
        """0 to 1: how much of the lines there is at this point of the breath."""
        if not self.respiratory:
            return 1.0
        return float(1 / (1 + np.exp(-(inflation - self.threshold) / 0.03)))

    def columns(
        self, probe: Probe, shift_rad: float, inflation: float
    ) -> Float[np.ndarray, "line beam"]:
        """Lateral profile of each line, peak 0 to 1."""
        away = probe.angles - (self.centre_rad + shift_rad)[:, None]
        profile = np.exp(-0.5 * (away / self.width_rad[:, None]) ** 2)
        return (profile * self.presence(inflation)).astype(np.float32)

    def field(
        self, columns: Float[np.ndarray, "line beam"], seconds: float
    ) -> Float[np.ndarray, "z beam 2"]:
        """The echoes over the whole depth; the caller cuts them off at the pleura."""
        turn = 2 * np.pi * self.twinkle_hz * seconds
        rings = evolve(self.ringing, self.successor, turn) * np.float32(0.75)
        rings[..., 0] += 0.7
        weighted = self.level[:, None] * columns
        return np.stack([rings[..., 0] @ weighted, rings[..., 1] @ weighted], -1)


@dataclass(frozen=True)
class Consolidation:
    """Lung without air: looks like liver, ends in a torn border, holds bright bronchi.

    In the lung's frame, on the beam grid plus `MARGIN` on both sides: `thickness_mm`
    from the lung's surface to the shred border.
    """

    thickness_mm: Float[np.ndarray, " column"]
    level_db: float

    @classmethod
    def draw(
        cls,
        rng: np.random.Generator,
        probe: Probe,
        pleura_mm: float,
        haze_db: float,
        large: bool,
    ) -> "Consolidation":
        """A sub-pleural wedge, or one that fills a good part of the fan.

        As bright as liver, and clearly brighter than the haze of aerated lung.
        """
        columns = probe.beams + 2 * MARGIN
        room = probe.depth_mm - pleura_mm
        deepest = rng.uniform(30, 55) if large else rng.uniform(13, 26)
        deepest = min(deepest, 0.7 * room)
        reach = rng.uniform(28, 45) if large else rng.uniform(14, 24)
        half = probe.radians(reach, pleura_mm) / probe.beam_rad
        middle = columns / 2 + rng.uniform(-0.22, 0.22) * probe.beams
        across = np.abs(np.arange(columns) - middle) / half
        dome = np.sqrt(np.clip(1 - across**2, 0, None))
        torn = sum(
            share * smooth_noise(rng, (columns,), (sigma,))
            for sigma, share in ((7.0, 0.13), (2.5, 0.10), (1.0, 0.06))
        )
        thickness = deepest * dome * np.clip(1 + torn, 0.3, None)
        level = max(rng.uniform(-5, 1), haze_db + 9)
        return cls(thickness.astype(np.float32), float(level))

    def material(
        self, rng: np.random.Generator, probe: Probe
    ) -> tuple[Float[np.ndarray, "z column"], Bool[np.ndarray, "z column"]]:
        """Amplitude below the lung's surface, and where it is solid lung."""
        below = probe.depths[:, None]
        solid = below < self.thickness_mm
        grain = smooth_noise(rng, solid.shape, (3.0, 3.0)) * 1.2
        level = amplitude((self.level_db + grain).astype(np.float32))
        level = np.where(solid, level + self._bronchi(rng, probe), 0)
        glint = np.maximum(smooth_noise(rng, (solid.shape[1],), (1.8,)) + 0.5, 0)
        glint *= np.clip(self.thickness_mm / 4, 0, 1)
        beyond = below - self.thickness_mm
        edge = 4.0 * np.exp(-((beyond / 1.3) ** 2))
        # Air behind the border rings, but the ringing dies out, unlike a B-line's.
        edge += 1.3 * np.exp(-np.maximum(beyond, 0) / 7) * (beyond > 0)
        return (level + glint * edge).astype(np.float32), solid

    def _bronchi(
        self, rng: np.random.Generator, probe: Probe
    ) -> Float[np.ndarray, "z column"]:
        """Air bronchograms: branching bright lines and points (lens-shaped cuts)."""
        drawn = np.zeros((probe.samples, len(self.thickness_mm)), np.float32)
        thick = np.flatnonzero(self.thickness_mm > 0.5 * self.thickness_mm.max())
        for _ in range(int(rng.integers(4, 10))):
            column = float(rng.choice(thick))
            deepest = self.thickness_mm[int(column)]
            depth = rng.uniform(0.3, 0.85) * deepest
            heading = rng.normal(0, 0.6)
            for _ in range(int(rng.integers(1, 4))):
                length = rng.uniform(1.5, 7.0)
                lateral = np.sin(heading) * length / 80 / probe.beam_rad
                end = column + lateral, max(depth - np.cos(heading) * length, 1.5)
                start = (round(column), round(depth / probe.sample_mm))
                stop = (round(end[0]), round(end[1] / probe.sample_mm))
                cv2.line(drawn, start, stop, float(rng.uniform(8, 16)), 1)
                column, depth = end
                heading += rng.normal(0, 0.7)
        return cv2.GaussianBlur(drawn, (0, 0), 0.6)


@dataclass(frozen=True)
class Effusion:
    """Fluid between the two pleurae: black, bounded by ribs and a sharp lung line.

    `thickness_mm` on each beam at expiration. The lung line comes nearer in inspiration
    by `swing` of it (sinusoid sign).
    """

    thickness_mm: Float[np.ndarray, " beam"]
    swing: float

    @classmethod
    def draw(
        cls, rng: np.random.Generator, probe: Probe, pleura_mm: float
    ) -> "Effusion":
        """10 to 45 mm deep, over the whole fan or tapering away to one side."""
        room = probe.depth_mm - pleura_mm
        deepest = min(rng.uniform(12, 45), 0.55 * room)
        half = np.deg2rad(probe.opening_deg) / 2
        border = rng.uniform(-0.1, 1.3) * half
        side = rng.choice([-1.0, 1.0])
        taper = rng.uniform(0.08, 0.2)
        shape = 1 / (1 + np.exp((side * probe.angles - border) / taper))
        wavy = 1 + 0.05 * smooth_noise(rng, (probe.beams,), (14.0,))
        thickness = deepest * np.clip(shape * wavy - 0.04, 0, None)
        return cls(thickness.astype(np.float32), float(rng.uniform(0.1, 0.35)))

    def depth(self, motion: Motion, seconds: float) -> Float[np.ndarray, " beam"]:
        """Distance in mm from chest wall to lung."""
        share = 1 - self.swing * motion.inflation(seconds)
        return self.thickness_mm * np.float32(share)
