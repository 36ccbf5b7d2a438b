"""A section through the chest: Hounsfield units and the lungs, on a grid in mm.

Everything is an ellipse or a wave on one, drawn over what lies under it.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float

from ultrasound_jax.datasets.phantom_ct.patients import Chest, Patient

AIR, FAT, MUSCLE, BLOOD, LIVER = -1000.0, -95.0, 52.0, 42.0, 60.0
BONE, MARROW, TABLE = 620.0, 190.0, -620.0
_RIBS = 11  # arcs around a chest, about half of which are bone in a section

Plane = Float[np.ndarray, "h w"]
Marked = Bool[np.ndarray, "h w"]


def draw_section(
    rng: np.random.Generator, patient: Patient, z: float, x: Plane, y: Plane
) -> tuple[Plane, Marked]:
    """The units of a section at height `z`, and where its lungs are.

    Vessels and consolidations in a lung belong to it; trachea and bowel are air and do
    not.
    """
    chest = patient.chest
    units = np.full(x.shape, AIR, np.float32)
    if patient.table:
        plate = np.abs(y - chest.half_depth_mm - 16 + (x / 90) ** 2) < 3
        units[plate & (np.abs(x) < 1.1 * chest.half_width_mm)] = TABLE
    narrow = 1 - 0.22 * max(0.0, 0.12 - z) / 0.24  # towards the neck
    radius = _outline(chest, x, y) / narrow
    depth = (1 - radius) * chest.half_depth_mm  # below the skin, mm
    units[depth > 0] = FAT
    units[depth > chest.fat_mm] = MUSCLE
    inside = depth > chest.wall_mm
    units[inside] = FAT + 60
    _draw_bones(rng, units, chest, depth, x, y)
    lungs = {side: _lung(chest, z, side, inside, x, y) for side in (-1, 1)}
    _draw_middle(rng, units, chest, z, x, y)
    if z > 0.55:
        _draw_belly(rng, units, chest, z, inside, x, y)
    for side, lung in lungs.items():
        _draw_lung(rng, units, patient, z, side, lung, x, y)
    return units, lungs[-1] | lungs[1]


def _outline(chest: Chest, x: Plane, y: Plane) -> Plane:
    """1 on the skin, less inside."""
    angle = np.arctan2(y / chest.half_depth_mm, x / chest.half_width_mm)
    waves = sum(
        size * np.cos(k * angle + phase)
        for k, (size, phase) in enumerate(chest.bumps, start=2)
    )
    radius = np.hypot(x / chest.half_width_mm, y / chest.half_depth_mm)
    return radius / (1 + waves)


def _ellipse(
    x: Plane, y: Plane, middle: Sequence[float | int], half: Sequence[float | int]
) -> Plane:
    """1 on its edge, less inside."""
    return np.hypot((x - middle[0]) / half[0], (y - middle[1]) / half[1])


def _draw_bones(
    rng: np.random.Generator, units: Plane, chest: Chest, depth: Plane, *xy: Plane
) -> None:
    x, y = xy
    angle = np.arctan2(y / chest.half_depth_mm, x / chest.half_width_mm)
    phase, skew = rng.uniform(0, 2 * np.pi), rng.uniform(-0.15, 0.15)
    ring = np.abs(depth - chest.wall_mm + 7) < 5
    ribs = ring & (np.cos(_RIBS * angle + phase) > 0.15 + skew)
    units[ribs] = MARROW
    units[ribs & (np.abs(depth - chest.wall_mm + 7) > 3)] = BONE
    back = chest.half_depth_mm - chest.wall_mm
    vertebra = _ellipse(x, y, (0, back - 12), (21, 16))
    units[vertebra < 1] = BONE
    units[vertebra < 0.8] = MARROW
    units[_ellipse(x, y, (0, back + 12), (16, 10)) < 1] = MARROW
    units[_ellipse(x, y, (0, back + 10), (9, 7)) < 1] = 30.0


def _width(z: float) -> float:
    """How wide a lung is at a height, 1 where it is widest."""
    if not 0 < z < 1:
        return 0.0
    return float(min(1.0, (z / 0.32) ** 0.5) * (0.88 + 0.12 * z))


def _lung(
    chest: Chest, z: float, side: int, inside: Marked, x: Plane, y: Plane
) -> Marked:
    """One lung; side -1 is left in the picture, the patient's right."""
    base = 1 - (chest.dome if side < 0 else 0.0)
    scale = _width(z / base)
    if not scale:
        return np.zeros(x.shape, bool)
    wide = chest.half_width_mm - chest.wall_mm
    deep = chest.half_depth_mm - chest.wall_mm
    middle = (side * 0.50 * wide, 0.04 * deep)
    shape = _ellipse(x, y, middle, (0.50 * wide * scale, 0.95 * deep * scale))
    lung = (shape < 1) & inside & (np.abs(x) > 11)
    lung &= _ellipse(x, y, (0, deep - 12), (29, 24)) > 1
    lung &= _heart(chest, z, x, y) > 1.05
    if z > 0.72:  # the diaphragm's dome rises into the lung from its front
        rise = (z - 0.72) / (base - 0.72 + 1e-6)
        top = (middle[0], -0.25 * deep)
        half = (0.52 * wide * rise + 1, 1.05 * deep * rise + 1)
        lung &= _ellipse(x, y, top, half) > 1
    return lung


