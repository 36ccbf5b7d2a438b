"""A cine: one probe position over time, as the machine would show it.

The echo of each moment is put together from moving parts (chest wall, pleura,
artefacts, diseased lung), blurred by the machine's spot, mixed with its noise,
compressed to decibels and drawn as a fan. What is visible in a frame is known from the
same parts, so the ground truth needs no reader.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Int8, UInt8

from ultrasound_jax.datasets.lus_phantom import anatomy, patterns
from ultrasound_jax.datasets.lus_phantom.patients import Patient
from ultrasound_jax.datasets.lus_phantom.probe import ScanConverter
from ultrasound_jax.datasets.lus_phantom.scene import Scene
from ultrasound_jax.datasets.lus_phantom.speckle import (
    PointSpread,
    evolve,
    scatterers,
    smooth_noise,
)

# From these on a finding counts as visible in a frame.
A_LINE_CONTRAST = 2.0  # over haze and noise, as a ratio of amplitudes
VISIBLE_SHARE = 0.08  # of the fan's beams, for A-lines, consolidation and effusion
CONSOLIDATION_MM = 5.0
EFFUSION_MM = 4.0
B_LINE_PEAK = 0.5

PLEURA_DB = 24.0
WHITE_DB = 24.0  # the level that is shown white at 0 dB gain
TISSUE_REPLACEMENT_HZ = 0.03
# The echo of air-filled lung is scattered many times, so that a little sliding changes
# its phases: grain that moves below a still wall is the seashore sign's sand.
SAND_MM = 0.3  # sliding that decorrelates it
SAND_HZ = 0.8  # turns a second without any sliding
SOLID_SHARE = 0.01  # of that in consolidated lung, which scatters once


@dataclass(frozen=True)
class Geometry:
    """Where things are at one moment; depths in mm on each beam."""

    shift_rad: float
    pleura: Float[np.ndarray, " beam"]
    lung: Float[np.ndarray, " beam"]
    fluid: Float[np.ndarray, " beam"]
    solid: Float[np.ndarray, " beam"]
    open: Float[np.ndarray, " beam"]
    b_columns: Float[np.ndarray, "line beam"]
    a_strength: Float[np.ndarray, " beam"]


class Cine:
    """A scene whose scatterers are drawn, ready to be looked at at any time.

    Machine and scene are fixed; `echo`, `grey` and `visible` take the time in seconds.
    """

    def __init__(self, rng: np.random.Generator, patient: Patient, scene: Scene):
        self.patient, self.scene, self.probe = patient, scene, patient.probe
        probe = self.probe
        self.spot = PointSpread(probe)
        self._rest = scene.pleura.depth(probe)
        self._incidence = scene.pleura.incidence(probe)
        self._cover = scene.ribs.cover(probe)
        self._bone = scene.ribs.surface(probe)
        self._draw_wall(rng)
        self._draw_lung(rng)
        noise = rng.standard_normal((2 * probe.samples, 2 * probe.beams, 2), np.float32)
        self._noise = cv2.GaussianBlur(noise, (0, 0), 0.6)
        self._noise /= self._noise.std() * np.float32(2**0.5)
        self._noise_seed = int(rng.integers(2**32))
        knots = np.linspace(0, probe.depth_mm, len(patient.tgc_db))
        tgc = np.interp(probe.depths, knots, patient.tgc_db)
        # The receiver is turned up with depth, and its noise with it.
        rise = 8.0 * probe.depths / probe.depth_mm
        self._noise_level = 10 ** ((patient.noise_db + rise) / 20)
        self._gain_db = (patient.gain_db + tgc).astype(np.float32)[:, None]
        self._beams = np.arange(probe.beams, dtype=np.float32)[None, :]

    def _draw_wall(self, rng: np.random.Generator) -> None:
        probe = self.probe
        rows = int((self._rest.max() + 4) / probe.sample_mm) + 2
        rows = min(rows, probe.samples)
        wall = anatomy.chest_wall(rng, probe, self._rest, self.patient.fat)
        wall = (wall[..., None] * self.spot.diffuse_gain)[:rows]
        self._wall = wall * scatterers(rng, rows, probe.beams)
        self._wall_next = wall * scatterers(rng, rows, probe.beams)

    def _draw_lung(self, rng: np.random.Generator) -> None:
        probe, scene = self.probe, self.scene
        columns = probe.beams + 2 * patterns.MARGIN
        below = probe.depths[:, None]
        # Echoes that bounce within the wall pile up just behind the pleura.
        level = scene.haze_db - scene.haze_loss_db_per_cm * below / 10
        level = level + 4 * np.exp(-below / 6)
        level = np.broadcast_to(level, (probe.samples, columns))
        haze = anatomy.amplitude(level.astype(np.float32))
        self._solid_mm = np.zeros(columns, np.float32)
        inside = np.zeros(haze.shape, bool)
        if scene.consolidation is not None:
            echo, inside = scene.consolidation.material(rng, probe)
            haze = np.where(inside, 0, haze) + echo
            self._solid_mm = scene.consolidation.thickness_mm
        haze = haze[..., None].astype(np.float32) * self.spot.diffuse_gain
        solid = scatterers(rng, probe.samples, columns)
        # Phases that drift apart leave no grain, so air starts without one.
        air = rng.standard_normal(solid.shape, np.float32)
        air *= self.spot.white_gain / self.spot.diffuse_gain
        lung = haze * np.where(inside[..., None], solid, air)
        real, imaginary = cv2.split(lung)
        self._lung, self._lung_phase = cv2.cartToPolar(real, imaginary)
        drift = rng.standard_normal(inside.shape, np.float32)
        self._lung_drift = np.where(inside, SOLID_SHARE * drift, drift)
        shimmer = smooth_noise(rng, (columns,), (1.2,))
        self._shimmer = (1 + 0.35 * shimmer).clip(0.15, None).astype(np.float32)
        rough = scene.roughness_mm * smooth_noise(rng, (columns,), (2.5,))
        self._rough_mm = rough.astype(np.float32)
        uneven = smooth_noise(rng, (probe.beams,), (5.0,))
        self._uneven = 10 ** (3 * uneven / 20)

    def geometry(self, seconds: float) -> Geometry:
        """Where everything is at this time."""
        scene, probe = self.scene, self.probe
        slide = scene.motion.slide(seconds)
        inflation = scene.motion.inflation(seconds)
        shift = probe.radians(slide, scene.pleura.depth_mm)
        pleura = self._rest + np.float32(scene.motion.lift(seconds))
        fluid = np.zeros_like(pleura)
        if scene.effusion is not None:
            fluid = scene.effusion.depth(scene.motion, seconds)
        solid = self._in_lung(self._solid_mm, shift)
        open_ = (1 - self._cover) * np.clip(scene.contact / 0.5, 0, 1)
        columns = np.zeros((0, probe.beams), np.float32)
        if scene.b_lines is not None:
            columns = scene.b_lines.columns(probe, shift, inflation)
        strength = np.zeros_like(pleura)
        if scene.a_lines is not None:
            air = np.clip(1.5 - solid / 2, 0, 1) * np.clip(1.5 - fluid / 2, 0, 1)
            free = np.prod(1 - np.minimum(1.3 * columns**0.5, 1), axis=0)
            strength = scene.a_lines.strength(self._incidence) * air * free
        return Geometry(
            shift,
            pleura,
            pleura + fluid,
            fluid,
            solid,
            open_.astype(np.float32),
            columns,
            strength.astype(np.float32),
        )

    def _in_lung(self, profile: np.ndarray, shift_rad: float) -> np.ndarray:
        """What of a profile along the lung lies under each beam."""
        place = np.arange(self.probe.beams) + patterns.MARGIN
        place = place - shift_rad / self.probe.beam_rad
        return np.interp(place, np.arange(len(profile)), profile).astype(np.float32)

    def echo(self, seconds: float) -> Float[np.ndarray, "z beam 2"]:
        """The demodulated echo without the machine's noise; muscle is near 1."""
        at = self.geometry(seconds)
        field = self._wall_echo(at, seconds) + self._lung_echo(at, seconds)
        depths = self.probe.depths[:, None]
        step = np.float32(self.probe.sample_mm)
        behind = np.clip((depths - self._bone) / step, 0, 1) * self._cover
        loss = self.scene.contact * (1 - (1 - anatomy.RIB_SHADOW) * behind)
        field *= loss[..., None]
        bone = np.exp(-0.5 * ((depths - self._bone) / 0.8) ** 2)
        field[..., 0] += 10 ** (PLEURA_DB / 20) * bone * self.scene.contact
        return self.spot(field)

    def _wall_echo(self, at: Geometry, seconds: float) -> np.ndarray:
        depths, step = self.probe.depths[:, None], self.probe.sample_mm
        turn = 2 * np.pi * TISSUE_REPLACEMENT_HZ * seconds
        wall = evolve(self._wall, self._wall_next, turn)
        rows = depths / step * (self._rest / at.pleura)
        columns = np.broadcast_to(self._beams, rows.shape)
        field = anatomy.shift_rows(wall, rows.astype(np.float32), columns)
        dry = np.clip(1 - at.fluid / 3, 0, 1)
        air = np.clip(1.4 - at.solid / 4, 0.35, 1)
        moving = self._in_lung(self._shimmer, at.shift_rad)
        level = np.float32(10 ** (PLEURA_DB / 20))
        parietal = level * np.where(dry < 1, 0.35 + 0.65 * dry * moving, moving)
        visceral = 0.55 * level * (1 - dry) * moving
        rough = self._in_lung(self._rough_mm, at.shift_rad)
        surfaces = (
            (at.pleura + dry * rough, parietal * air),
            (at.lung + rough, visceral),
        )
        for depth, bright in surfaces:
            line = np.exp(-0.5 * ((depths - depth) / 0.6) ** 2)
            field[..., 0] += line * bright * self._facing(depth)
        return field

    def _facing(self, depth_mm: np.ndarray) -> np.ndarray:
        """How much of a surface's echo returns to the probe that it tilts away from."""
        even = cv2.GaussianBlur(depth_mm[None, :], (0, 0), 3.0)[0]
        slope = np.gradient(even, self.probe.beam_rad)
        tilt = np.arctan(slope / (self.probe.radius_mm + even))
        return np.maximum(np.exp(-0.5 * (tilt / 0.3) ** 2), 0.15).astype(np.float32)

    def _lung_echo(self, at: Geometry, seconds: float) -> np.ndarray:
        probe, scene = self.probe, self.scene
        depths, step = probe.depths[:, None], np.float32(probe.sample_mm)
        drift = scene.motion.slide(seconds) / SAND_MM + 2 * np.pi * SAND_HZ * seconds
        phase = cv2.scaleAdd(self._lung_drift, drift, self._lung_phase)
        lung = cv2.merge(cv2.polarToCart(self._lung, phase))
        rows = (depths - at.lung) / step
        columns = self._beams + np.float32(
            patterns.MARGIN - at.shift_rad / probe.beam_rad
        )
        columns = np.broadcast_to(columns, rows.shape)
        field = anatomy.shift_rows(lung, rows.astype(np.float32), columns)
        # Fluid does not attenuate: what lies behind it is enhanced.
        behind = 1 + 0.4 * np.clip(at.fluid / 20, 0, 1)
        field *= behind[:, None]
        if scene.a_lines is not None:
            strength = at.a_strength * self._uneven
            lines = scene.a_lines.field(probe.depths, at.pleura, strength)
            field[..., 0] += lines
        if scene.b_lines is not None:
            tails = scene.b_lines.field(at.b_columns, seconds)
            start = np.clip((depths - at.lung - at.solid) / step, 0, 1)
            field += tails * start[..., None]
        return field

    def grey(self, seconds: float) -> UInt8[np.ndarray, "z beam"]:
        """What the machine shows of this moment, along beams."""
        echo = self.echo(seconds)
        echo += self._thermal(seconds) * self._noise_level[:, None, None]
        level = cv2.magnitude(
            np.ascontiguousarray(echo[..., 0]), np.ascontiguousarray(echo[..., 1])
        )
        level = cv2.log(level + 1e-6) * np.float32(20 / np.log(10))
        level += self._gain_db
        span = self.patient.dynamic_range_db
        shown = np.clip((level - (WHITE_DB - span)) / span, 0, 1)
        return (255 * shown**1.35 + 0.5).astype(np.uint8)

    def _thermal(self, seconds: float) -> np.ndarray:
        """Fresh noise for each moment: a window at a random place of a larger sheet."""
        moment = round(seconds * 1000)
        rng = np.random.default_rng([self._noise_seed, moment])
        row = int(rng.integers(self.probe.samples))
        beam = int(rng.integers(self.probe.beams))
        return self._noise[row:, beam:][: self.probe.samples, : self.probe.beams]

    def visible(self, seconds: float) -> Int8[np.ndarray, " 4"]:
        """1 for each finding that this moment shows, in the order of CLASSES."""
        at = self.geometry(seconds)
        full = np.zeros(4, bool)
        if self.scene.a_lines is not None:
            clear = at.a_strength > A_LINE_CONTRAST * self._background(at.pleura)
            full[0] = self._share(clear, at.open) >= VISIBLE_SHARE
        if self.scene.b_lines is not None:
            full[1] = bool(np.any(at.b_columns * at.open > B_LINE_PEAK))
        full[2] = self._share(at.solid > CONSOLIDATION_MM, at.open) >= VISIBLE_SHARE
        full[3] = self._share(at.fluid > EFFUSION_MM, at.open) >= VISIBLE_SHARE
        return full.astype(np.int8)

    def _background(self, pleura_mm: np.ndarray) -> np.ndarray:
        """Amplitude of haze and noise where the first A-line is expected."""
        scene = self.scene
        haze_db = scene.haze_db - scene.haze_loss_db_per_cm * pleura_mm / 10
        noise = np.interp(2 * pleura_mm, self.probe.depths, self._noise_level)
        return np.hypot(10 ** (haze_db / 20), noise)

    @staticmethod
    def _share(where: np.ndarray, open_: np.ndarray) -> float:
        return float(np.mean(where & (open_ > 0.5)))


def film(
    cine: Cine, converter: ScanConverter, frame_rate: float, seconds: float
) -> tuple[UInt8[np.ndarray, "t s s"], Int8[np.ndarray, "t 4"]]:
    """Frames at `frame_rate` Hz for `seconds`, and what is visible in each."""
    moments = np.arange(max(1, round(seconds * frame_rate))) / frame_rate
    frames = np.stack([converter(cine.grey(float(t))) for t in moments])
    return frames, np.stack([cine.visible(float(t)) for t in moments])
