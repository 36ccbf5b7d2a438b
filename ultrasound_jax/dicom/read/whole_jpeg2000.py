"""Whether a JPEG 2000 codestream is all there, which not every decoder asks.

Its tile-parts say how long they are, and no marker may stand within them. The bits
themselves are arithmetic codes: false ones decode to something, and nobody can tell.
"""

import re
import struct

from ultrasound_jax.dicom.read.damage import DamagedFrame

EARLY = "its JPEG 2000 data end early"
BROKEN = "its JPEG 2000 tile-parts are damaged"
ZEROS = "there is a run of zeros in its JPEG 2000 data"
_SOC, _SOT, _COD, _END = b"\xff\x4f", 0xFF90, 0xFF52, b"\xff\xd9"
_MARKER = re.compile(rb"\xff[\x93-\xff]")  # but for SOP and EPH, of packets


def check_jpeg2000(code: bytes) -> None:
    """Walks the tile-parts of a codestream, bare or in a JP2 box.

    Zeros stand for empty packets: a run is damage where it is longer than they can be.

    Raises:
        DamagedFrame: one is missing, cut, or of another length than it says.
    """
    place = code.find(_SOC) + 2
    most_zeros = 0
    try:
        while True:
            marker, length = struct.unpack_from(">HH", code, place)
            if marker == _SOT:
                break
            if marker == _COD:
                most_zeros = _empty_packets(code, place)
            place += 2 + length
        tiles = 0
        while code[place : place + 2] == b"\xff\x90":
            (length,) = struct.unpack_from(">I", code, place + 6)
            end = place + length if length else _last(code)
            if end > len(code):
                raise DamagedFrame(EARLY)
            if end < place + 14:
                raise DamagedFrame(BROKEN)
            _check_part(code, place, end, most_zeros)
            place, tiles = end, tiles + 1
    except struct.error:
        raise DamagedFrame(EARLY) from None
    rest = code[place:]
    # The end mark may be missing, and padding follows it.
    if rest[:2] != _END and rest.strip(b"\0"):
        raise DamagedFrame(BROKEN)


def _last(code: bytes) -> int:
    """Where the last tile-part ends, whose length is not said."""
    end = code.rfind(_END)
    return end if end >= 0 else len(code)


def _check_part(code: bytes, place: int, end: int, most_zeros: int) -> None:
    data = code.find(b"\xff\x93", place, end)
    if data < 0:
        raise DamagedFrame(BROKEN)
    if _MARKER.search(code, data + 2, end):
        raise DamagedFrame(BROKEN)
    if most_zeros and code.find(bytes(most_zeros + 32), data, end) >= 0:
        raise DamagedFrame(ZEROS)


def _empty_packets(code: bytes, place: int) -> int:
    """How many packets there may be at most, or 0 where precincts multiply them."""
    style, _, layers, _, levels = struct.unpack_from(">BBHBB", code, place + 4)
    (samples,) = struct.unpack_from(">H", code, code.find(_SOC) + 40)
    return 0 if style & 1 else layers * (levels + 1) * samples
