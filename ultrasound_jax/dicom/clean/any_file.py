"""Any recording through one door of cleaning: DICOM, MP4, AVI, GIF … get the same care.

What a video's container claims is not believed: frames are counted and their times are
taken from the stream before anything is cut out.
"""

import contextlib
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
from ultrasound_jax.dicom.read.decode import Cine, open_cine
from ultrasound_jax.dicom.read.timing import FrameTiming
from ultrasound_jax.media.open import kind_of
from ultrasound_jax.media.recording import Want
from ultrasound_jax.media.video import SUFFIXES
from ultrasound_jax.runs.limits import Limits
from ultrasound_jax.types import InputError

BLACK = 8  # grey level up to which lossy codecs may lift a frame without a picture


def open_any(
    path: str | Path, *, limits: Limits | None = None, want: Want = "stored"
) -> Cine | FilmCine:
    """A DICOM file as `open_cine` gives it, or a video that behaves like one.

    Raises:
        InputError: neither, or it cannot be read within the limits.
    """
    path, limits = Path(path), limits or Limits()
    kind = _kind(path)
    if kind == "dicom":
        return open_cine(path, limits=limits, want=want)
    if kind == "video":
        return FilmCine(path, want=want, limits=limits)
    raise InputError(f"{path}: a {kind}, allowed are DICOM files and videos")


@contextlib.contextmanager
def open_clean(
    path: str | Path, settings: CleanSettings, *, limits: Limits | None = None
) -> Iterator["CleanFile"]:
    """A file whose frames come cleaned, once it is known how to clean them.

    Raises:
        InputError: as `open_any` and `plan_cleaning`.
    """
    path = Path(path)
    with _opened(path, settings, limits) as cine:
        try:
            look = cine.looked_at if isinstance(cine, FilmCine) else cine
            cleaning = plan_cleaning(look, settings)
        except InputError as error:
            reason = str(error).removeprefix(f"{path}: ")
            raise InputError(f"{path}: {reason}") from None
        yield CleanFile(cine, cleaning)


def _kind(path: Path) -> str:
    try:
        return kind_of(path)
    except InputError:
        # Streams that begin in the middle of a film have no mark of their own.
        if path.is_file() and path.suffix.lower() in SUFFIXES:
            return "video"
        raise


def _opened(
    path: Path, settings: CleanSettings, limits: Limits | None
) -> Cine | FilmCine:
    # The Y of a video is its luminance; a way over RGB and back would only round it.
    grey = settings.grey == "luminance" and _kind(path) == "video"
    return open_any(path, limits=limits, want="grey" if grey else "stored")


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
    def review(self) -> tuple[str, ...]:
        """Why somebody should look at it before it is given away."""
        return self.cleaning.review


def is_black(frame: UInt8[np.ndarray, "y x *c"]) -> bool:
    """Whether there is no picture in a cleaned frame."""
    return int(frame.max(initial=0)) <= BLACK
