"""What a JPEG XL picture says about itself (ISO/IEC 18181-1, annexes D to F).

Its headline is a string of bits, the lowest of each byte first. Read are the size, the
depth, the colours, and whether samples were transformed before they were coded: then
the decoder gives RGB, whatever a file's header says of the JPEG that was recompressed.
"""

import dataclasses

from ultrasound_jax.types import InputError

BARE = b"\xff\x0a"
BOXED = b"\0\0\0\x0cJXL \r\n\x87\n"
_ENOUGH = 1 << 12  # bytes; headlines take less than a hundred
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_LENGTHS = ((1, 9), (1, 13), (1, 18), (1, 30))
_ENUM = ((0, 0), (1, 0), (2, 4), (18, 6))
_COORDINATE = ((0, 19), (524288, 19), (1048576, 20), (2097152, 21))
_EXPONENT = "has samples with an exponent, allowed are whole numbers"


@dataclasses.dataclass(frozen=True)
class Headline:
    """Size, depth and colours of a JPEG XL picture.

    samples: 1 or 3.
    transformed: the decoder undoes a colour transform and gives RGB.
    holds_jpeg: it is a recompressed JPEG that can be had back byte for byte.
    """

    columns: int
    rows: int
    samples: int
    precision: int
    transformed: bool
    holds_jpeg: bool


def is_jpegxl(code: bytes) -> bool:
    """Whether a picture begins as JPEG XL does, bare or in boxes."""
    return code[:2] == BARE or code[:12] == BOXED


def read_headline(code: bytes) -> Headline:
    """Reads the headline of a picture that `is_jpegxl`.

    Raises:
        InputError: it has what clinical pictures have not: alpha, animation, a preview,
            numbers with an exponent, or is turned.
        ValueError: it is damaged or cut.
    """
    boxes: set[bytes] = set()
    if code[:2] != BARE:
        code, boxes = _unboxed(code)
    if code[:2] != BARE:
        raise ValueError("no codestream")
    bits = _Bits(code[2:_ENOUGH])
    columns, rows = _size(bits)
    found = _metadata(bits)
    holds_jpeg = b"jbrd" in boxes
    transformed = found.xyb or holds_jpeg or _converts(bits, found)
    return Headline(
        columns, rows, found.samples, found.precision, transformed, holds_jpeg
    )


def _unboxed(code: bytes) -> tuple[bytes, set[bytes]]:
    """The first bytes of the codestream, and the names of the boxes."""
    place, stream, names = 0, b"", set[bytes]()
    while place + 8 <= len(code):
        length, name = int.from_bytes(code[place : place + 4], "big"), place + 4
        start = place + 8
        if length == 1:
            length, start = (
                int.from_bytes(code[place + 8 : place + 16], "big"),
                start + 8,
            )
        end = place + length if length else len(code)
        if end < start:
            break
        kind = code[name : name + 4]
        names.add(kind)
        if len(stream) < _ENOUGH and kind in (b"jxlc", b"jxlp"):
            begin = start + 4 * (kind == b"jxlp")  # parts have a number of 4 bytes
            stream += code[begin : min(end, begin + _ENOUGH)]
        place = end
    return stream, names


class _Bits:
    """Reads numbers bit by bit, the lowest first."""

    def __init__(self, code: bytes) -> None:
        self._value, self._left = int.from_bytes(code, "little"), 8 * len(code)

    def take(self, count: int) -> int:
        """A number of `count` bits."""
        if count > self._left:
            raise ValueError("the headline is cut")
        number = self._value & ((1 << count) - 1)
        self._value >>= count
        self._left -= count
        return number

    def flag(self) -> bool:
        """One bit."""
        return bool(self.take(1))

    def choice(self, forms: tuple[tuple[int, int], ...]) -> int:
        """A number in one of four forms, each a least value and bits above it."""
        least, count = forms[self.take(2)]
        return least + self.take(count)

    def long(self) -> int:
        """A number of up to 64 bits; those of more than 12 are for no field of ours."""
        form = self.take(2)
        if form == 3:
            raise ValueError("a long number")
        return (0, 1, 17)[form] + self.take((0, 4, 8)[form])

    def to_byte(self) -> None:
        """Goes to the next whole byte."""
        self.take(self._left % 8)


@dataclasses.dataclass(frozen=True)
class _Metadata:
    samples: int = 3
    precision: int = 8
    xyb: bool = True
    profile: bool = False  # a colour profile stands before the frame


def _size(bits: _Bits) -> tuple[int, int]:
    small = bits.flag()

    def side() -> int:
        return 8 * (bits.take(5) + 1) if small else bits.choice(_LENGTHS)

    rows = side()
    ratio = bits.take(3)
    if not ratio:
        return side(), rows
    across, down = _RATIOS[ratio - 1]
    return rows * across // down, rows


def _metadata(bits: _Bits) -> _Metadata:
    if bits.flag():
        return _Metadata()
    extra = bits.flag()
    if extra:
        turned = bits.take(3)
        if bits.flag():  # a size to be shown at, which is no concern of ours
            _size(bits)
        moves = bits.flag() or bits.flag()
        if turned or moves:
            what = "is turned" if turned else "has a preview or is animated"
            raise InputError(f"a JPEG XL frame {what}, allowed is one upright picture")
    if bits.flag():
        raise InputError(f"a JPEG XL frame {_EXPONENT}")
    precision = bits.choice(((8, 0), (10, 0), (12, 0), (1, 6)))
    bits.flag()  # 16 bits are enough while it is decoded
    if bits.choice(((0, 0), (1, 0), (2, 4), (1, 12))):
        raise InputError(
            "a JPEG XL frame has channels beside its colours, allowed are 1 or 3"
        )
    xyb = bits.flag()
    grey, profile = _colours(bits)
    if extra and not bits.flag():  # how bright a screen should be
        bits.take(16 + 16 + 1 + 16)
    if bits.long():
        raise ValueError("extensions of JPEG XL")
    return _Metadata(1 if grey else 3, precision, xyb, profile)


def _colours(bits: _Bits) -> tuple[bool, bool]:
    """Whether it is grey, and whether it has a colour profile."""
    if bits.flag():
        return False, False
    profile, space = bits.flag(), bits.choice(_ENUM)
    grey, xyb = space == 1, space == 2
    if profile:
        return grey, True
    if not xyb and bits.choice(_ENUM) == 2:  # a white point of its own
        _coordinates(bits, 1)
    if not grey and not xyb and bits.choice(_ENUM) == 2:  # primaries of its own
        _coordinates(bits, 3)
    if not xyb:
        if bits.flag():
            bits.take(24)  # gamma
        else:
            bits.choice(_ENUM)
    bits.choice(_ENUM)  # rendering intent
    return grey, False


def _coordinates(bits: _Bits, pairs: int) -> None:
    for _ in range(2 * pairs):
        bits.choice(_COORDINATE)


def _converts(bits: _Bits, found: _Metadata) -> bool:
    """Whether the first frame's samples are YCbCr inside, which decoders undo."""
    # What stands before the frame is skipped where it is as usual; where not, it would
    # have to be decoded to know its end.
    if found.profile or not bits.flag():
        return False
    bits.to_byte()
    if bits.flag():  # a frame with nothing special
        return False
    bits.take(2 + 1)  # what the frame is for, and how it is coded
    bits.long()
    return bits.flag()
