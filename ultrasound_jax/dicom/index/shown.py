"""What a picture shows, in numbers and words that are safe to write: depth, flow."""

import numpy as np
from jaxtyping import UInt8

from ultrasound_jax.dicom.read.header import CineHeader
from ultrasound_jax.dicom.read.regions import Region

COLOUR_FLOW = 2  # data type of a region, PS3.3, section C.8.5.5.1
_DEPTHS = (5.0, 600.0)  # mm, from a probe on an eye to more than any probe sees
_HEART_RATES = (20, 300)
# Of flow: red above green, or blue above green, by so many levels. Yellow and green
# marks are not, nor grey that is tinted.
_LEVELS, _SHARE = 60, 0.003


def depth_mm(header: CineHeader, region: Region | None) -> float | None:
    """Depth of the picture in mm, None where nothing says it.

    DepthOfScanField, unless the calibrated region has another by more than a factor of
    two (some write centimetres): then, and without the element, the region's height.
    """
    stated = header.particulars.depth
    if stated is not None and not _DEPTHS[0] <= stated <= _DEPTHS[1]:
        stated = None
    height = None
    if region is not None and region.mm_y:
        height = round(region.height * region.mm_y, 1)
    if stated is None or (height and not 0.5 <= stated / height <= 2):
        return height
    return stated


def heart_rate(header: CineHeader) -> int | None:
    """Beats a minute, None where not stated or not possible."""
    rate = header.particulars.heart_rate
    if rate is None or not _HEART_RATES[0] <= rate <= _HEART_RATES[1]:
        return None
    return round(rate)


def colour_flow(
    header: CineHeader, region: Region | None, first: UInt8[np.ndarray, "h w *c"] | None
) -> str:
    """`yes` or `no`, "" where nothing tells.

    A region of colour flow says yes; then UltrasoundColorDataPresent is believed; then
    the pixels of the first frame, within the region that is used.
    """
    if any(other.data_type == COLOUR_FLOW for other in header.regions):
        return "yes"
    if header.particulars.colour_present in (0, 1):
        return "yes" if header.particulars.colour_present else "no"
    if header.samples == 1 and header.photometric != "PALETTE COLOR":
        return "no"
    if first is None:
        return ""
    if first.ndim == 2:
        return "no"
    if region is not None:
        first = first[region.top : region.bottom + 1, region.left : region.right + 1]
    # Half of the columns and rows are enough, and take a quarter of the time.
    red, green, blue = np.moveaxis(first[::2, ::2].astype(np.int16), -1, 0)
    flow = (red - np.maximum(green, blue) > _LEVELS) | (blue - green > _LEVELS)
    return "yes" if flow.mean() > _SHARE else "no"
