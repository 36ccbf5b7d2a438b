"""A video in the place of a cine: what cleaning and converting ask of a DICOM file.

Opening decodes it once, since nothing but its frames tells how many there are and when
they were taken. Some are looked at on the way, in colour, which marks are known by. A
short film is kept meanwhile; a long one is decoded again.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
from jaxtyping import Float64

from ultrasound_jax.dicom.read.regions import Region
from ultrasound_jax.dicom.read.timing import FrameTiming
from ultrasound_jax.media.formats.video import Film
from ultrasound_jax.media.recording import Want
from ultrasound_jax.media.video import Frame
from ultrasound_jax.runs.limits import Limits
from ultrasound_jax.types import InputError

KEPT_BYTES = 128 << 20  # of decoded frames; most clips of ultrasound are shorter
LOOK_BYTES = 256 << 20  # of frames in colour
MOST_LOOKED_AT = 64  # at least half as many of a longer film
STEADY = 0.01  # intervals within 1 % of their median are one rate …
ROUNDED = 0.0015  # … and so are those that a container has rounded to milliseconds


@dataclasses.dataclass(frozen=True)
class FilmHeader:
    """What is known of a video.

    frames: counted. pixel_aspect: width of a pixel over its height.
    """

    rows: int
    columns: int
    frames: int
    pixel_aspect: float
    timing: FrameTiming
    regions: tuple[Region, ...] | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Look:
    """Some frames of a film, evenly spread over it: the first and every n-th."""

    header: FilmHeader
    kept: list[np.ndarray]

    def frames(self) -> Iterator[np.ndarray]:
        """As `Cine.frames`."""
        return iter(self.kept)


class FilmCine:
    """An open video with the members of `decode.Cine` that do not speak of DICOM.

    looked_at: frames in colour, to plan the cleaning by.
    """

    colour = "video"

    def __init__(self, path: Path, *, want: Want, limits: Limits) -> None:
        self._film = Film(path, want, limits)
        self._kept: list[np.ndarray] | None = []
        count, held, spread = 0, 0, _Spread()
        for frame in self._film.pictures():
            pixels, count = frame.pixels, count + 1
            spread.add(frame, coloured=want == "stored")
            held += pixels.nbytes
            if held > KEPT_BYTES:
                self._kept = None
            elif self._kept is not None:
                self._kept.append(pixels)
        self.times, timing = _timing(self._film, count)
        rows, columns = spread.frames[0].shape[:2]
        aspect = self._film.pixel_aspect
        self.header = FilmHeader(rows, columns, count, aspect, timing)
        self.looked_at = Look(
            dataclasses.replace(self.header, frames=len(spread.frames)), spread.frames
        )
        self.decoder = self._film.decoder

    def frames(self) -> Iterator[np.ndarray]:
        """As `Cine.frames`."""
        return self._film.frames() if self._kept is None else iter(self._kept)

    @property
    def notes(self) -> tuple[str, ...]:
        """As `Cine.notes`, complete from the beginning."""
        return self._film.notes

    @property
    def damaged(self) -> tuple[tuple[int, str], ...]:
        """Which frames are damaged: nobody knows, those are missing. See `notes`."""
        return ()

    def close(self) -> None:
        """Lets go of the frames."""
        self._kept = None
        self.looked_at = Look(self.header, [])

    def __enter__(self) -> "FilmCine":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Spread:
    """Takes every n-th frame of a film; n doubles whenever there are too many."""

    def __init__(self) -> None:
        self.frames: list[np.ndarray] = []
        self._seen, self._every = 0, 1

    def add(self, frame: Frame, *, coloured: bool) -> None:
        if self._seen % self._every == 0:
            self.frames.append(frame.pixels if coloured else frame.colours())
        self._seen += 1
        one = max(1, self.frames[0].nbytes)
        if len(self.frames) > min(MOST_LOOKED_AT, max(4, LOOK_BYTES // one)):
            del self.frames[1::2]
            self._every *= 2


def _timing(
    film: Film, count: int
) -> tuple[Float64[np.ndarray, " t"] | None, FrameTiming]:
    """Seconds of the frames, and the same in the terms of a header."""
    try:
        times, rate, measured = film.measured()
    except InputError as error:
        return None, FrameTiming(None, "none", notes=(str(error),))
    if not measured:
        notes = ()
        if count > 1:
            notes = (f"frames have no usable times: {rate:.6g} Hz as the file states",)
        return times, FrameTiming(rate, "container", notes=notes)
    steps = np.diff(times)
    usual = float(np.median(steps))
    steady = bool(np.all(abs(steps - usual) <= max(STEADY * usual, ROUNDED)))
    notes = () if steady else ("its frame times vary",)
    return times, FrameTiming(rate, "frame times", None if steady else times, notes)
