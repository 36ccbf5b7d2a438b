"""One level of the undecimated wavelet transform with Daubechies' first coiflet.

Six weights, so that no library is needed for it; equal to PyWavelets' `swtn` with
`coif1`, whose order of summation is kept.
"""

import numpy as np
from jaxtyping import Float

# (√7 - 3, 1 - √7, 14 - 2√7, 14 + 2√7, 5 + √7, 1 - √7) / 16√2, rounded.
LOW = (
    -0.015655728135791993,
    -0.07273261951252645,
    0.3848648468648578,
    0.8525720202116004,
    0.3378976624574818,
    -0.07273261951252645,
)
# Its mirror image with alternating signs.
HIGH = tuple(
    -weight if place % 2 == 0 else weight for place, weight in enumerate(LOW[::-1])
)
BANDS = ("LH", "HL", "HH", "LL")


def coif1(image: Float[np.ndarray, "h w"]) -> dict[str, Float[np.ndarray, "h w"]]:
    """The four bands; the first letter is of columns (x), the second of rows (y).

    The image goes on periodically; an odd side is made even by its first row or column.
    """
    height, width = image.shape
    even = np.pad(image, ((0, height % 2), (0, width % 2)), mode="wrap")
    halves = {"L": _filtered(even, LOW, axis=1), "H": _filtered(even, HIGH, axis=1)}
    weights = {"L": LOW, "H": HIGH}
    return {
        band: _filtered(halves[band[0]], weights[band[1]], axis=0)[:height, :width]
        for band in BANDS
    }


def _filtered(
    image: Float[np.ndarray, "h w"], weights: tuple[float, ...], *, axis: int
) -> Float[np.ndarray, "h w"]:
    found = np.zeros_like(image)
    for place, weight in enumerate(weights):
        found += weight * np.roll(image, place - len(weights) // 2, axis)
    return found
