"""Skin, fat with septa, gland, fat behind it, muscle: echo and loss of a section.

Levels are in dB relative to the speckle of glandular tissue, losses in dB a mm of depth
(there and back) beyond what the machine's gain over depth makes up for. Layers and
their order of brightness are those of any breast atlas (Stavros et al., Radiology 1995;
Mendelson et al., ACR BI-RADS ultrasound 2013); numbers were chosen by eye.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ultrasound_jax.datasets.lesion_phantom.patients import Body
from ultrasound_jax.datasets.lesion_phantom.probe import LinearProbe
from ultrasound_jax.datasets.lus_phantom.speckle import smooth_noise

SKIN_DB, FAT_DB, MUSCLE_DB, DEEP_DB = 9.0, -13.0, -8.0, -26.0
SEPTUM_DB, FIBRE_DB = 14.0, 9.0
IN_GLAND_DB = -9.0  # fat and ducts within the gland
LIGAMENTS = 1.3  # that cast a shadow, on the average


@dataclass(frozen=True)
class Tissue:
    """A section of the breast on the probe's grid.

    `level_db` of the diffuse echo, `mirror` the amplitude of surfaces that reflect as a
    whole, `loss_db_per_mm` along the beam.
    """

    level_db: Float[np.ndarray, "z beam"]
    mirror: Float[np.ndarray, "z beam"]
    loss_db_per_mm: Float[np.ndarray, "z beam"]


def field(
    rng: np.random.Generator, probe: LinearProbe, down_mm: float, along_mm: float
) -> Float[np.ndarray, "z beam"]:
    """Noise of variance 1 that is smooth over so many mm."""
    widths = (down_mm / probe.sample_mm, along_mm / probe.pitch_mm)
    return smooth_noise(rng, (probe.samples, probe.beams), widths)


def profile(
    rng: np.random.Generator, probe: LinearProbe, height_mm: float, along_mm: float
) -> Float[np.ndarray, " beam"]:
    """Ups and downs of a border, in mm, smooth over so many mm."""
    noise = smooth_noise(rng, (probe.beams,), (along_mm / probe.pitch_mm,))
    return height_mm * noise


def lines(
    noise: Float[np.ndarray, "z beam"], width: float
) -> Float[np.ndarray, "z beam"]:
    """1 on the lines where smooth noise passes zero, 0 beside them: a net of septa."""
    return np.exp(-((noise / width) ** 2))


def draw_tissue(rng: np.random.Generator, probe: LinearProbe, body: Body) -> Tissue:
    """A section through this breast, without a lesion."""
    z = probe.depths[:, None]
    skin = body.skin_mm + profile(rng, probe, 0.06, 6.0)
    fat = skin + body.fat_mm + profile(rng, probe, 1.1, 5.0)
    gland = fat + body.gland_mm + profile(rng, probe, 1.2, 8.0)
    behind = gland + body.behind_mm + profile(rng, probe, 0.3, 9.0)
    muscle = behind + body.muscle_mm + profile(rng, probe, 0.5, 12.0)
    lobules = lines(field(rng, probe, 2.0, 4.5), 0.11)
    in_fat = FAT_DB + SEPTUM_DB * lobules + 1.5 * field(rng, probe, 1.0, 2.0)
    fibres = lines(field(rng, probe, 0.5, 9.0), 0.3)
    in_muscle = MUSCLE_DB + FIBRE_DB * fibres
    level = np.select(
        [z < skin, z < fat, z < gland, z < behind, z < muscle],
        [
            SKIN_DB * np.ones_like(in_fat),
            in_fat,
            _gland(rng, probe, body.density),
            in_fat,
            in_muscle,
        ],
        DEEP_DB,
    )
    mirror = np.zeros_like(level)
    for border, bright, width in (
        (np.float32(0.25) + 0 * skin, 7.0, 0.25),
        (skin, 3.5, 0.16),
        (gland, 1.3, 0.16),
        (behind, 3.0, 0.2),
        (muscle, 4.5, 0.25),
    ):
        uneven = np.exp(profile(rng, probe, 0.4, 2.0))
        line = np.exp(-0.5 * ((z - border) / width) ** 2)
        mirror += bright * _facing(border, probe) * uneven * line
    loss = np.where(z > muscle, 0.9, 0.0) + _ligaments(rng, probe, fat)
    return Tissue(
        level.astype(np.float32), mirror.astype(np.float32), loss.astype(np.float32)
    )


def _gland(
    rng: np.random.Generator, probe: LinearProbe, density: float
) -> Float[np.ndarray, "z beam"]:
    """Echogenic tissue with darker fat and ducts in it, drawn out along the skin."""
    texture = 1.8 * field(rng, probe, 0.9, 2.0) + 1.2 * field(rng, probe, 3.0, 6.0)
    patches = field(rng, probe, 1.5, 3.6)
    # So much of a normal distribution lies above this.
    border = 2.2 * (density - 0.35)
    dark = 1 / (1 + np.exp(-(patches - border) / 0.12))
    strands = 4.0 * lines(field(rng, probe, 1.3, 4.0), 0.12)
    return texture + IN_GLAND_DB * dark + strands


def _facing(
    border: Float[np.ndarray, " beam"], probe: LinearProbe
) -> Float[np.ndarray, " beam"]:
    """How much of a surface's echo returns to beams that it is tilted away from."""
    slope = np.gradient(border, probe.pitch_mm)
    return np.maximum(np.exp(-0.5 * (slope / 0.25) ** 2), 0.1)


def _ligaments(
    rng: np.random.Generator, probe: LinearProbe, fat: Float[np.ndarray, " beam"]
) -> Float[np.ndarray, "z beam"]:
    """Narrow shadows of ligaments at the gland's upper border, in any breast."""
    loss = np.zeros((probe.samples, probe.beams))
    for _ in range(rng.poisson(LIGAMENTS)):
        place = rng.uniform(-0.5, 0.5) * probe.width_mm
        across = np.exp(-0.5 * ((probe.places - place) / rng.uniform(0.3, 0.9)) ** 2)
        along = np.exp(-0.5 * ((probe.depths[:, None] - fat) / 0.6) ** 2)
        loss += rng.uniform(2.0, 6.0) * across * along
    return loss
