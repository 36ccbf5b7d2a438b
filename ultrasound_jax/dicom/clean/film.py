"""A video in the place of a cine: what cleaning and converting ask of a DICOM file.

Opening decodes it once, since nothing but its frames tells how many there are and when
they were taken. Some are looked at on the way, in colour, which marks are known by. A
short film is kept meanwhile; a long one is decoded again.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from jaxtyping import Float64

from ultrasound_jax.dicom.clean.pixel_statistics import most_frames, spread_out
from ultrasound_jax.dicom.read.regions import Region
from ultrasound_jax.dicom.read.timing import FrameTiming
from ultrasound_jax.media.formats.video import Film
from ultrasound_jax.media.recording import Want
from ultrasound_jax.media.video import Frame
from ultrasound_jax.runs.limits import Limits
from ultrasound_jax.types import InputError

KEPT_BYTES = 256 << 20  # of decoded frames; most clips of ultrasound are shorter
LOOK_BYTES = 256 << 20  # of frames in colour
MOST_LOOKED_AT = 48  # at least half as many of a longer film
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


class Look:
    """A film to plan the cleaning by: all of its frames, some of them in colour.

    measured: indices of those, the first and every n-th.
    """

    def __init__(self, film: "FilmCine", colours: dict[int, np.ndarray]) -> None:
        self.header, self._film = film.header, film
        some = any(frame.ndim == 3 for frame in colours.values())
        # All of one kind, as what is measured over time has to be.
        self._colours = {
            index: _coloured(frame) if some else frame
            for index, frame in colours.items()
        }
        places = np.array(sorted(colours))
        most = most_frames(film.header.rows, film.header.columns)
        self.measured = tuple(places[spread_out(len(places), most)].tolist())

    def frames(self) -> Iterator[np.ndarray]:
        """As `Cine.frames`."""
        for index, frame in enumerate(self._film.frames()):
            yield self._colours.get(index, frame)

    def close(self) -> None:
        """Lets go of the frames in colour."""
        self._colours = {}


class FilmCine:
    """An open video with the members of `decode.Cine` that do not speak of DICOM.

    look: the same to plan the cleaning by.
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
        self.look = Look(self, spread.frames)
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
        self.look.close()

    def __enter__(self) -> "FilmCine":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _coloured(frame: np.ndarray) -> np.ndarray:
    return frame if frame.ndim == 3 else cv2.cvtColor(frame, cv2.COLOR_GRAY2RGB)


class _Spread:
    """Takes every n-th frame of a film; n doubles whenever there are too many."""

    def __init__(self) -> None:
        self.frames: dict[int, np.ndarray] = {}
        self._seen, self._every = 0, 1

    def add(self, frame: Frame, *, coloured: bool) -> None:
        if self._seen % self._every == 0:
            self.frames[self._seen] = frame.pixels if coloured else frame.colours()
        self._seen += 1
        one = max(1, 3 * frame.pixels.shape[0] * frame.pixels.shape[1])
        if len(self.frames) > min(MOST_LOOKED_AT, max(4, LOOK_BYTES // one)):
            self._every *= 2
            held = self.frames.items()
            self.frames = {i: one for i, one in held if i % self._every == 0}


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
