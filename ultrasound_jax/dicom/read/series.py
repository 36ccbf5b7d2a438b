"""Single-frame files of one series, read as one cine.

Some scanners and archives export every frame of a cine as a file of its own. Whether
files are such is for who asks: a series of stills looks the same.
"""

import dataclasses
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from ultrasound_jax.dicom.read.damage import OnDamage
from ultrasound_jax.dicom.read.decode import open_cine
from ultrasound_jax.dicom.read.header import CineHeader, read_header
from ultrasound_jax.dicom.read.timing import (
    RATE_RANGE,
    FrameTiming,
    most_trusted,
    timing_of_times,
)
from ultrasound_jax.media.recording import Want
from ultrasound_jax.runs.limits import Limits
from ultrasound_jax.types import InputError

APART = 1.0  # seconds; files that lie further apart are stills of an examination
_MEASURED = ("FrameTime", "ActualFrameDuration")  # comes before the files' own times


@dataclasses.dataclass(frozen=True)
class Part:
    """What of one file tells its place in the cine.

    rate, source: as its header's timing has them. acquired, content: seconds after any
    moment that is the same for all files of a series.
    """

    instance: int | None
    rate: float | None = None
    source: str = "none"
    acquired: float | None = None
    content: float | None = None


def part_of(header: CineHeader) -> Part:
    """The part that a file with this header is."""
    about = header.particulars
    return Part(
        header.instance_number,
        header.timing.rate,
        header.timing.source,
        about.acquired,
        about.content,
    )


def order_of(parts: Sequence[Part]) -> list[int]:
    """Places of the files in the order of the cine: that of InstanceNumber.

    Raises:
        InputError: numbers are missing or stand twice, the times of acquisition say
            another order, or lie so far apart that these are stills.
    """
    numbers = [part.instance for part in parts]
    if None in numbers:
        raise InputError(f"{numbers.count(None)} of its files have no InstanceNumber")
    if len(set(numbers)) < len(numbers):
        raise InputError("two of its files have the same InstanceNumber")
    order = sorted(range(len(parts)), key=lambda place: numbers[place] or 0)
    times = [parts[place].acquired for place in order]
    steps = np.diff([t for t in times if t is not None])
    if np.any(steps < 0):
        raise InputError("InstanceNumber and time of acquisition order it differently")
    if None in times:
        times = [parts[place].content for place in order]
    known = np.array([t for t in times if t is not None])
    apart = float(np.median(np.diff(known))) if len(known) == len(parts) > 1 else 0.0
    if apart > APART:
        raise InputError(
            f"its files lie {apart:.3g} s apart, frames of a cine at most {APART:g} s"
        )
    return order


def timing_of(parts: Sequence[Part]) -> FrameTiming:
    """When the frames of a cine of such files, in order, were taken.

    FrameTime or ActualFrameDuration, where all files state the same one; then the
    differences of their times of acquisition, or of those of their content; then the
    other rates that all state alike. What cannot be used is noted.
    """
    notes: list[str] = []
    stated = [FrameTiming(rate, s) for rate, s in {(p.rate, p.source) for p in parts}]
    if len(stated) > 1:
        names = ", ".join(sorted({timing.source for timing in stated}))
        notes.append(f"files of the series state different rates ({names}): none used")
        stated = []
    stated = [timing for timing in stated if timing.rate is not None]
    measured = []
    for source, times in (
        ("AcquisitionTime", [part.acquired for part in parts]),
        ("ContentTime", [part.content for part in parts]),
    ):
        known = np.array([t for t in times if t is not None])
        if len(known) < len(parts):
            if len(known):
                notes.append(f"{source} is missing in some files and is passed over")
        elif np.any(np.diff(known) <= 0):
            notes.append(f"{source} does not grow with each file and is passed over")
        else:
            timing = timing_of_times(known - known[0], source)
            if RATE_RANGE[0] <= (timing.rate or 0) <= RATE_RANGE[1]:
                measured.append(timing)
            else:
                notes.append(f"{source} gives {timing.rate:.6g} Hz and is passed over")
    first = stated and stated[0].source in _MEASURED
    found = [*stated, *measured] if first else [*measured, *stated]
    return most_trusted(found, notes)


def gaps(parts: Sequence[Part]) -> str:
    """A note on numbers that are missing between those of the files, or ""."""
    numbers = [part.instance or 0 for part in parts]
    missing = max(numbers) - min(numbers) + 1 - len(numbers)
    if not missing:
        return ""
    return f"{missing} instance numbers are missing between those of its files"


def disagreement(headers: Sequence[CineHeader]) -> str:
    """In what files differ that frames of one cine have in common, or ""."""
    first = headers[0]
    regions = [dataclasses.asdict(region) for region in first.regions]
    for other in headers[1:]:
        if (other.rows, other.columns) != (first.rows, first.columns):
            return "size"
        if (other.photometric, other.samples) != (first.photometric, first.samples):
            return "photometric interpretation"
        if [dataclasses.asdict(region) for region in other.regions] != regions:
            return "regions"
        if other.particulars.series_uid != first.particulars.series_uid:
            return "series"
    return ""


