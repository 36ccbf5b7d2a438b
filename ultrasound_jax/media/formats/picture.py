"""Still pictures as recordings of one frame."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ultrasound_jax.media import pictures
from ultrasound_jax.media.recording import Recording, Want
from ultrasound_jax.runs.limits import Limits
from ultrasound_jax.types import InputError

KIND, READS = "picture", "pictures (PNG, JPEG, TIFF, BMP)"
_BEGINNINGS = (b"\x89PNG", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"BM")


def knows(head: bytes) -> bool:
    """Whether a file that begins so is a picture."""
    return head.startswith(_BEGINNINGS)


def open_file(path: Path, *, want: Want, limits: Limits) -> Recording:
    """The picture, decoded.

    Of 16 bits without sign the upper 8 are kept. Grey numbers with a sign or a fraction
    are Hounsfield units.

    Raises:
        InputError: damaged, several pictures, or larger than allowed.
    """
    pixels = pictures.read_picture(path, name=str(path))
    rows, columns = pixels.shape[:2]
    if rows * columns > limits.pixels:
        raise InputError(
            f"{path}: {columns} x {rows} pixels, allowed are {limits.pixels} pixels"
        )
    if pixels.dtype not in (np.uint8, np.uint16):
        return Still(pictures.hounsfield(pixels, name=str(path)))
    if want == "grey":
        return Still(pictures.grey(pixels, name=str(path)))
    return Still(pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8))


class Still(Recording):
    """One picture."""

    kind = KIND

    def __init__(self, pixels: np.ndarray) -> None:
        self._pixels = pixels

    def frames(self) -> Iterator[np.ndarray]:
        """The picture."""
        yield self._pixels.copy()
