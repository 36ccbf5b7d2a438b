"""Speckle: scatterers too small to be resolved, and the spot the machine blurs them to.

A field is a demodulated (complex) echo, stored as float32 `z beam 2` (real, imaginary).
Many random scatterers in a resolution cell make both parts Gaussian, hence a Rayleigh
envelope with mean / standard deviation = 1.91 (Burckhardt 1978; Wagner et al. 1983).
"""

import cv2
import numpy as np
from jaxtyping import Float

from ultrasound_jax.datasets.lus_phantom.probe import Array

PULSE_CYCLES = 3.0
# Scatterers are smoothed by this many samples so that moving them by a fraction of a
# sample does not change their power, which would show as flicker.
GRAIN = 0.7
_FWHM = 2.3548


def _gaussian(sigma: float) -> np.ndarray:
    reach = max(1, int(np.ceil(3 * sigma)))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return (kernel / kernel.sum()).astype(np.float32)


def _energy(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.sum(np.convolve(first, second) ** 2))


def scatterers(
    rng: np.random.Generator, samples: int, beams: int
) -> Float[np.ndarray, "z beam 2"]:
    """Circular complex Gaussian scatterers, one per grid point, smoothed by `GRAIN`."""
    noise = rng.standard_normal((samples, beams, 2), np.float32)
    grain = _gaussian(GRAIN)
    return cv2.sepFilter2D(noise, -1, grain, grain)


def evolve(
    first: Float[np.ndarray, "*shape"],
    second: Float[np.ndarray, "*shape"],
    radians: float,
) -> Float[np.ndarray, "*shape"]:
    """Scatterers that are slowly replaced: correlation cos(radians), constant power.

    Angle proportional to time gives a stationary process which, unlike a recursion from
    frame to frame, does not depend on the frame rate.
    """
    return cv2.addWeighted(
        first, float(np.cos(radians)), second, float(np.sin(radians)), 0
    )


class PointSpread:
    """The machine's spot: short along the beam, wide across it away from the focus.

    Axial width is half a pulse of `PULSE_CYCLES` wavelengths. Lateral width is
    wavelength x depth / aperture at the focus, and grows with distance from it like a
    Gaussian beam (Szabo, Diagnostic Ultrasound Imaging, ch. 6). Each depth's lateral
    kernel is a mixture of a narrow and a wide Gaussian with that depth's mean width,
    because two separable filters are far cheaper than one kernel a depth.

    `diffuse_gain` `z 1 1` is what scatterers must be multiplied by so that after the
    blur they have an envelope of mean square 1 at each depth; `white_gain` is the same
    for scatterers whose neighbours have unrelated phases.
    """

    def __init__(self, probe: Array):
        axial_mm = PULSE_CYCLES * probe.wavelength_mm / 2
        self._axial = _gaussian(max(0.7, axial_mm / _FWHM / probe.sample_mm))
        self.lateral_beams = self._lateral_sigma(probe)
        low, high = float(self.lateral_beams.min()), float(self.lateral_beams.max())
        self._narrow, self._wide = _gaussian(low), _gaussian(high)
        share = (self.lateral_beams - low) / max(high - low, 1e-6)
        self._share = share.astype(np.float32)[:, None, None]
        reach = len(self._wide) // 2
        narrow = np.pad(self._narrow, reach - len(self._narrow) // 2)
        kernels = [(1 - w) * narrow + w * self._wide for w in share]
        self.diffuse_gain = self._gain(kernels, _gaussian(GRAIN))
        self.white_gain = self._gain(kernels, np.ones(1, np.float32))

    def _gain(self, kernels: list[np.ndarray], grain: np.ndarray) -> np.ndarray:
        lateral = np.array([_energy(grain, kernel) for kernel in kernels])
        power = 2 * lateral * _energy(grain, self._axial)
        return (power**-0.5).astype(np.float32)[:, None, None]

    @staticmethod
    def _lateral_sigma(probe: Array) -> np.ndarray:
        depth = probe.depths.astype(np.float64)
        number = probe.focus_mm / probe.aperture_mm
        ideal = probe.wavelength_mm * probe.focus_mm / probe.aperture_mm
        focal = ideal + probe.least_mm
        rayleigh = 8 * probe.wavelength_mm * number**2
        width = focal * np.hypot(1, (depth - probe.focus_mm) / rayleigh)
        width = np.minimum(width, 5.0)
        beams = width / _FWHM / probe.beam_mm
        return np.maximum(beams, 0.6)

    def __call__(
        self, field: Float[np.ndarray, "z beam 2"]
    ) -> Float[np.ndarray, "z beam 2"]:
        """Blur a field; the kernel sums to 1 at every depth."""
        one = np.ones(1, np.float32)
        field = cv2.sepFilter2D(field, -1, one, self._axial)
        narrow = cv2.sepFilter2D(field, -1, self._narrow, one)
        wide = cv2.sepFilter2D(field, -1, self._wide, one)
        wide -= narrow
        wide *= self._share
        narrow += wide
        return narrow


def smooth_noise(
    rng: np.random.Generator, shape: tuple[int, ...], sigma: tuple[float, ...]
) -> Float[np.ndarray, "*shape"]:
    """Real Gaussian noise of mean 0 and variance about 1, smooth over `sigma` samples.

    One- or two-dimensional; `sigma` names the widths in the order of `shape`.
    """
    noise = rng.standard_normal(shape, np.float32)
    grid = noise[:, None] if noise.ndim == 1 else noise
    down = _gaussian(sigma[0])
    along = _gaussian(sigma[1]) if noise.ndim == 2 else np.ones(1, np.float32)
    grid = cv2.sepFilter2D(grid, -1, along, down, borderType=cv2.BORDER_REFLECT_101)
    grid /= np.sqrt(np.sum(down**2) * np.sum(along**2))
    return grid.reshape(shape)
