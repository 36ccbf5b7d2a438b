"""The packets of a film and what they decode to, through PyAV.

Each packet is given its number in the order in which they stand, and the frame that
comes of it brings the number back: so packets whose frame never comes are known.
"""

import bisect
import dataclasses
import io
from collections.abc import Iterator, Sequence
from typing import cast

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from ultrasound_jax.dicom.read.fragments import Piece
from ultrasound_jax.dicom.read.stream import BoundedStream
from ultrasound_jax.types import InputError

_DEMUXERS = "mpeg,mpegts,mpegvideo,h264,hevc,mp4,mov"
# Without these, damage is painted over. MPEG-2 is stuffed with zeros, legally, which
# the check of its bits does not like.
_STRICT = "explode+crccheck+bitstream+buffer"
_STRICT_MPEG2 = "explode+crccheck+buffer"
_BARE = {"h264", "hevc", "mpegvideo"}  # streams without times
_COPY_OPAQUE = 1 << 7  # AV_CODEC_FLAG_COPY_OPAQUE


@dataclasses.dataclass(frozen=True)
class Packets:
    """What counting a film's packets has found.

    count: those that are shown.
    stated: how many the film's own container states, 0 where it does not.
    ranks: of each packet its place in the order of showing, None where times lack.
    """

    count: int
    stated: int
    ranks: tuple[int, ...] | None

    def rank(self, number: int) -> int:
        """The place of packet `number`, about right where times lack."""
        return number if self.ranks is None else self.ranks[number]


@dataclasses.dataclass
class FilmFile:
    """Where a film stands, and the most pixels that its frames may have.

    rate: Hz, as the stream or its container says, once a frame was decoded; None where
        neither does.
    """

    stream: BoundedStream
    pieces: Sequence[Piece]
    most_pixels: int
    rate: float | None = None

    def packets(self) -> Packets:
        """Counts the packets, decoding none.

        Raises:
            InputError: it is no film.
        """
        times: list[int | None] = []
        stated = 0
        try:
            with self._open() as container:
                stream = container.streams.video[0]
                stated = stream.frames
                for packet in container.demux(stream):
                    if packet.size and not packet.is_discard:
                        times.append(packet.pts)
        except (av.error.FFmpegError, ValueError, EOFError, IndexError):
            if not times:
                raise InputError("its film cannot be read") from None
        ranks = None
        known = [time for time in times if time is not None]
        if len(set(known)) == len(times):
            order = np.argsort(np.array(known, np.int64), kind="stable")
            ranks = tuple(np.argsort(order, kind="stable").tolist())
        return Packets(len(times), stated, ranks)

    def decoded(
        self, *, strict: bool = True
    ) -> Iterator[tuple[int, av.VideoFrame | None]]:
        """The number of a packet with its frame, in the order they are shown.

        A packet that cannot be decoded comes at once, with None. A frame of it may come
        all the same, patched up. With `strict` every damage counts that is noticed.
        """
        with self._open() as container:
            stream = container.streams.video[0]
            context = stream.codec_context
            options = {"max_pixels": str(self.most_pixels)}
            if strict:
                stuffed = context.name in ("mpeg1video", "mpeg2video")
                options["err_detect"] = _STRICT_MPEG2 if stuffed else _STRICT
            context.options = options
            context.thread_count = 1  # several threads swallow each other's errors
            context.flags |= _COPY_OPAQUE
            number = 0
            packets = container.demux(stream)
            while True:
                try:
                    packet = next(packets, None)
                except (av.error.FFmpegError, ValueError, EOFError):
                    return
                if packet is None:
                    return
                here = None
                if packet.size:
                    here = -1 if packet.is_discard else number
                    number += here >= 0
                    # PyAV keeps it by its identity: an int would be that of others.
                    packet.opaque = [here]
                try:
                    shown = packet.decode()
                except (av.error.FFmpegError, ValueError, EOFError):
                    if here is not None and here >= 0:
                        yield here, None
                    continue
                if packet.is_corrupt and here is not None and here >= 0:
                    yield here, None
                if shown:
                    self.rate = self.rate or _rate_of(container, stream)
                for frame in shown:
                    if isinstance(frame, av.VideoFrame) and frame.opaque is not None:
                        (of,) = cast(list[int], frame.opaque)
                        if of != -1:
                            yield of, frame

    def _open(self) -> InputContainer:
        file = io.BufferedReader(_Pieces(self.stream, self.pieces))
        options = {"format_whitelist": _DEMUXERS}
        container = av.open(
            file, "r", container_options=options, metadata_errors="replace"
        )
        if not container.streams.video:
            container.close()
            raise InputError("its film holds no pictures")
        if container.streams.video[0].codec_context is None:
            container.close()
            raise InputError("nothing can decode its film")
        return container


def _rate_of(container: InputContainer, stream: VideoStream) -> float | None:
    """The measured rate of a container's times; without a container, the stream's.

    FFmpeg says 25 Hz of every bare stream, so that only what its decoder has read
    in the stream counts (the VUI of H.264 and HEVC, the sequence header of MPEG-2).
    """
    bare = container.format.name in _BARE
    rate = None if bare else stream.average_rate
    rate = rate or stream.codec_context.framerate
    return float(rate) if rate else None


class _Pieces(io.RawIOBase):
    """Pieces of a stream, read as if they were one file."""

    def __init__(self, stream: BoundedStream, pieces: Sequence[Piece]) -> None:
        self._stream, self._pieces, self._position = stream, pieces, 0
        self._ends: list[int] = np.cumsum([length for _, length in pieces]).tolist()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        bases = {io.SEEK_SET: 0, io.SEEK_CUR: self._position}
        self._position = max(0, bases.get(whence, self._ends[-1]) + offset)
        return self._position

    def readinto(self, buffer) -> int:  # pyright: ignore[reportMissingParameterType]
        index = bisect.bisect_right(self._ends, self._position)
        if index == len(self._pieces):
            return 0
        start, length = self._pieces[index]
        left = self._ends[index] - self._position
        self._stream.seek(start + length - left)
        found = self._stream.read(min(left, len(buffer)))
        buffer[: len(found)] = found
        self._position += len(found)
        return len(found)
