"""JPEG pictures, decoded so that damage shows, which libjpeg hides.

Where a JPEG's data end early, libjpeg fills the rest with grey, and where they do not
fit it goes on somehow; it warns, but nobody is told. What it does has a use, though: a
picture that is asked for with more rows than were encoded must run out of data exactly
where the encoded rows end. So the height in the code is raised by a row of blocks. In
a whole picture the first of the added blocks meets the end of the data and comes out
odd, and all others are the middle grey that stands for nothing. If the first is that
grey already, data were missing before it; if another is not, data were left over. What
lost, false or added bits do to Huffman codes is nearly always one of the two. The cost
is that of a row of blocks; a second decoder would double it.

Damaged data whose codes are legal and make the right number of blocks are not told by
this, nor by anybody.
"""

import contextlib
import dataclasses
import re
import struct

import av
import av.error
import imagecodecs
import numpy as np

from ultrasound_jax.dicom.read.codestream import Codestream
from ultrasound_jax.dicom.read.damage import DamagedFrame

EARLY = "its JPEG data end early"
LATE = "its JPEG data do not fit its size"
ZEROS = "there is a run of zeros in its JPEG data"
MARKS = "restart marks are missing in its JPEG data"
CODES = "its JPEG data hold codes that are none"
_END = b"\xff\xd9"
_RESTART = re.compile(rb"\xff([\xd0-\xd7])")
_RUN = bytes(40)  # more than the zero bits that any true block has
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_NARROW = 8  # columns; with fewer, rows are slow
_STRICT = "explode+crccheck+bitstream+buffer+careful+aggressive"
_NEAR = 64  # bytes: what follows the end mark of nearly all pictures is less
_MOST = 65_500  # rows and columns that libjpeg takes


@dataclasses.dataclass
class _Heads:
    """What stands before a JPEG's data.

    size_at: where the height stands, two bytes, before the width.
    across, down: pixels of an MCU.
    interval, interval_at: MCUs from one restart mark to the next, or 0, and its place.
    zeros: blocks of zero bits are flat, so that a run of them means nothing.
    data_at: where the first scan's data begin.
    one_scan: they are all the data.
    first_scan: where that scan's marker stands.
    ids: of the components.
    """

    marker: int = 0
    size_at: int = 0
    across: int = 8
    down: int = 8
    interval: int = 0
    interval_at: int = 0
    zeros: bool = True
    data_at: int = 0
    one_scan: bool = False
    first_scan: int = 0
    ids: bytes = b""

    @property
    def components(self) -> int:
        """How many there are."""
        return len(self.ids)


def decode_jpeg(code: bytes, stream: Codestream, *, luma: bool = False) -> np.ndarray:
    """The raw samples of a JPEG, DCT or lossless.

    Args:
        code: of the picture; what follows its end mark is nothing.
        stream: its headline.
        luma: give the first of the three components of a YCbCr picture alone.

    Raises:
        DamagedFrame: its data end early or do not fit its size.
    """
    heads = _read_heads(code)
    end = code.rfind(_END, max(heads.data_at, len(code) - _NEAR))
    if end < 0:
        end = code.find(_END, heads.data_at)
    if not heads.zeros and code.find(_RUN, heads.data_at, max(end, 0)) >= 0:
        raise DamagedFrame(ZEROS)
    if end >= 0:
        return _decode(code, stream, heads, luma=luma)
    # Some writers leave the end mark out; what counts is whether the data are whole.
    # Zeros behind them may be theirs or padding.
    for rest in (code.rstrip(b"\0"), code):
        with contextlib.suppress(DamagedFrame):
            return _decode(rest + _END, stream, heads, luma=luma)
    raise DamagedFrame(EARLY)


