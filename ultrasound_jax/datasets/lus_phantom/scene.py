"""A probe position: which anatomy, motion and findings one video shows.

Everything here is drawn once from the video's random generator; `cine` looks at it.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ultrasound_jax.datasets.lus_phantom import anatomy, patterns
from ultrasound_jax.datasets.lus_phantom.patients import Findings, Patient
from ultrasound_jax.datasets.lus_phantom.speckle import smooth_noise


@dataclass(frozen=True)
class Scene:
    """Everything a probe position consists of; absent findings are None.

    `haze_db` is the level of aerated lung's diffuse echo at the pleura,
    `haze_loss_db_per_cm` its decay; `roughness_mm` the unevenness of the lung's
    surface; `contact` the gain of each beam, low where the probe lifts off the skin.
    """

    motion: anatomy.Motion
    pleura: anatomy.Pleura
    ribs: anatomy.Ribs
    a_lines: patterns.ALines | None
    b_lines: patterns.BLines | None
    consolidation: patterns.Consolidation | None
    effusion: patterns.Effusion | None
    haze_db: float
    haze_loss_db_per_cm: float
    roughness_mm: float
    contact: Float[np.ndarray, " beam"]


def draw_scene(rng: np.random.Generator, patient: Patient, findings: Findings) -> Scene:
    """A probe position of this patient with exactly these findings."""
    probe, pleura_mm = patient.probe, patient.pleura_mm * rng.uniform(0.9, 1.1)
    motion = anatomy.Motion(
        breath_hz=patient.breath_hz,
        phase=float(rng.random()),
        slide_mm=patient.slide_mm * rng.uniform(0.7, 1.2) * rng.choice([-1, 1]),
        lift_mm=float(rng.uniform(0.3, 1.5)),
        heart_hz=patient.heart_hz,
        pulse_mm=float(rng.uniform(0.1, 0.5)),
    )
    pleura = anatomy.Pleura(
        pleura_mm, rng.uniform(0.3, 1.0), np.deg2rad(rng.normal(0, 4))
    )
    # The quad sign is sought between two ribs.
    seen = rng.random() < (0.8 if findings.pleural_effusion else 0.55)
    ribs = anatomy.Ribs.draw(rng, probe, pleura_mm) if seen else anatomy.Ribs.none()
    haze_db = float(rng.uniform(-17, -9))
    alone = not (findings.a_line or findings.consolidation or findings.pleural_effusion)
    return Scene(
        motion=motion,
        pleura=pleura,
        ribs=ribs,
        a_lines=_a_lines(rng) if findings.a_line else None,
        b_lines=_b_lines(rng, patient, findings, alone) if findings.b_line else None,
        consolidation=(
            patterns.Consolidation.draw(
                rng, probe, pleura_mm, haze_db, rng.random() < 0.5
            )
            if findings.consolidation
            else None
        ),
        effusion=(
            patterns.Effusion.draw(rng, probe, pleura_mm)
            if findings.pleural_effusion
            else None
        ),
        haze_db=haze_db,
        haze_loss_db_per_cm=float(rng.uniform(0.8, 2.2)),
        # Inflamed or congested lung has an uneven surface.
        roughness_mm=float(rng.uniform(0.05, 0.15 if findings.a_line else 0.6)),
        contact=_contact(rng, probe.beams),
    )


def _a_lines(rng: np.random.Generator) -> patterns.ALines:
    return patterns.ALines(
        level_db=float(rng.uniform(9, 17)),
        loss_db=float(rng.uniform(2.5, 5.0)),
        spread_rad=float(rng.uniform(0.1, 0.24)),
    )


def _b_lines(
    rng: np.random.Generator, patient: Patient, findings: Findings, alone: bool
) -> patterns.BLines:
    confluent = not findings.a_line and rng.random() < 0.5
    if confluent:
        lines = int(rng.integers(14, 28))
    elif findings.a_line:
        lines = int(rng.integers(1, 4))
    else:
        lines = int(rng.integers(3, 7))
    respiratory = not alone and rng.random() < 0.3
    return patterns.BLines.draw(rng, patient.probe, lines, confluent, respiratory)


def _contact(rng: np.random.Generator, beams: int) -> np.ndarray:
    """Gain of each beam: poor contact often darkens one edge of the fan."""
    contact = 10 ** (0.8 * smooth_noise(rng, (beams,), (12.0,)) / 20)
    if rng.random() < 0.35:
        edge = rng.uniform(4, 16)
        ramp = 1 / (1 + np.exp(-(np.arange(beams) - edge) / 2.5))
        contact *= ramp if rng.random() < 0.5 else ramp[::-1]
    return contact.astype(np.float32)
