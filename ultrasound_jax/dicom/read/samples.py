"""How the samples of a picture are stored, and raw samples out of native bytes."""

import dataclasses

import cv2
import numpy as np

from ultrasound_jax.dicom.read import elements
from ultrasound_jax.dicom.read.header import CineHeader
from ultrasound_jax.dicom.read.source import (
    BIG_ENDIAN,
    GE_BIG_PIXELS,
    Source,
)
from ultrasound_jax.types import InputError


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a file stores a picture; see PS3.3, section C.7.6.3.

    subsampled: two pixels share one Cb and one Cr (uncompressed YBR_..._422).
    swapped_bytes: 8-bit samples stand in big endian words, two by two the wrong way.
    may_share_chroma: the header says that they do, whether or not it is so.
    frame_bits: of one stored frame; only frames of single bits need not be whole bytes.
    """

    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    planar: bool
    subsampled: bool
    big_endian: bool
    swapped_bytes: bool
    may_share_chroma: bool = False

    @property
    def frame_bits(self) -> int:
        """Bits of one stored frame."""
        samples = 2 if self.subsampled else self.samples
        return self.rows * self.columns * samples * self.bits_allocated


@elements.quiet()
def read_layout(source: Source, header: CineHeader) -> Layout:
    """Reads how the file of a header stores its pictures.

    Where BitsStored and HighBit contradict BitsAllocated, the lowest bits are taken.

    Raises:
        InputError: chroma shared by pairs of pixels, in rows of an odd number.
    """
    dataset, allocated = source.dataset, header.bits_allocated
    stored = elements.integer(dataset, "BitsStored") or allocated
    stored = stored if 1 <= stored <= allocated else allocated
    high = elements.integer(dataset, "HighBit")
    if high is None or not stored <= high + 1 <= allocated:
        high = stored - 1
    subsampled = _is_subsampled(source, header)
    if subsampled and header.columns % 2:
        raise InputError(
            f"two pixels share their chroma in rows of {header.columns}: allowed is an "
            "even number of columns"
        )
    big = source.syntax in (BIG_ENDIAN, GE_BIG_PIXELS) or not source.little_endian
    return Layout(
        rows=header.rows,
        columns=header.columns,
        samples=header.samples,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high,
        signed=elements.integer(dataset, "PixelRepresentation") == 1,
        planar=header.samples > 1
        and elements.integer(dataset, "PlanarConfiguration") == 1,
        subsampled=subsampled,
        big_endian=big,
        swapped_bytes=big and allocated == 8 and source.pixels_vr == "OW",
        may_share_chroma=header.photometric.endswith("_422"),
    )


def _is_subsampled(source: Source, header: CineHeader) -> bool:
    """Two bytes a pixel; a file that says 422 and holds three has not shared chroma."""
    if source.encapsulated or not header.photometric.endswith("_422"):
        return False
    return source.pixels_length < header.frames * header.frame_bytes


def samples_of(stored: bytes, layout: Layout, index: int = 0) -> np.ndarray:
    """A native frame's samples, `h w` or `h w 3`, their unused bits removed.

    Args:
        stored: the bytes that hold the frame.
        layout: how they are to be read.
        index: place of the frame; frames of single bits may begin within a byte, and
            frames of swapped bytes at the second of two.
    """
    rows, columns = layout.rows, layout.columns
    if layout.bits_allocated == 1:
        bit = index * layout.frame_bits % 8
        flat = np.frombuffer(stored, np.uint8)
        bits = np.unpackbits(flat, bitorder="little")[bit : bit + rows * columns]
        return bits.reshape(rows, columns)
    if layout.swapped_bytes:
        count = layout.frame_bits // 8
        words = np.frombuffer(stored + b"\0" * (len(stored) % 2), np.uint16)
        first = index * count % 2
        stored = words.byteswap().tobytes()[first : first + count]
    order = ">" if layout.big_endian else "<"
    flat = np.frombuffer(stored, f"{order}u{layout.bits_allocated // 8}")
    if layout.subsampled:
        pairs = flat.reshape(rows, columns // 2, 4)
        chroma = np.repeat(pairs[..., 2:], 2, axis=1)
        luma = pairs[..., :2].reshape(rows, columns, 1)
        picture = np.concatenate([luma, chroma], axis=2)
    elif layout.samples == 1:
        picture = flat.reshape(rows, columns)
    elif layout.planar:
        picture = cv2.merge(list(_native(flat).reshape(3, rows, columns)))
    else:
        picture = flat.reshape(rows, columns, 3)
    return cut_bits(_native(picture), layout)


def _native(values: np.ndarray) -> np.ndarray:
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def cut_bits(samples: np.ndarray, layout: Layout) -> np.ndarray:
    """The stored bits alone; overlays used to live in the others."""
    if layout.bits_stored == layout.bits_allocated:
        return samples
    shift = layout.high_bit + 1 - layout.bits_stored
    mask = samples.dtype.type((1 << layout.bits_stored) - 1)
    return (samples >> samples.dtype.type(shift)) & mask
