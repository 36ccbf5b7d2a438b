"""A slice as the scanner shows it, in int16 Hounsfield units, and its lungs."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Int16, UInt8

from ultrasound_jax.datasets.phantom_ct.anatomy import draw_section
from ultrasound_jax.datasets.phantom_ct.patients import draw_patient

LOWEST, HIGHEST = -1024, 3071  # Hounsfield units that 12 bits hold
_FINE = 2  # cells a side of a pixel; a pixel is the mean of its cells


@dataclass(frozen=True)
class Slice:
    """One slice; the mask is 1 where more than half of a pixel is lung."""

    image: Int16[np.ndarray, "h w"]
    mask: UInt8[np.ndarray, "h w"]
    pixel_mm: float


def draw_slice(seed: int, patient: int, place: int, z: float, size: int) -> Slice:
    """The slice of a patient at height `z`; the same for the same arguments."""
    who = draw_patient(seed, patient)
    rng = np.random.default_rng([seed, 23, patient, place])
    pixel_mm = who.field_mm / size
    along = ((np.arange(size * _FINE) + 0.5) / _FINE - size / 2) * pixel_mm
    along = along.astype(np.float32)
    x, y = np.meshgrid(along - who.offset_mm[0], along - who.offset_mm[1])
    units, lungs = draw_section(rng, who, z, x, y)
    image = _shrunk(units, size)
    image = _blurred(image, who.blur_mm / pixel_mm)
    grain = rng.standard_normal(image.shape).astype(np.float32)
    grain = _blurred(grain, who.grain_mm / pixel_mm)
    image += who.noise_hu * grain / max(float(grain.std()), 1e-6)
    return Slice(
        image=np.clip(np.round(image), LOWEST, HIGHEST).astype(np.int16),
        mask=(_shrunk(lungs.astype(np.float32), size) > 0.5).astype(np.uint8),
        pixel_mm=pixel_mm,
    )


def _shrunk(plane: np.ndarray, size: int) -> np.ndarray:
    return plane.reshape(size, _FINE, size, _FINE).mean(axis=(1, 3))


def _blurred(plane: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(plane, (0, 0), max(sigma, 0.2))