def _heart(chest: Chest, z: float, x: Plane, y: Plane) -> Plane:
    """The heart, and above it the vessels of the mediastinum: 1 on the edge."""
    size = chest.heart_mm
    if z < 0.38:
        size *= 0.45 + 0.35 * max(z, 0.0)
    else:
        size *= 0.82 + 0.18 * float(np.sin(np.pi * (z - 0.38) / 0.76))
    middle = (chest.tilt * chest.heart_mm * 1.6 * (z > 0.38), -0.22 * size)
    return _ellipse(x, y, middle, (size, 0.82 * size))


def _draw_middle(
    rng: np.random.Generator, units: Plane, chest: Chest, z: float, *xy: Plane
) -> None:
    x, y = xy
    contrast = float(rng.choice((0.0, 110.0)))
    units[_heart(chest, z, x, y) < 1] = BLOOD
    units[_heart(chest, z, x, y) < 0.72] = BLOOD + contrast
    deep = chest.half_depth_mm - chest.wall_mm
    units[_ellipse(x, y, (17, deep - 38), (13, 13)) < 1] = BLOOD + contrast  # aorta
    if z < 0.42:  # the trachea, and below it both bronchi
        apart = 0.0 if z < 0.32 else 14.0
        for side in (-1, 1):
            airway = _ellipse(x, y, (side * apart, 4.0), (9.5, 10.5))
            units[airway < 1.25] = MUSCLE
            units[airway < 1] = AIR


def _draw_belly(
    rng: np.random.Generator, units: Plane, chest: Chest, z: float, *planes: np.ndarray
) -> None:
    """Liver, stomach with air in it, and spleen; lungs are drawn over them."""
    inside, x, y = planes
    wide = chest.half_width_mm - chest.wall_mm
    rise = min(1.0, (z - 0.55) / 0.3)
    liver = _ellipse(x, y, (-0.45 * wide, -5), (0.62 * wide * rise, 80 * rise + 1))
    units[(liver < 1) & inside] = LIVER
    stomach = _ellipse(x, y, (0.48 * wide, -22), (34 * rise + 1, 30 * rise + 1))
    units[(stomach < 1) & inside] = 20.0
    level = -22 - float(rng.uniform(0, 16))  # air lies in front of the fluid
    units[(stomach < 0.9) & inside & (y < level)] = AIR
    spleen = _ellipse(x, y, (0.72 * wide, 42), (24 * rise + 1, 34 * rise + 1))
    units[(spleen < 1) & inside] = 50.0


def _draw_lung(
    rng: np.random.Generator,
    units: Plane,
    patient: Patient,
    z: float,
    side: int,
    lung: Marked,
    x: Plane,
    y: Plane,
) -> None:
    if not lung.any():
        return
    chest = patient.chest
    tissue = patient.lung_hu + patient.gradient_hu * y / chest.half_depth_mm
    shown = np.where(lung, tissue, AIR).astype(np.float32)
    wide = chest.half_width_mm - chest.wall_mm
    hilum = np.array([side * 0.18 * wide, 6.0])
    _draw_vessels(rng, shown, patient.vessels, hilum, side * wide, x, y)
    for opacity in patient.opacities:
        if opacity.side == side and opacity.top < z < opacity.base:
            middle = (side * (0.5 + 0.4 * opacity.x) * wide, opacity.y * 90)
            share = abs(2 * z - opacity.top - opacity.base)
            radius = opacity.radius_mm * (1.01 - share / (opacity.base - opacity.top))
            edge = _ellipse(x, y, middle, (radius + 1, radius + 1))
            filled = np.clip(1.6 - edge * 1.2, 0, 1)
            shown += filled * np.maximum(opacity.units - shown, 0)
    units[lung] = shown[lung]


def _draw_vessels(
    rng: np.random.Generator,
    shown: Plane,
    count: int,
    hilum: Float[np.ndarray, " 2"],
    reach: float,
    x: Plane,
    y: Plane,
) -> None:
    """Lines that leave the hilum and get thinner, as a section meets them."""
    step = float(x[0, 1] - x[0, 0])
    corner = np.array([x[0, 0], y[0, 0]])
    plane = np.zeros(shown.shape, np.uint8)
    for _ in range(count):
        far = rng.beta(1.2, 1.6)
        angle = rng.uniform(-1.9, 1.9)
        heading = np.array([np.sign(reach) * np.cos(angle), np.sin(angle)])
        start = hilum + heading * far * abs(reach) * 0.85
        turn = rng.normal(0, 0.5)
        end = start + rng.exponential(14) * np.array(
            [
                heading[0] * np.cos(turn) - heading[1] * np.sin(turn),
                heading[0] * np.sin(turn) + heading[1] * np.cos(turn),
            ]
        )
        thick = max(1, round((1.4 + 4.2 * (1 - far)) / step))
        ends = [
            np.round((p - corner) / step).astype(int).tolist() for p in (start, end)
        ]
        cv2.line(plane, ends[0], ends[1], 255, thick)
    share = plane.astype(np.float32) / 255
    shown += share * np.maximum(20.0 - shown, 0)
