"""Cines that are stored as one MPEG-2, MPEG-4 or HEVC film, through PyAV."""

import bisect
import io
from collections.abc import Iterator, Sequence

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from ultrasound_jax.dicom.read import fragments
from ultrasound_jax.dicom.read.fragments import Piece
from ultrasound_jax.dicom.read.header import CineHeader
from ultrasound_jax.dicom.read.source import Source
from ultrasound_jax.dicom.read.stream import BoundedStream
from ultrasound_jax.types import InputError

# 4.100 to 4.108, and the forms in many fragments.
_NUMBERS = range(100, 109)
SYNTAXES = {f"1.2.840.10008.1.2.4.{n}" for n in _NUMBERS}
SYNTAXES |= {f"1.2.840.10008.1.2.4.{n}.1" for n in _NUMBERS}
_DEMUXERS = "mpeg,mpegts,mpegvideo,h264,hevc,mp4,mov"
_BARE = {"h264", "hevc", "mpegvideo"}  # streams without times
_ENOUGH = 0.9  # of the stated frames: containers and headers count differently


class Film:
    """The frames of one film; colours are as the film's own tags say.

    Untagged films are taken as of limited range, as films are.

    rate: Hz, as the stream or its container says; None where neither does.
    """

    decoder_name, space = "pyav", "film"

    def __init__(self, source: Source, header: CineHeader, want: str) -> None:
        self._header, self._stream = header, source.stream
        self._format = "gray" if want == "grey" else "rgb24"
        if not source.encapsulated:
            raise InputError("a film must be encapsulated")
        self._pieces = fragments.film_pieces(source)
        self._notes: list[str] = []
        self.rate: float | None = None
        first = next(self.frames(), None)
        if first is None:
            raise InputError("no frame of its film can be decoded")

    @property
    def notes(self) -> tuple[str, ...]:
        """What was odd; complete after the last frame."""
        return tuple(self._notes)

    def frames(self) -> Iterator[np.ndarray]:
        """The frames that the header states, in the order they are shown.

        Raises:
            InputError: frames of another size, or clearly fewer than stated.
        """
        stated, count, damaged = self._header.frames, 0, False
        size = self._header.columns, self._header.rows
        try:
            for frame in self._decoded():
                if (frame.width, frame.height) != size:
                    raise InputError(
                        f"a frame of {frame.width} x {frame.height} pixels, the header "
                        f"states {size[0]} x {size[1]}"
                    )
                count += 1
                yield frame.to_ndarray(format=self._format, dst_color_range=2)
                if count == stated:
                    return
        except (av.error.FFmpegError, ValueError, EOFError):
            damaged = True
        if damaged or count < _ENOUGH * stated:
            raise InputError(f"states {stated} frames and {count} of its film decode")
        note = f"states {stated} frames and its film holds {count}"
        if count < stated and note not in self._notes:
            self._notes.append(note)

    def _decoded(self) -> Iterator[av.VideoFrame]:
        file = io.BufferedReader(_Pieces(self._stream, self._pieces))
        options = {"format_whitelist": _DEMUXERS}
        with av.open(
            file, "r", container_options=options, metadata_errors="replace"
        ) as container:
            if container.streams.video:
                stream = container.streams.video[0]
                if stream.codec_context is None:
                    raise InputError("nothing can decode its film")
                most = (self._header.rows + 64) * (self._header.columns + 64)
                stream.codec_context.options = {"max_pixels": str(most)}
                for frame in container.decode(stream):
                    self.rate = self.rate or _rate_of(container, stream)
                    yield frame


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