def open_series(
    paths: Sequence[str | Path],
    *,
    limits: Limits | None = None,
    cross_check: bool = True,
    want: Want = "stored",
    damaged: OnDamage = "refuse",
) -> "CineSeries":
    """Opens single-frame files, in order, as one cine, and decodes the first.

    Args:
        paths: of the files in the order that `order_of` gives.
        limits: as of `open_cine`; the time is that for all files.
        cross_check: decode the first file by a second decoder too.
        want: as of `open_cine`.
        damaged: `refuse` raises at a file whose pixels do not decode; `keep` gives a
            black frame in its place.

    Raises:
        InputError: a file cannot be read, has several frames, or does not go with the
            others; the message begins with the first file's path and names no other.
    """
    return CineSeries(
        [Path(path) for path in paths],
        limits=limits or Limits(),
        cross_check=cross_check,
        want=want,
        damaged=damaged,
    )


class CineSeries:
    """An open series, as `Cine` is an open file; nothing of it stays open between.

    header: of the first file, with the frames and the timing of all.
    decoder, colour: as of the first file.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        limits: Limits,
        cross_check: bool,
        want: Want,
        damaged: OnDamage,
    ) -> None:
        self._paths, self._limits = list(paths), limits
        self._want: Want = want
        self._keep, self._damage = damaged == "keep", dict[int, str]()
        self._deadline = time.monotonic() + limits.seconds
        self._notes: list[str] = []
        headers = [self._header(number) for number in range(len(paths))]
        parts = [part_of(header) for header in headers]
        self._check(headers, parts)
        self.header = dataclasses.replace(
            headers[0], frames=len(headers), multi_frame=True, timing=timing_of(parts)
        )
        self._black = self._look_at_first(cross_check)

    def __enter__(self) -> "CineSeries":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def notes(self) -> tuple[str, ...]:
        """What was odd about the files, each once; complete after the last frame."""
        return tuple(self._notes)

    @property
    def damaged(self) -> tuple[tuple[int, str], ...]:
        """Files that are damaged, from 1, and why; complete after the last frame."""
        return tuple(sorted(self._damage.items()))

    def close(self) -> None:
        """Nothing is open between frames."""

    def frames(self) -> Iterator[np.ndarray]:
        """Each file's frame, uint8: `h w 3` RGB, or `h w` for grey pictures.

        Every call starts again at the first file.

        Raises:
            InputError: a frame is damaged, or the time limit is passed.
        """
        for number, path in enumerate(self._paths):
            self._check_time()
            try:
                with open_cine(
                    path, limits=self._limits, cross_check=False, want=self._want
                ) as cine:
                    frame = next(cine.frames())
                    self._note(cine.notes)
            except InputError as error:
                if not self._keep:
                    raise self._said(number, error) from None
                self._damage[number + 1] = self._reason(number, error)
                frame = self._black.copy()
            yield frame

    def _look_at_first(self, cross_check: bool) -> np.ndarray:
        """A black frame as the series has; with `keep` the first may be a later one."""
        refused = None
        for number, path in enumerate(self._paths):
            self._check_time()
            try:
                with open_cine(
                    path, limits=self._limits, cross_check=cross_check, want=self._want
                ) as cine:
                    self.decoder, self.colour = cine.decoder, cine.colour
                    self._note(cine.notes)
                    return np.zeros_like(next(cine.frames()))
            except InputError as error:
                refused = refused or self._said(number, error)
            if not self._keep:
                break
        raise refused or InputError("a series without a file")

    def _header(self, number: int) -> CineHeader:
        self._check_time()
        try:
            return read_header(self._paths[number], limits=self._limits)
        except InputError as error:
            raise self._said(number, error) from None

    def _said(self, number: int, error: InputError) -> InputError:
        reason = self._reason(number, error)
        place = f"file {number + 1} of {len(self._paths)}"
        return InputError(f"{self._paths[0]}: {place} of the series: {reason}")

    def _reason(self, number: int, error: InputError) -> str:
        reason = str(error).removeprefix(f"{self._paths[number]}: ")
        return reason.removeprefix("frame 1 of 1: ")

    def _check(self, headers: Sequence[CineHeader], parts: Sequence[Part]) -> None:
        reason = ""
        if len(headers) > self._limits.frames:
            reason = f"{len(headers)} files, allowed are {self._limits.frames} frames"
        elif any(header.frames > 1 for header in headers):
            reason = "a file of several frames among single ones"
        elif differs := disagreement(headers):
            reason = f"its files differ in {differs}"
        else:
            try:
                if order_of(parts) != list(range(len(parts))):
                    reason = "its files are not in the order of their InstanceNumber"
            except InputError as error:
                reason = str(error)
        if reason:
            raise InputError(f"{self._paths[0]}: a series as one cine: {reason}")

    def _note(self, notes: Sequence[str]) -> None:
        self._notes += [note for note in notes if note not in self._notes]

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise InputError(
                f"{self._paths[0]}: takes more than {self._limits.seconds} s, which is "
                "the limit"
            )
