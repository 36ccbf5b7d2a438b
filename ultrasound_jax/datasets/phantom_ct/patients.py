"""Who is scanned: the chest in mm, and the scanner with its settings.

What a patient is, is the same in all slices of theirs. Lengths are in mm from the
middle of the chest: `x` to the right of the picture, `y` down, to the back. Heights
`z` are shares of the lungs: 0 at their top, 1 at their base.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Chest:
    """Half axes of the chest and what lies in it, mm.

    wall_mm is what lies between skin and lung, fat_mm the part of it that is fat; bumps
    are amplitudes and phases of the outline's waves. dome is how much higher (as a
    share of the lungs) the right diaphragm stands; tilt how far the heart lies left.
    """

    half_width_mm: float
    half_depth_mm: float
    wall_mm: float
    fat_mm: float
    heart_mm: float
    tilt: float
    dome: float
    bumps: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Opacity:
    """A part of a lung without air: where (side -1 or 1, x, y as shares), how large.

    top and base are the heights between which it lies; units are its Hounsfield units.
    """

    side: int
    x: float
    y: float
    radius_mm: float
    top: float
    base: float
    units: float


@dataclass(frozen=True)
class Patient:
    """One patient on one scanner.

    field_mm is what the picture shows; noise_hu the noise's standard deviation,
    grain_mm its size and blur_mm the scanner's spot, both standard deviations of
    Gaussians. lung_hu is the parenchyma's mean and gradient_hu what it gains from front
    to back. opacities are consolidations, in a third of all patients.
    """

    chest: Chest
    field_mm: float
    offset_mm: tuple[float, float]
    noise_hu: float
    grain_mm: float
    blur_mm: float
    lung_hu: float
    gradient_hu: float
    vessels: int
    table: bool
    opacities: tuple[Opacity, ...]


def draw_patient(seed: int, number: int) -> Patient:
    """The patient with this number; the same for the same `seed` and number."""
    rng = np.random.default_rng([seed, 21, number])
    half_width = float(rng.uniform(140, 190))
    chest = Chest(
        half_width_mm=half_width,
        half_depth_mm=half_width * float(rng.uniform(0.62, 0.76)),
        wall_mm=float(rng.uniform(18, 34)),
        fat_mm=float(rng.uniform(4, 14)),
        heart_mm=float(rng.uniform(48, 66)),
        tilt=float(rng.uniform(0.10, 0.24)),
        dome=float(rng.uniform(0.03, 0.12)),
        bumps=tuple(
            (float(rng.normal(0, 0.018)), float(rng.uniform(0, 2 * np.pi)))
            for _ in range(4)
        ),
    )
    ill = rng.random() < 1 / 3
    return Patient(
        chest=chest,
        field_mm=2 * half_width * float(rng.uniform(1.04, 1.30)),
        offset_mm=(float(rng.normal(0, 6)), float(rng.normal(0, 6))),
        noise_hu=float(rng.uniform(15, 60)),
        grain_mm=float(rng.uniform(0.4, 1.6)),
        blur_mm=float(rng.uniform(0.5, 1.4)),
        lung_hu=float(rng.uniform(-890, -780)),
        gradient_hu=float(rng.uniform(20, 110)),
        vessels=int(rng.integers(25, 60)),
        table=bool(rng.random() < 0.7),
        opacities=tuple(_draw_opacity(rng) for _ in range(int(rng.integers(1, 3))))
        if ill
        else (),
    )


def _draw_opacity(rng: np.random.Generator) -> Opacity:
    middle, half = rng.uniform(0.25, 0.85), rng.uniform(0.08, 0.2)
    return Opacity(
        side=int(rng.choice((-1, 1))),
        x=float(rng.uniform(-0.6, 0.6)),
        y=float(rng.uniform(-0.6, 0.7)),
        radius_mm=float(rng.uniform(10, 30)),
        top=float(middle - half),
        base=float(middle + half),
        units=float(rng.uniform(-350, 40)),
    )


def heights(seed: int, number: int, slices: int) -> np.ndarray:
    """The heights of a patient's slices, from the neck to below the diaphragm."""
    rng = np.random.default_rng([seed, 22, number])
    ends = np.linspace(-0.12, 1.14, slices + 1)
    return rng.uniform(ends[:-1], ends[1:])
