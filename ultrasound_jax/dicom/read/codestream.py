"""What a compressed picture says about itself, read before it is decoded.

A file's header and its compressed pictures often disagree. What is in the picture
decides which decoder is used and how much memory it may take, so it is read first.
"""

import dataclasses
import struct

from ultrasound_jax.dicom.read.jpegxl import is_jpegxl, read_headline
from ultrasound_jax.types import InputError

_SOF = {0xC0: "jpeg", 0xC1: "jpeg", 0xC2: "jpeg", 0xC3: "lossless jpeg", 0xF7: "jpegls"}
_OTHER_SOF = set(range(0xC5, 0xD0)) - {0xC8, 0xCC}
_ALONE = {0x01, *range(0xD0, 0xD9)}
_JP2 = b"\0\0\0\x0cjP  "


@dataclasses.dataclass(frozen=True)
class Codestream:
    """The headline of one compressed picture.

    kind: `jpeg` (DCT), `lossless jpeg`, `jpegls`, `j2k`, `htj2k` or `jpegxl`.
    precision: bits a sample.
    signed: samples are signed (only JPEG 2000 can say so).
    ids: component identifiers of a JPEG.
    subsampled: the components differ in size: chroma.
    jfif: a JFIF marker says that three components are YCbCr.
    adobe: the transform of an Adobe marker (0 none, 1 YCbCr), None without one.
    transformed: a colour transform of JPEG 2000 or XL is in use; decoders undo it.
    lossless: what is decoded is what was encoded, to the bit. JPEG XL does not say so.
    holds_jpeg: a recompressed JPEG, which can be had back and decoded as such.
    """

    kind: str
    columns: int
    rows: int
    samples: int
    precision: int
    signed: bool = False
    ids: tuple[int, ...] = ()
    subsampled: bool = False
    jfif: bool = False
    adobe: int | None = None
    transformed: bool = False
    lossless: bool = False
    holds_jpeg: bool = False


def read_codestream(code: bytes) -> Codestream:
    """Reads the headline of a JPEG, JPEG-LS, JPEG 2000 or JPEG XL picture.

    Raises:
        InputError: it is none of these, or its markers are damaged.
    """
    try:
        if is_jpegxl(code):
            return Codestream("jpegxl", **dataclasses.asdict(read_headline(code)))
        if code[:2] == b"\xff\xd8":
            return _jpeg(code)
        if code[:8] == _JP2:
            code = code[code.index(b"jp2c") + 4 :]
        if code[:4] == b"\xff\x4f\xff\x51":
            return _jpeg2000(code)
    except (struct.error, IndexError, ValueError):
        raise InputError("a compressed frame's markers are damaged") from None
    raise InputError("a frame is not a JPEG, JPEG-LS, JPEG 2000 or JPEG XL picture")


def starts_picture(code: bytes) -> bool:
    """Whether a fragment is the beginning of a picture rather than its continuation."""
    known = code[:3] == b"\xff\xd8\xff" or code[:4] == b"\xff\x4f\xff\x51"
    return known or is_jpegxl(code)


def _jpeg(code: bytes) -> Codestream:
    place, jfif, adobe, near = 2, False, None, 0
    found: dict[str, object] | None = None
    while True:
        if code[place] != 0xFF:
            raise ValueError("no marker")
        marker = code[place + 1]
        if marker == 0xFF:  # a filling byte
            place += 1
            continue
        if marker in _ALONE:
            place += 2
            continue
        (length,) = struct.unpack_from(">H", code, place + 2)
        part = code[place + 4 : place + 2 + length]
        if marker == 0xE0 and part[:5] == b"JFIF\0":
            jfif = True
        elif marker == 0xEE and part[:5] == b"Adobe" and len(part) >= 12:
            adobe = part[11]
        elif marker in _SOF:
            found = _frame_header(_SOF[marker], part)
        elif marker in _OTHER_SOF:
            raise InputError(
                f"a frame is JPEG process {marker - 0xC0}, allowed are baseline, "
                "extended, progressive and lossless with Huffman codes"
            )
        elif marker == 0xDA:
            if found is None:
                raise ValueError("no frame header")
            if found["kind"] == "jpegls":
                near = part[1 + 2 * part[0]]
            lossless = found["kind"] == "lossless jpeg" or (
                found["kind"] == "jpegls" and near == 0
            )
            return Codestream(jfif=jfif, adobe=adobe, lossless=lossless, **found)  # type: ignore[arg-type]
        elif marker == 0xD9:
            raise ValueError("no scan")
        place += 2 + length


def _frame_header(kind: str, part: bytes) -> dict[str, object]:
    precision, rows, columns, samples = struct.unpack_from(">BHHB", part)
    parts = [part[6 + 3 * i : 9 + 3 * i] for i in range(samples)]
    return {
        "kind": kind,
        "precision": precision,
        "rows": rows,
        "columns": columns,
        "samples": samples,
        "ids": tuple(component[0] for component in parts),
        "subsampled": len({component[1] for component in parts}) > 1,
    }


def _jpeg2000(code: bytes) -> Codestream:
    right, bottom, left, top = struct.unpack_from(">IIII", code, 8)
    (samples,) = struct.unpack_from(">H", code, 40)
    depths = [code[42 + 3 * i] for i in range(samples)]
    sizes = {code[43 + 3 * i : 45 + 3 * i] for i in range(samples)}
    place, high_throughput, transformed, reversible = 2, False, False, False
    while code[place : place + 2] != b"\xff\x90":  # up to the first tile
        marker, length = struct.unpack_from(">HH", code, place)
        if marker == 0xFF50:
            high_throughput = True
        elif marker == 0xFF52:
            transformed = code[place + 8] == 1
            reversible = code[place + 13] == 1
        elif marker < 0xFF30 or length < 2:
            raise ValueError("no marker")
        place += 2 + length
    return Codestream(
        kind="htj2k" if high_throughput else "j2k",
        columns=right - left,
        rows=bottom - top,
        samples=samples,
        precision=(depths[0] & 0x7F) + 1,
        signed=bool(depths[0] & 0x80),
        subsampled=len(sizes) > 1,
        transformed=transformed,
        lossless=reversible,
    )
