"""A DICOM file up to its pixels: which syntax, which elements, where the pixels stand.

pydicom parses the elements that are needed and no others. The file's own meta group is
read here, as it must be understood before there is anything for pydicom to read, and
because real files come without it, without a preamble, or with a false word in it.
"""

import contextlib
import dataclasses
import re
import struct
from collections.abc import Iterator
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import Tag

from ultrasound_jax.dicom.read import elements, particulars
from ultrasound_jax.dicom.read.stream import (
    BoundedStream,
    inflated,
    open_stream,
)
from ultrasound_jax.runs.limits import Limits
from ultrasound_jax.types import InputError

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
DEFLATED, BIG_ENDIAN = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"
GE_BIG_PIXELS = "1.2.840.113619.5.2"  # GE: implicit little endian, pixels big endian
ENCAPSULATED = "1.2.840.10008.1.2.1.98"  # uncompressed, and in items all the same
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"  # every frame for itself, in items
UNCOMPRESSED = {IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN, GE_BIG_PIXELS, ENCAPSULATED}
RLE = "1.2.840.10008.1.2.5"
# MPEG-2, MPEG-4 and HEVC: 4.100 to 4.108, and the forms in many fragments.
FILMS = {f"1.2.840.10008.1.2.4.{n}" for n in range(100, 109)}
FILMS |= {f"{syntax}.1" for syntax in FILMS}
UNDEFINED = 0xFFFFFFFF
_LONG_VRS = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR"}
_LONG_VRS |= {b"UT", b"SV", b"UV"}
_PIXELS = {0x7FE00010: "PixelData", 0x7FE00008: "float", 0x7FE00009: "double"}

KEYWORDS = (
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyDate",
    "Modality",
    "Manufacturer",
    "ManufacturerModelName",
    "PatientID",
    "StudyInstanceUID",
    "InstanceNumber",
    "SequenceOfUltrasoundRegions",
    "CineRate",
    "FrameTime",
    "FrameTimeVector",
    "RecommendedDisplayFrameRate",
    "ActualFrameDuration",
    "EffectiveDuration",
    "FrameIncrementPointer",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "SmallestImagePixelValue",
    "LargestImagePixelValue",
    "RescaleIntercept",
    "RescaleSlope",
    "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
)
_TAGS = [Tag(keyword) for keyword in (*KEYWORDS, *particulars.KEYWORDS)]


@dataclasses.dataclass(frozen=True)
class Source:
    """An open file whose elements are parsed and whose pixels are not read.

    stream: gives the pixel data's bytes; of a deflated file, its inflated bytes.
    syntax: transfer syntax UID as stated, or found out where none is stated.
    meta_identifiers: SOP class and instance as the meta group has them, or "".
    little_endian: byte order of the elements.
    pixels_start, pixels_length: the pixel data's value; UNDEFINED when encapsulated.
    pixels_vr: as written, "" in implicit VR.
    """

    stream: BoundedStream
    dataset: Dataset
    syntax: str
    meta_identifiers: tuple[str, str]
    little_endian: bool
    pixels_start: int
    pixels_length: int
    pixels_vr: str

    @property
    def encapsulated(self) -> bool:
        """The pixel data is a row of items."""
        return self.pixels_length == UNDEFINED


@contextlib.contextmanager
def open_source(path: Path, limits: Limits) -> Iterator[Source]:
    """Opens a file and parses it up to its pixels.

    Raises:
        InputError: without the file's name; the callers add it.
    """
    with open_stream(path, limits) as (raw, stream):
        start = 132 if _is_marked(stream) else 0
        meta, start = _read_meta(stream, start)
        syntax = meta.get(0x0010, "")
        if syntax and not re.fullmatch(r"[0-9.]{1,64}", syntax):
            raise InputError("the transfer syntax is not a UID")
        if syntax == DEFLATED:
            stream, start = inflated(raw, start, limits), 0
        stream.seek(start)
        first = stream.read(6)
        stream.seek(start)
        implicit, little = _probe(first)
        if not syntax:
            syntax = IMPLICIT if implicit else EXPLICIT if little else BIG_ENDIAN
        dataset, pixels = _parse(stream, implicit, little)
        if not pixels:
            known = start or "SOPClassUID" in dataset
            raise InputError(
                "holds no pixel data, or ends before it"
                if known
                else "is not a DICOM file"
            )
        if pixels[0] != "PixelData":
            raise InputError(f"holds {pixels[0]} pixels, allowed are whole numbers")
        identifiers = meta.get(0x0002, ""), meta.get(0x0003, "")
        yield Source(stream, dataset, syntax, identifiers, little, *pixels[1:])


def _is_marked(stream: BoundedStream) -> bool:
    marked = stream.read(132)[128:] == b"DICM"
    stream.seek(0)
    return marked


def _read_meta(stream: BoundedStream, start: int) -> tuple[dict[int, str], int]:
    """The texts of group 2, which is always explicit little endian, and its end.

    The group's stated length is not used: anonymisers forget to change it.
    """
    texts: dict[int, str] = {}
    while True:
        stream.seek(start)
        head = stream.read(12)
        if len(head) < 8 or struct.unpack_from("<H", head)[0] != 2:
            return texts, start
        element, vr = struct.unpack_from("<H2s", head, 2)
        if not vr.isalpha():  # a meta group in implicit VR
            skip, length = 8, struct.unpack_from("<I", head, 4)[0]
        elif vr in _LONG_VRS:
            if len(head) < 12:
                raise InputError("ends within its meta group")
            skip, length = 12, struct.unpack_from("<I", head, 8)[0]
        else:
            skip, length = 8, struct.unpack_from("<H", head, 6)[0]
        if not stream.holds(start + skip, length):
            raise InputError("ends within its meta group")
        if element in (0x0002, 0x0003, 0x0010):
            stream.seek(start + skip)
            value = stream.read(min(length, 128)).decode("ascii", "replace")
            texts[element] = value.strip("\0 ")
        start += skip + length


def _probe(first: bytes) -> tuple[bool, bool]:
    """Whether the first element is in implicit VR, and little endian.

    What stands there is believed more than the transfer syntax. The first group of any
    data set is a low one, so its zero byte shows the byte order.
    """
    if len(first) < 6:
        raise InputError("ends before its data set")
    little = not (first[0] == 0 and first[1] != 0)
    return not (first[4:6].isalpha() and first[4:6].isupper()), little


def _parse(
    stream: BoundedStream, implicit: bool, little: bool
) -> tuple[Dataset, tuple[str, int, int, str] | None]:
    """The needed elements, and the kind, start, length and VR of the pixels."""
    pixels: list[tuple[str, int, int, str]] = []

    def at_pixels(tag: int, vr: str | None, length: int) -> bool:
        if int(tag) in _PIXELS:
            pixels.append((_PIXELS[int(tag)], stream.tell(), length, vr or ""))
        return int(tag) in _PIXELS

    try:
        with elements.quiet():
            dataset = read_dataset(
                stream,  # pyright: ignore[reportArgumentType]
                implicit,
                little,
                stop_when=at_pixels,
                specific_tags=list(_TAGS),
            )
    except InputError:
        raise
    except (MemoryError, RecursionError):
        raise InputError("its elements are nested too deep or are too large") from None
    except Exception as error:  # pydicom on damaged bytes raises almost anything
        raise InputError(
            f"its elements cannot be parsed ({type(error).__name__})"
        ) from None
    return dataset, pixels[-1] if pixels else None
