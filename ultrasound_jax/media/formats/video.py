"""Videos and animated GIFs, frame by frame and in their colours."""

import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import av.error
import cv2
import numpy as np
from jaxtyping import Float64

from ultrasound_jax.media import video
from ultrasound_jax.media.recording import Recording, Want
from ultrasound_jax.runs.limits import Limits
from ultrasound_jax.types import InputError

KIND = "video"
READS = "videos ({})".format(", ".join(s[1:].upper() for s in video.SUFFIXES))
_TOLD = 12  # numbers of damaged frames that a note lists
_BEGINNINGS = (
    b"GIF8",
    b"\x1aE\xdf\xa3",  # Matroska, WebM
    b"0&\xb2u",  # WMV
    b"FLV",
    b"OggS",
    b"\0\0\1",  # MPEG
)
_ATOMS = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")  # MP4, MOV


def knows(head: bytes) -> bool:
    """Whether a file that begins so is a video."""
    return (
        head.startswith(_BEGINNINGS)
        or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")
        or head[4:8] in _ATOMS
    )


def open_file(path: Path, *, want: Want, limits: Limits) -> Recording:
    """The video, once its first frame decodes.

    Raises:
        InputError: neither PyAV nor OpenCV can read it.
    """
    return Film(path, want, limits)


class Film(Recording):
    """A video that is decoded as its frames are asked for.

    decoder: `pyav` or `opencv`.
    """

    kind = KIND

    def __init__(self, path: Path, want: Want, limits: Limits) -> None:
        self._path, self._limits = path, limits
        self._want: Want = want
        self._seconds: list[float | None] | None = None
        self._damage = video.Damage()
        self.decoder, self._decode, self._first = self._opened()

    def _opened(self) -> tuple[str, Callable[[], Iterator[video.Frame]], video.Frame]:
        def pyav() -> Iterator[video.Frame]:
            self._damage = video.Damage()
            return video.pyav_frames(self._path, self._damage, self._want)

        def opencv() -> Iterator[video.Frame]:
            return video.opencv_frames(self._path, self._want)

        reason = "no frame decodes"
        # OpenCV also opens pictures and pieces of text, as one frame.
        for decode, least in ((pyav, 1), (opencv, 2)):
            try:
                found = list(islice(decode(), least))
            except av.error.FFmpegError as error:
                reason = error.strerror
            except cv2.error as error:
                reason = f"{reason}; {error.err}"
            else:
                if len(found) == least:
                    return decode.__name__, decode, found[0]
        raise InputError(
            f"{self._path}: not a video that PyAV or OpenCV can read ({reason})"
        )

    def frames(self) -> Iterator[np.ndarray]:
        """The frames as they decode, turned upright; see `Recording.frames`.

        Raises:
            InputError: frames of several sizes, or a limit is passed.
        """
        for frame in self.pictures():
            yield frame.pixels

    def pictures(self) -> Iterator[video.Frame]:
        """As `frames`, each with its time and its colours."""
        shape, seconds = self._first.pixels.shape, []
        deadline = time.monotonic() + self._limits.seconds
        try:
            for frame in self._decode():
                seconds.append(frame.seconds)
                self._check(frame.pixels, shape, len(seconds), deadline)
                yield frame
        except (av.error.FFmpegError, cv2.error) as error:
            raise InputError(
                f"{self._path}: its frame {len(seconds) + 1} does not decode"
            ) from error
        self._seconds = seconds

    def _check(
        self, pixels: np.ndarray, shape: tuple[int, ...], count: int, deadline: float
    ) -> None:
        if pixels.shape != shape:
            raise InputError(
                f"{self._path}: frames of {shape} and of {pixels.shape} pixels, "
                "allowed is one size"
            )
        limits, one = self._limits, shape[0] * shape[1]
        if not 0 < one <= limits.pixels or count > limits.frames:
            raise InputError(
                f"{self._path}: {count} frames of {shape[1]} x {shape[0]} pixels, "
                f"allowed are {limits.frames} frames of 1 to {limits.pixels} pixels"
            )
        if time.monotonic() > deadline:
            raise InputError(
                f"{self._path}: takes more than {limits.seconds} s, which is the limit"
            )

    @property
    def times(self) -> Float64[np.ndarray, " t"] | None:
        """As `Recording.times`; what stands in the frames, not in the container.

        Raises:
            InputError: as `frames`, or a rate outside 0.1-1000 Hz.
        """
        seconds = self._all_seconds()
        timed = None not in seconds or self._first.stated_rate > 0
        if len(seconds) < 2 or not timed:
            return None
        return video.clean_times(self._path, seconds, self._first.stated_rate)[0]

    def measured(self) -> tuple[Float64[np.ndarray, " t"], float, bool]:
        """Times, the rate in Hz, and whether the frames' own times tell it.

        Raises:
            InputError: as `times`, or nothing tells a rate.
        """
        seconds = self._all_seconds()
        try:
            times, rate = video.clean_times(
                self._path, seconds, self._first.stated_rate
            )
        except InputError as error:
            raise InputError(str(error).removeprefix(f"{self._path}: ")) from None
        told = len(seconds) > 1 and None not in seconds
        return times, rate, told and bool(np.all(np.diff(np.array(seconds)) > 0))

    def _all_seconds(self) -> list[float | None]:
        if self._seconds is None:
            for _ in self.frames():
                pass
        return self._seconds or []

    @property
    def pixel_aspect(self) -> float:
        """Width of a pixel over its height, as the container says."""
        return self._first.pixel_aspect

    @property
    def notes(self) -> tuple[str, ...]:
        """How much did not decode; complete after the last frame."""
        notes, damage = [], self._damage
        if damage.packets:
            notes.append(f"{damage.packets} of its packets did not decode")
        if damage.patched:
            numbers = ", ".join(map(str, damage.patched[:_TOLD]))
            more = ", …" if len(damage.patched) > _TOLD else ""
            notes.append(
                f"{len(damage.patched)} of its frames are damaged and patched up by "
                f"the decoder: {numbers}{more}"
            )
        return tuple(notes)
