"""A DICOM file as a stream of bytes that cannot be made to read or inflate too much."""

import contextlib
import io
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ultrasound_jax.dicom.read.damage import DamagedFrame
from ultrasound_jax.runs.limits import Limits
from ultrasound_jax.types import InputError

_READS = 5_000_000  # a real header takes thousands; a made-up one must end some day
_CHUNK = 1 << 18
_FINE = 512
# Cines deflate to a third, black screens to a hundredth; a bomb to a thousandth.
_FREE, _RATIO = 256 << 20, 100


class BoundedStream:
    """What pydicom reads from: declared lengths are not believed.

    A plain read of `n` bytes sets `n` bytes aside before it looks at the file, so a
    32-bit length in a small file could take 4 GiB. Here a read is never longer than
    what is left, nor than `most` bytes.
    """

    name = ""  # pydicom quotes it in warnings; a file's name may be a patient's

    def __init__(self, raw: BinaryIO, size: int | None, most: int) -> None:
        self._raw, self._most, self._reads = raw, most, 0
        self.size = size  # None where only inflating would tell

    def read(self, count: int = -1) -> bytes:
        """At most `count` bytes."""
        self._reads += 1
        if self._reads > _READS:
            raise InputError(f"has more than {_READS} parts")
        if self.size is not None:
            left = max(0, self.size - self._raw.tell())
            count = left if count < 0 else min(count, left)
        if count < 0 or count > self._most:
            raise InputError(
                f"an element of {count} bytes, allowed are {self._most} of memory"
            )
        return self._raw.read(count)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As a file's."""
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        """As a file's."""
        return self._raw.tell()

    def holds(self, start: int, count: int) -> bool:
        """Whether bytes `start` to `start + count` exist."""
        if self.size is not None:
            return 0 <= start and start + count <= self.size
        if count < 1:
            return start >= 0
        here = self.tell()
        self.seek(start + count - 1)
        found = len(self.read(1)) == 1
        self.seek(here)
        return found

    def available(self, start: int, count: int) -> int:
        """How many of the `count` bytes from `start` on exist.

        What is damaged does not: of a deflated file, all from the damage on.
        """
        if self.size is not None:
            return max(0, min(count, self.size - start))
        found, here = 0, self.tell()
        try:
            self.seek(start)
            while found < count:
                piece = self._raw.read(min(_CHUNK, count - found))
                if not piece:
                    break
                found += len(piece)
        except InputError:  # said again when it is read
            pass
        self.seek(here)
        return found


class _Inflated(io.RawIOBase):
    """A deflated data set, inflated as far as it is read; going back starts again.

    Behind a buffer that serves the short steps back of a parser, frames are read in
    order, so that a cine is inflated about twice and never kept.
    """

    def __init__(self, raw: BinaryIO, start: int, limits: Limits) -> None:
        self._raw, self._start = raw, start
        self._limits, self._deadline = limits, time.monotonic() + limits.seconds
        packed = raw.seek(0, io.SEEK_END) - start
        self._most = min(limits.inflated_bytes, _FREE + _RATIO * packed)
        self._wbits = -zlib.MAX_WBITS
        self._restart()

    def _restart(self) -> None:
        self._raw.seek(self._start)
        self._inflater = zlib.decompressobj(self._wbits)
        self._position = 0
        self._pending, self._step = b"", _CHUNK

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer) -> int:  # pyright: ignore[reportMissingParameterType]
        piece = self._inflate(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END:
            while self._inflate(_CHUNK):
                pass
            offset, whence = offset + self._position, io.SEEK_SET
        target = offset if whence == io.SEEK_SET else self._position + offset
        if target < self._position:
            self._restart()
        while self._position < target:
            if not self._inflate(min(_CHUNK, target - self._position)):
                break
        return self._position

    def _inflate(self, count: int) -> bytes:
        piece = b""
        while not piece and not self._inflater.eof:
            packed = self._pending or self._raw.read(_CHUNK)
            before = self._inflater.copy()
            try:
                piece = self._inflater.decompress(packed[: self._step], count)
            except zlib.error:
                damaged = self._position or self._wbits > 0
                if damaged and self._step == 1:
                    raise InputError("the deflated data set is damaged") from None
                if damaged:  # what stands before the damage is given, to the byte
                    self._inflater, self._pending = before, packed
                    self._step = _FINE if self._step > _FINE else 1
                    continue
                self._wbits = zlib.MAX_WBITS  # some writers add a zlib header
                self._restart()
                continue
            self._pending = self._inflater.unconsumed_tail + packed[self._step :]
            if not packed and not piece:
                break
        self._position += len(piece)
        if self._position > self._most:
            raise InputError(
                f"inflates to more than {self._most} bytes, which is the limit for a "
                "file of its size"
            )
        if time.monotonic() > self._deadline:
            raise InputError(f"inflating takes more than {self._limits.seconds} s")
        return piece


def inflated(raw: BinaryIO, start: int, limits: Limits) -> BoundedStream:
    """The data set that stands deflated from byte `start` on."""
    buffered = io.BufferedReader(_Inflated(raw, start, limits), 1 << 20)
    return BoundedStream(buffered, None, limits.memory_bytes // 4)


def inflated_frame(packed: bytes, needed: int) -> bytes:
    """One deflated frame of `needed` bytes (PS3.5, section A.4.13).

    Never more than two bytes beyond are inflated. Some writers add a zlib header.

    Raises:
        DamagedFrame: it is damaged, ends early, or goes on.
    """
    for wbits in (-zlib.MAX_WBITS, zlib.MAX_WBITS):
        inflater = zlib.decompressobj(wbits)
        try:
            frame = inflater.decompress(packed, needed + 2)
        except zlib.error:
            continue
        if not needed <= len(frame) <= needed + 1:
            most = "or more " if len(frame) > needed else ""
            raise DamagedFrame(
                f"a deflated frame holds {len(frame)} {most}bytes, {needed} are needed"
            )
        if not inflater.eof:
            raise DamagedFrame("a deflated frame has no end")
        return frame
    raise DamagedFrame("a deflated frame is damaged")


@contextlib.contextmanager
def open_stream(path: Path, limits: Limits) -> Iterator[tuple[BinaryIO, BoundedStream]]:
    """Opens a file; gives it raw and bounded.

    Raises:
        InputError: it is no file, or it cannot be read.
    """
    if not path.is_file():  # a pipe or a device would block for ever
        raise InputError("no such file")
    try:
        with path.open("rb") as raw:
            size = raw.seek(0, io.SEEK_END)
            raw.seek(0)
            yield raw, BoundedStream(raw, size, limits.memory_bytes // 4)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or 'an error'})") from None
