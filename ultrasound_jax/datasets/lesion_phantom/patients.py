"""Who is scanned: the kind of lesion, the breast, and the machine with its settings.

What a patient is, is the same in all images of hers; patients differ in layers, depth,
gain and speckle.
"""

from dataclasses import dataclass

import numpy as np

from ultrasound_jax.datasets.lesion_phantom.probe import LinearProbe

CLASSES = ("benign", "malignant", "normal")


@dataclass(frozen=True)
class Body:
    """The layers from the skin down, thickness in mm.

    `density` is the share of echogenic tissue in the gland; the rest is fat in it.
    """

    skin_mm: float
    fat_mm: float
    gland_mm: float
    behind_mm: float
    muscle_mm: float
    density: float


@dataclass(frozen=True)
class Patient:
    """One patient on one machine; levels in dB.

    `looks` are the independent views that the machine compounds: more of them are
    smoother speckle. `curve` is the exponent of the grey map.
    """

    kind: str
    body: Body
    probe: LinearProbe
    gain_db: float
    dynamic_range_db: float
    noise_db: float
    tgc_db: tuple[float, ...]
    looks: int
    curve: float


def kind_of(seed: int, patient: int) -> str:
    """The class of the patient with this number: each three in a row have all three."""
    block, place = divmod(patient, len(CLASSES))
    order = np.random.default_rng([seed, 11, block]).permutation(len(CLASSES))
    return CLASSES[order[place]]


def draw_patient(seed: int, patient: int) -> Patient:
    """The patient with this number; the same for the same `seed` and number."""
    rng = np.random.default_rng([seed, 12, patient])
    depth_mm = float(rng.uniform(36, 52))
    probe = LinearProbe(
        width_mm=float(rng.uniform(40, 50)),
        depth_mm=depth_mm,
        frequency_mhz=float(rng.uniform(6.5, 13.0)),
        focus_mm=float(rng.uniform(0.3, 0.55)) * depth_mm,
    )
    # What is shown is mostly gland; the muscle is near the lower edge.
    body = Body(
        skin_mm=float(rng.uniform(1.2, 2.2)),
        fat_mm=float(rng.uniform(3.0, 9.0)),
        gland_mm=float(rng.uniform(0.42, 0.62)) * depth_mm,
        behind_mm=float(rng.uniform(1.0, 4.0)),
        muscle_mm=float(rng.uniform(5.0, 9.0)),
        density=float(rng.uniform(0.45, 0.95)),
    )
    return Patient(
        kind=kind_of(seed, patient),
        body=body,
        probe=probe,
        gain_db=float(rng.normal(0, 4)),
        dynamic_range_db=float(rng.uniform(50, 66)),
        noise_db=float(rng.uniform(-36, -27)),
        tgc_db=tuple(rng.normal(0, 2.5, 5).tolist()),
        looks=int(rng.integers(1, 4)),
        curve=float(rng.uniform(1.0, 1.5)),
    )
