"""Who is scanned: patients with tendencies, and what one probe position shows.

A patient's lungs decide which findings his views are likely to show, so that findings
occur together and cluster in patients as they do on a ward; his body, his machine's
settings and his breathing differ from everybody else's.
"""

from dataclasses import dataclass

import numpy as np

from ultrasound_jax.datasets.lus_phantom.probe import Probe

CLASSES = ("a_line", "b_line", "consolidation", "pleural_effusion")

# Chance of each finding in a view, in the order of CLASSES.
TENDENCIES = {
    "healthy": (1.0, 0.12, 0.0, 0.0),
    "interstitial": (0.35, 0.9, 0.12, 0.1),
    "pneumonia": (0.4, 0.5, 0.8, 0.2),
    "effusion": (0.4, 0.3, 0.4, 0.85),
    "mixed": (0.45, 0.6, 0.5, 0.5),
}
# Eight patients in a row, in an order that the seed decides, are always these.
WARD = (
    "healthy",
    "healthy",
    "interstitial",
    "interstitial",
    "pneumonia",
    "pneumonia",
    "effusion",
    "mixed",
)


@dataclass(frozen=True)
class Patient:
    """One patient on one machine; levels in dB, rates in Hz, lengths in mm."""

    tendency: str
    probe: Probe
    pleura_mm: float
    fat: float
    breath_hz: float
    slide_mm: float
    heart_hz: float
    gain_db: float
    dynamic_range_db: float
    noise_db: float
    tgc_db: tuple[float, ...]


@dataclass(frozen=True)
class Findings:
    """Which findings a probe position has; field names are CLASSES."""

    a_line: bool = False
    b_line: bool = False
    consolidation: bool = False
    pleural_effusion: bool = False


def tendency_of(seed: int, patient: int) -> str:
    """The tendency of the patient with this number."""
    block, place = divmod(patient, len(WARD))
    order = np.random.default_rng([seed, 1, block]).permutation(len(WARD))
    return WARD[order[place]]


def draw_patient(seed: int, patient: int) -> Patient:
    """The patient with this number; the same for the same `seed` and number."""
    rng = np.random.default_rng([seed, 2, patient])
    pleura_mm = rng.uniform(13, 30)
    # Two reverberations at least must fit on the screen.
    depth_mm = rng.uniform(max(80, 3.3 * pleura_mm), 160)
    probe = Probe(
        radius_mm=rng.uniform(40, 62),
        opening_deg=rng.uniform(55, 72),
        depth_mm=depth_mm,
        frequency_mhz=rng.uniform(2.5, 5.0),
        focus_mm=rng.uniform(0.35, 0.7) * depth_mm,
    )
    return Patient(
        tendency=tendency_of(seed, patient),
        probe=probe,
        pleura_mm=float(pleura_mm),
        fat=float(rng.uniform(0.3, 0.65)),
        breath_hz=float(rng.uniform(12, 28) / 60),
        slide_mm=float(rng.uniform(6, 16)),
        heart_hz=float(rng.uniform(55, 110) / 60),
        gain_db=float(rng.normal(0, 3)),
        dynamic_range_db=float(rng.uniform(50, 68)),
        noise_db=float(rng.uniform(-38, -27)),
        tgc_db=tuple(rng.normal(0, 2, 5).tolist()),
    )


def draw_findings(rng: np.random.Generator, tendency: str) -> Findings:
    """What one probe position of a patient with this tendency shows."""
    a, b, consolidation, effusion = rng.random(4) < np.array(TENDENCIES[tendency])
    # A view without any finding would be a normal lung, and that has A-lines.
    a = a or not (b or consolidation or effusion)
    return Findings(bool(a), bool(b), bool(consolidation), bool(effusion))
