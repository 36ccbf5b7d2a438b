"""Any recording through one door of cleaning: DICOM, MP4, AVI, GIF … get the same care.

What a video's container claims is not believed: frames are counted and their times are
taken from the stream before anything is cut out.
"""

import contextlib
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64, UInt8

from ultrasound_jax.dicom.clean.cleaning import (
    Cleaning,
    CleanSettings,
    plan_cleaning,
    prepare_frames,
)
from ultrasound_jax.dicom.clean.film import FilmCine
from ultrasound_jax.dicom.clean.frame_watch import listed
from ultrasound_jax.dicom.read import recording
from ultrasound_jax.dicom.read.decode import Cine, open_cine
from ultrasound_jax.dicom.read.series import CineSeries
from ultrasound_jax.dicom.read.timing import FrameTiming
from ultrasound_jax.media.formats import video
from ultrasound_jax.media.open import HEAD, kind_of
from ultrasound_jax.media.recording import Want
from ultrasound_jax.media.video import SUFFIXES
from ultrasound_jax.runs.limits import Limits
from ultrasound_jax.types import InputError

BLACK = 8  # grey level up to which lossy codecs may lift a frame without a picture


def open_any(
    path: str | Path,
    *,
    limits: Limits | None = None,
    want: Want = "stored",
) -> Cine | FilmCine:
    """A DICOM file as `open_cine` gives it, or a video that behaves like one.

    Raises:
        InputError: neither, or it cannot be read within the limits.
    """
    path, limits = Path(path), limits or Limits()
    kind = _kind(path)
    if kind == "video":
        return FilmCine(path, want=want, limits=limits)
    if kind == "picture":
        raise InputError(f"{path}: a picture, allowed are DICOM files and videos")
    return open_cine(path, limits=limits, want=want)


@contextlib.contextmanager
def open_clean(
    path: str | Path,
    settings: CleanSettings,
    *,
    limits: Limits | None = None,
    withhold: bool = True,
) -> Iterator["CleanFile"]:
    """A file whose frames come cleaned, once it is known how to clean them.

    Args:
        path: of a DICOM file or a video.
        settings: how to clean.
        limits: what it may take.
        withhold: make frames black that do not belong to the cine; otherwise they are
            shown, and `review` lists them.

    Raises:
        InputError: as `open_any` and `plan_cleaning`.
    """
    path = Path(path)
    with open_to_clean(path, settings, limits=limits) as cine:
        try:
            cleaning = planned(cine, settings)
            if not withhold:
                cleaning = _shown(cleaning)
        except InputError as error:
            reason = str(error).removeprefix(f"{path}: ")
            raise InputError(f"{path}: {reason}") from None
        yield CleanFile(cine, cleaning)


def planned(cine: Cine | CineSeries | FilmCine, settings: CleanSettings) -> Cleaning:
    """As `plan_cleaning`, from frames in colour where a video is taken as grey."""
    if isinstance(cine, FilmCine):
        return plan_cleaning(cine.look, settings, measured=cine.look.measured)
    return plan_cleaning(cine, settings)


def _shown(cleaning: Cleaning) -> Cleaning:
    """The same, with every frame shown."""
    watched, review = cleaning.watched, cleaning.review
    if watched.withheld:
        numbers = listed([one.frame for one in watched.withheld])
        told = tuple(line for line in review if line not in watched.review)
        review = (*told, f"frames that may not belong to it: {numbers}")
    shown = dataclasses.replace(watched, withheld=(), black=())
    return dataclasses.replace(cleaning, watched=shown, review=review)


def is_film(path: str | Path) -> bool:
    """Whether a file begins as a video does, and not as DICOM.

    Nothing is imported for it: in a worker that would count as the file's memory.
    """
    try:
        with Path(path).open("rb") as file:
            head = file.read(HEAD)
    except OSError:  # said when it is opened
        return False
    return video.knows(head) and not recording.knows(head)


def _kind(path: Path) -> str:
    try:
        return kind_of(path)
    except InputError:
        # Streams that begin in the middle of a film have no mark of their own.
        if path.is_file() and path.suffix.lower() in SUFFIXES:
            return "video"
        raise


def open_to_clean(
    path: str | Path,
    settings: CleanSettings,
    *,
    limits: Limits | None = None,
) -> Cine | FilmCine:
    """As `open_any`, of a video what these settings ask for.

    The Y of a video is its luminance; a way over RGB and back would only round it.
    """
    path = Path(path)
    grey = settings.grey == "luminance" and _kind(path) == "video"
    want: Want = "grey" if grey else "stored"
    return open_any(path, limits=limits, want=want)


@dataclass(frozen=True, eq=False)
class CleanFile:
    """An open file and how it is cleaned. `notes` are complete after the last frame."""

    cine: Cine | FilmCine
    cleaning: Cleaning

    def frames(self) -> Iterator[UInt8[np.ndarray, "y x *c"]]:
        """The frames, cleaned: `y x` grey, or `y x 3` with `grey="none"`.

        Raises:
            InputError: a frame is damaged, or a limit is passed.
        """
        yield from prepare_frames(
            self.cine, self.cleaning.settings, cleaning=self.cleaning
        )

    @property
    def count(self) -> int:
        """How many frames the file has."""
        return self.cine.header.frames

    @property
    def timing(self) -> FrameTiming:
        """When each frame was taken."""
        return self.cine.header.timing

    @property
    def times(self) -> Float64[np.ndarray, " t"] | None:
        """Seconds after the first frame; None where the file does not say."""
        if isinstance(self.cine, FilmCine):
            return self.cine.times
        if self.timing.rate is None:
            return None
        return self.timing.timestamps(self.count)

    @property
    def frame_rate(self) -> float | None:
        """Hz, the mean where it varies; None where the file does not say."""
        return self.timing.rate

    @property
    def frame_rate_source(self) -> str:
        """What says so: see `FrameTiming`; of a video `frame times` or `container`."""
        return self.timing.source

    @property
    def pixel_mm(self) -> tuple[float | None, float | None]:
        """Size of a cleaned frame's pixel, across and down."""
        return self.cleaning.out_mm

    @property
    def notes(self) -> tuple[str, ...]:
        """What was odd about the file, its times and its picture, one line each."""
        return (*self.cine.notes, *self.timing.notes, *self.cleaning.notes)

    @property
    def withheld(self) -> tuple[tuple[int, str], ...]:
        """Frames that are black because they may not be shown, from 1, and why."""
        return tuple((one.frame, one.reason) for one in self.cleaning.watched.withheld)

    @property
    def review(self) -> tuple[str, ...]:
        """Why somebody should look at it before it is given away."""
        return self.cleaning.review


def is_black(frame: UInt8[np.ndarray, "y x *c"]) -> bool:
    """Whether there is no picture in a cleaned frame."""
    return int(frame.max(initial=0)) <= BLACK