def _decode(
    code: bytes, stream: Codestream, heads: _Heads, *, luma: bool
) -> np.ndarray:
    source = "YCBCR" if luma or stream.samples == 3 else "GRAYSCALE"
    spaces = source, "GRAYSCALE" if luma else source
    full = -(-stream.rows // heads.down) * heads.down
    more = heads.down * max(1, -(-3 * heads.across // stream.columns))
    if heads.marker == 0xC3 and heads.one_scan and not heads.interval:
        _check_lossless(code, stream, heads)
    elif not heads.one_scan or heads.marker == 0xC2 or full + more > _MOST:
        if heads.marker == 0xC2:
            _check_progressive(code, heads)
        _check_strictly(code, stream)
    elif heads.interval and _check_intervals(code, stream, heads, spaces[0]):
        pass
    else:
        if heads.interval:  # longer than the picture: in more rows it would come up
            at = heads.interval_at
            code = code[:at] + b"\0\0" + code[at + 2 :]
        return _decode_taller(code, stream, heads, spaces, full, more)
    return _libjpeg(code, spaces)


def _libjpeg(code: bytes, spaces: tuple[str, str]) -> np.ndarray:
    return imagecodecs.jpeg8_decode(code, colorspace=spaces[0], outcolorspace=spaces[1])


def _decode_taller(
    code: bytes,
    stream: Codestream,
    heads: _Heads,
    spaces: tuple[str, str],
    full: int,
    more: int,
) -> np.ndarray:
    """The picture, cut from one that has `more` rows than the `full` rows of MCUs."""
    rows, middle = stream.rows, 1 << (stream.precision - 1)
    taller = _libjpeg(_resized(code, heads, full + more, stream.columns), spaces)
    level = taller if taller.ndim == 2 else taller[..., 0]
    blank = (level[full:] == middle).reshape(-1, heads.down, stream.columns)
    if blank[0, :, : heads.across].all():
        last = level[full - heads.down : rows, -heads.across :].astype(np.int32)
        if np.abs(last - middle).max() > 1 or stream.precision != 8:
            raise DamagedFrame(EARLY)
        _check_strictly(code, stream)  # may be the picture's own grey
    elif not (blank[0, :, heads.across :].all() and blank[1:].all()):
        raise DamagedFrame(LATE)
    # Chroma that is enlarged downwards mixes with that of the next row.
    mixed = heads.down > 8 and taller.ndim == 3
    if mixed and np.any(taller[max(0, rows - 2) : rows, :, 1:] != middle):
        return _libjpeg(code, spaces)
    return taller[:rows]


def _check_intervals(
    code: bytes, stream: Codestream, heads: _Heads, space: str
) -> bool:
    """Checks each stretch between restart marks, or returns that there is but one.

    The MCUs are laid out anew, a stretch a row, with two MCUs more than it has.
    """
    across = -(-stream.columns // heads.across)
    total = across * -(-stream.rows // heads.down)
    stretches = -(-total // heads.interval)
    if stretches == 1:
        return False
    end = code.find(_END, heads.data_at)
    marks = _RESTART.findall(code, heads.data_at, end)
    if [mark[0] & 7 for mark in marks] != [n % 8 for n in range(stretches - 1)]:
        raise DamagedFrame(MARKS)
    wide, rows = heads.interval + 2, stretches * heads.down
    if max(wide * heads.across, rows, wide) > _MOST:
        _check_strictly(code, stream)
        return True
    anew = _resized(code, heads, rows, wide * heads.across)
    at = heads.interval_at
    anew = anew[:at] + struct.pack(">H", wide) + anew[at + 2 :]
    level = _libjpeg(anew, (space, "GRAYSCALE"))
    blank = level == 1 << (stream.precision - 1)
    blank = blank.reshape(stretches, heads.down, wide, heads.across).all(axis=(1, 3))
    blank = np.pad(blank, ((0, 0), (0, 1)), constant_values=True)
    stops = np.full(stretches, heads.interval)
    stops[-1] = total - heads.interval * (stretches - 1)
    for row, stop in zip(blank, stops.tolist(), strict=True):
        if row[stop] and not row[stop - 1]:
            raise DamagedFrame(EARLY)
        if row[stop]:
            _check_strictly(code, stream)
        elif not row[stop + 1 :].all():
            raise DamagedFrame(LATE)
    return True


def _check_lossless(code: bytes, stream: Codestream, heads: _Heads) -> None:
    """Lays the samples out anew, in short rows, with two rows more.

    Where the data end is known to a row, so rows must be short; Huffman codes do not
    depend on where rows end. Nor do they on the predictor: where the last row is middle
    grey, another makes something else of a picture's own grey.
    """
    total = stream.rows * stream.columns
    across = next(
        (
            wide
            for wide in range(_NARROW, stream.columns)
            if total % wide == 0 and total // wide < _MOST - 2
        ),
        stream.columns,
    )
    rows = total // across
    anew = bytearray(_resized(code, heads, rows + 2, across))
    space = "GRAYSCALE" if stream.samples == 1 else "YCBCR"
    for predictor in (1, 2, 4, 5, 6, 7, 3):
        anew[heads.data_at - 3] = predictor
        blank = _libjpeg(bytes(anew), (space, space))[rows:]
        blank = blank == 1 << (stream.precision - 1)
        if not blank[0].all():
            if not blank[1].all():
                raise DamagedFrame(LATE)
            return
    if np.ptp(_libjpeg(code, (space, space))) > 0:
        raise DamagedFrame(EARLY)
    _check_strictly(code, stream)  # it may be grey all over


def _check_progressive(code: bytes, heads: _Heads) -> None:
    """Whether the scans give every coefficient to its last bit, and no zeros for long.

    A run of zeros is nothing that coefficients other than the first ones make.
    """
    missing = {(part, k) for part in range(heads.components) for k in range(64)}
    place, ids = heads.first_scan, heads.ids
    while code[place : place + 2] == b"\xff\xda":
        (length,) = struct.unpack_from(">H", code, place + 2)
        count, start = code[place + 4], place + 2 + length
        begin, end, exact = code[start - 3 : start]
        after = _MARKER.search(code, start)
        stop = after.start() if after else len(code)
        if begin and code.find(_RUN, start, stop) >= 0:
            raise DamagedFrame(ZEROS)
        if exact & 15 == 0:
            parts = [ids.index(code[place + 5 + 2 * i]) for i in range(count)]
            missing -= {(p, k) for p in parts for k in range(begin, end + 1)}
        place = code.find(b"\xff\xda", stop)
    if missing:
        raise DamagedFrame(EARLY)


def _check_strictly(code: bytes, stream: Codestream) -> None:
    """Asks FFmpeg, which sees missing data and false codes, but no more."""
    if stream.precision != 8:
        return  # FFmpeg does not know them
    context = av.CodecContext.create("mjpeg", "r")
    context.thread_count = 1
    context.options = {"err_detect": _STRICT, "lowres": "3"}
    try:
        context.decode(av.Packet(code))
        context.decode(None)
    except (av.error.InvalidDataError, av.error.EOFError):
        raise DamagedFrame(CODES) from None
    except av.error.FFmpegError:
        return  # a kind of JPEG that it does not know


def _resized(code: bytes, heads: _Heads, rows: int, columns: int) -> bytes:
    at = heads.size_at
    return code[:at] + struct.pack(">HH", rows, columns) + code[at + 4 :]


def _read_heads(code: bytes) -> _Heads:
    """Reads the markers, which `read_codestream` has found in order."""
    heads, place = _Heads(), 2
    while True:
        marker = code[place + 1]
        if marker == 0xFF:
            place += 1
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            place += 2
            continue
        (length,) = struct.unpack_from(">H", code, place + 2)
        if marker in (0xC0, 0xC1, 0xC2, 0xC3):
            heads.marker, heads.size_at = marker, place + 5
            parts = [code[place + 10 + 3 * i :][:2] for i in range(code[place + 9])]
            heads.ids = bytes(part[0] for part in parts)
            sizes = [part[1] for part in parts]
            unit = 1 if marker == 0xC3 else 8
            several = heads.components > 1  # alone, a component has one block an MCU
            heads.across = unit * (max(s >> 4 for s in sizes) if several else 1)
            heads.down = unit * (max(s & 15 for s in sizes) if several else 1)
        elif marker == 0xC4:
            heads.zeros &= _zeros_are_flat(code[place + 4 : place + 2 + length])
        elif marker == 0xDD:
            (heads.interval,) = struct.unpack_from(">H", code, place + 4)
            heads.interval_at = place + 4
        elif marker == 0xDA:
            heads.one_scan = code[place + 4] == heads.components
            heads.first_scan = place
            heads.data_at = place + 2 + length
            return heads
        place += 2 + length


def _zeros_are_flat(tables: bytes) -> bool:
    """Whether every table for AC has the end of a block as its code of zeros."""
    place = 0
    while place + 17 < len(tables):
        if tables[place] >> 4 and tables[place + 17]:
            return False
        place += 17 + sum(tables[place + 1 : place + 17])
    return True
