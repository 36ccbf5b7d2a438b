"""From stored samples to the 256 levels of a screen."""

import numpy as np
from jaxtyping import UInt8
from pydicom.dataset import Dataset

from ultrasound_jax.dicom.read import elements


@elements.quiet()
def tone_table(
    dataset: Dataset, *, bits: int, signed: bool, inverted: bool, colour: bool = False
) -> UInt8[np.ndarray, " n"]:
    """The level of every possible sample, `2 ** min(bits, 16)` of them.

    Samples of up to 8 bits keep their values (spread where they have fewer bits): in
    ultrasound they are what the screen showed, and a window on them would be a second
    one. Deeper ones are rescaled (RescaleSlope and RescaleIntercept), then windowed by
    the first WindowCenter and WindowWidth (PS3.3, section C.11.2.1.2, with its three
    functions); without a window the range from SmallestImagePixelValue to
    LargestImagePixelValue, or without these every value that the bits can hold, is
    spread evenly. Never a frame's own range: levels would pump from frame to frame.
    Tables in sequences (ModalityLUTSequence, VOILUTSequence) are not applied.

    Args:
        dataset: the file's elements.
        bits: bits that hold the sample; of more than 16 the table takes the first 16.
        signed: samples are two's complement.
        inverted: MONOCHROME1, the lowest value is white.
        colour: one of three samples: spread, and nothing else.
    """
    kept = min(bits, 16)
    codes = np.arange(1 << kept)
    values = np.where(codes >= 1 << (kept - 1), codes - (1 << kept), codes)
    values = (values if signed else codes) * float(1 << (bits - kept))
    low, high = values.min(), values.max()
    if colour or bits <= 8:
        shown = (values - low) / max(high - low, 1)
    else:
        shown = _windowed(dataset, values)
    shown = 1 - shown if inverted else shown
    return np.clip(np.rint(shown * 255), 0, 255).astype(np.uint8)


def _windowed(dataset: Dataset, values: np.ndarray) -> np.ndarray:
    """Values brought to 0-1; those outside are beyond it."""
    slope = elements.number(dataset, "RescaleSlope") or 1.0
    intercept = elements.number(dataset, "RescaleIntercept") or 0.0
    centre = elements.number(dataset, "WindowCenter")
    width = elements.number(dataset, "WindowWidth")
    function = elements.text(dataset, "VOILUTFunction").upper() or "LINEAR"
    if centre is None or width is None or width < 1:
        low = elements.number(dataset, "SmallestImagePixelValue")
        high = elements.number(dataset, "LargestImagePixelValue")
        if low is None or high is None or low >= high:
            low, high = values.min(), values.max()
        shown = (values - low) / (high - low)
        return shown if slope > 0 else 1 - shown
    rescaled = values * slope + intercept
    if function == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (rescaled - centre) / width, -700, 700)))
    if function == "LINEAR_EXACT":
        return (rescaled - centre) / width + 0.5
    return (rescaled - (centre - 0.5)) / max(width - 1, 1e-6) + 0.5


def apply_table(
    samples: np.ndarray, table: UInt8[np.ndarray, "n *c"], bits: int
) -> np.ndarray:
    """Looks every sample up; negative ones by their two's complement in `bits`."""
    if samples.dtype == np.uint8 and len(table) == 256 and table.ndim == 1:
        if np.array_equal(table, np.arange(256)):
            return samples
    unsigned = samples.view(f"u{samples.dtype.itemsize}")
    if bits > 16:
        unsigned = unsigned >> unsigned.dtype.type(bits - 16)
    return table[unsigned & unsigned.dtype.type(len(table) - 1)]
