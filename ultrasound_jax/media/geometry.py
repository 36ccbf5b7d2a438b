"""One geometry and one frame rate for cines of any size and speed."""

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

from ultrasound_jax.types import InputError


def letterbox(
    image: UInt8[np.ndarray, "h w *c"],
    size: int,
    *,
    pixel_aspect: float = 1.0,
    interpolation: int | None = None,
    stretch: bool = False,
) -> UInt8[np.ndarray, "{size} {size} *c"]:
    """Fits an image into a black `size` square: scaled evenly, truncated, centred.

    The new sides are `side * size // longest side`, as the original (LUV-Net;
    specification, section 1.5) but exact, where its `int(side * (size / longest))` may
    lose a pixel to rounding. By default shrinking averages over areas and enlarging is
    bilinear; the original is bilinear both ways, which samples 4 of about 93 pixels
    when 1080 becomes 112, so that speckle flickers from frame to frame
    (`interpolation=cv2.INTER_LINEAR` gives it back). Use `cv2.INTER_NEAREST` for masks.

    Args:
        image: one frame, any aspect.
        size: side of the square in pixels.
        pixel_aspect: width of a stored pixel over its height; the result's is 1.
        interpolation: an OpenCV interpolation flag, or None to choose by the scale.
        stretch: fill the square, whatever becomes of the aspect.

    Raises:
        InputError: the image is empty, or `size` or `pixel_aspect` is not positive.
    """
    height, width = image.shape[:2]
    if image.size == 0 or size < 1 or pixel_aspect <= 0:
        raise InputError(
            f"cannot letterbox {width} x {height} px of aspect {pixel_aspect} to "
            f"{size} px, allowed are sizes and aspects above 0"
        )
    shown = round(width * pixel_aspect)
    rows, columns = placed(height, shown, size, stretch=stretch)
    sides = columns.stop - columns.start, rows.stop - rows.start
    if interpolation is None:
        shrinks = sides[1] < height or sides[0] < width
        interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    scaled = cv2.resize(image, sides, interpolation=interpolation)
    boxed = np.zeros((size, size, *image.shape[2:]), np.uint8)
    boxed[rows, columns] = scaled.reshape(*sides[::-1], *image.shape[2:])
    return boxed


def placed(
    height: int, width: int, size: int, *, stretch: bool = False
) -> tuple[slice, slice]:
    """The rows and columns of a `size` square that a picture of these sides takes."""
    if stretch:
        return slice(0, size), slice(0, size)
    longest = max(height, width)
    sides = max(1, height * size // longest), max(1, width * size // longest)
    starts = ((size - side) // 2 for side in sides)
    rows, columns = (
        slice(start, start + side) for start, side in zip(starts, sides, strict=True)
    )
    return rows, columns


def resample_times(
    timestamps: Float[np.ndarray, " t"],
    rate: float,
    *,
    frame_seconds: float | None = None,
) -> Int[np.ndarray, " n"]:
    """Which frame to show at each tick of a steady clock.

    Ticks stand at 0, 1/rate, 2/rate, ... seconds after the first frame while the
    recording lasts, so a cine of 30 Hz gives half its frames at 15 Hz and each frame
    twice at 60 Hz, and no tick lies beyond its end. Each tick takes the frame nearest
    in time, the earlier of two equally near. No frames are blended: speckle must not be
    averaged over time.

    Args:
        timestamps: seconds, strictly increasing.
        rate: ticks a second, Hz.
        frame_seconds: how long the last frame lasts; by default the median interval,
            since containers often hold it longer than it was recorded for.

    Raises:
        InputError: no frames, times that do not increase, a rate that is not positive,
            or a single frame without `frame_seconds`.
    """
    if rate <= 0:
        raise InputError(f"frame rate is {rate} Hz, allowed is above 0")
    if len(timestamps) == 0 or np.any(np.diff(timestamps) <= 0):
        raise InputError("frame times must be given and strictly increase")
    if frame_seconds is None:
        if len(timestamps) == 1:
            raise InputError("one frame has no rate of its own; give frame_seconds")
        frame_seconds = float(np.median(np.diff(timestamps)))
    times = timestamps - timestamps[0]
    # Containers round times (Matroska to 1 ms): a recording of 2.0003 s has no tick at
    # 2 s, and a tick that is half-way but for an error keeps to the earlier frame.
    spare = min(0.1, 1e-3 * rate)
    lasts = (times[-1] + frame_seconds) * rate
    ticks = np.arange(max(1, np.ceil(lasts - spare))) / rate
    middles = (times[1:] + times[:-1]) / 2
    return np.searchsorted(middles, ticks - 1e-6, side="left")
