"""Still pictures as recordings of one frame."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ultrasound_jax.media import pictures
from ultrasound_jax.media.picture_file import Samples, read_samples
from ultrasound_jax.media.picture_header import OR_PAGE, TIFF
from ultrasound_jax.media.recording import Recording, Want
from ultrasound_jax.media.sample_depth import bits_of, is_fractions, upper_eight
from ultrasound_jax.runs.limits import Limits
from ultrasound_jax.types import InputError

KIND, READS = "picture", "pictures (PNG, JPEG, TIFF, BMP)"
_BEGINNINGS = (b"\x89PNG", b"\xff\xd8\xff", *TIFF, b"BM")


def knows(head: bytes) -> bool:
    """Whether a file that begins so is a picture."""
    return head.startswith(_BEGINNINGS)


def open_file(path: Path, *, want: Want, limits: Limits) -> Recording:
    """The picture, decoded.

    It is upright. Of 16 bits without sign the upper 8 of those used are kept, and
    fractions of 0 to 1 are shades of grey, both with a note. Other grey numbers with a
    sign or a fraction are Hounsfield units.

    Raises:
        InputError: damaged, several pictures, or larger than allowed.
    """
    found = _samples(path)
    pixels = found.shown
    rows, columns = pixels.shape[:2]
    if rows * columns > limits.pixels:
        raise InputError(
            f"{path}: {columns} x {rows} pixels, allowed are {limits.pixels} pixels"
        )
    notes = list(found.notes)
    if is_fractions(pixels):
        notes.append("fractions of 0 to 1 are taken as shades of grey")
        return Still(pictures.grey(pixels, name=str(path)), notes)
    if pixels.dtype not in (np.uint8, np.uint16):
        return Still(pictures.hounsfield(pixels, name=str(path)), notes)
    bits = 8
    if pixels.dtype == np.uint16:
        bits = bits_of(int(pixels.max()))
        notes += [f"{bits} of 16 bits are used"] if bits < 16 else []
    if want == "grey":
        return Still(pictures.grey(pixels, name=str(path)), notes)
    if pixels.dtype == np.uint16:
        pixels = upper_eight(pixels, bits)
    return Still(pixels, notes)


def _samples(path: Path) -> Samples:
    try:
        return read_samples(path, name=str(path))
    except InputError as error:  # a recording has no option for its page
        raise InputError(str(error).replace(OR_PAGE, "")) from error


class Still(Recording):
    """One picture."""

    kind = KIND

    def __init__(self, pixels: np.ndarray, notes: Sequence[str] = ()) -> None:
        self._pixels, self._notes = pixels, tuple(notes)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to make a picture of the file, one line each."""
        return self._notes

    def frames(self) -> Iterator[np.ndarray]:
        """The picture."""
        yield self._pixels.copy()
