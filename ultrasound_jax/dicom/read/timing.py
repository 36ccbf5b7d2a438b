"""When each frame of a cine was taken, and which element says so."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64
from pydicom.dataset import Dataset

from ultrasound_jax.dicom.read import elements
from ultrasound_jax.types import InputError

RATE_RANGE = (0.1, 1000.0)  # Hz; slower is a slide show, faster no B-mode
STEADY = 0.01  # intervals within 1 % of their median are one rate, but for rounding
CONTRADICTS = 0.05  # rates that differ by more are noted
_ORDER: tuple[str, ...] = (
    "FrameTimeVector",
    "FrameTime",
    "CineRate",
    "ActualFrameDuration",
    "EffectiveDuration",
    "RecommendedDisplayFrameRate",
)
_POINTERS = {0x00181063: "FrameTime", 0x00181065: "FrameTimeVector"}


@dataclasses.dataclass(frozen=True, eq=False)
class FrameTiming:
    """The frame rate of a cine and where it comes from.

    rate: Hz; the mean one where times vary; None where the file does not say.
    source: FrameTimeVector, FrameTime, CineRate, ActualFrameDuration,
        EffectiveDuration, RecommendedDisplayFrameRate, film (what the MPEG stream
        inside says) or none; of a series that is one cine also AcquisitionTime and
        ContentTime.
    times: seconds after the first frame, only where the intervals vary.
    notes: sources that were refused or that contradict the one in use.
    """

    rate: float | None
    source: str
    times: Float64[np.ndarray, " t"] | None = None
    notes: tuple[str, ...] = ()

    def timestamps(
        self, frames: int, default_rate: float = 30.0
    ) -> Float64[np.ndarray, " n"]:
        """Seconds after the first frame for each of `frames`, strictly increasing.

        Frames beyond the known times follow at their median interval.

        Raises:
            InputError: `frames` is negative or `default_rate` is not positive.
        """
        if frames < 0 or default_rate <= 0:
            raise InputError(
                f"{frames} frames at {default_rate} Hz, allowed are 0 and more at a "
                "rate above 0"
            )
        if self.times is None:
            return np.arange(frames) / (self.rate or default_rate)
        missing = max(0, frames - len(self.times))
        step = float(np.median(np.diff(self.times)))
        later = self.times[-1] + step * np.arange(1, missing + 1)
        return np.concatenate([self.times[:frames], later])


def read_timing(dataset: Dataset, frames: int) -> FrameTiming:
    """Reads the timing of a cine of `frames` frames.

    The element that FrameIncrementPointer names comes first: the scanner itself says
    that it drives this cine. Then, from what was measured to what is only a wish:
    FrameTimeVector (each interval), FrameTime (their mean), CineRate,
    ActualFrameDuration (whole milliseconds, so that fast rates are rounded),
    EffectiveDuration (of all frames), and RecommendedDisplayFrameRate. A value that is
    not positive or gives a rate outside 0.1-1000 Hz is passed over with a note; so is a
    vector of the wrong length. A film's own rate comes last: see `with_film_rate`.
    """
    order = list(_ORDER)
    pointed = _POINTERS.get(_pointer(dataset))
    if pointed:
        order.remove(pointed)
        order.insert(0, pointed)
    found: list[FrameTiming] = []
    notes = []
    for source in order:
        values = elements.numbers(dataset, source)
        if not values:
            continue
        if source == "FrameTimeVector":
            timing = _from_vector(values, frames)
        else:
            if source == "EffectiveDuration" and frames < 2:
                continue  # a still has no rate, however long it took
            timing = FrameTiming(_rate(source, values[0], frames), source)
        if timing is None:
            notes.append(
                f"FrameTimeVector of {len(values)} increments is no use for "
                f"{frames} frames"
            )
        elif not RATE_RANGE[0] <= (timing.rate or 0) <= RATE_RANGE[1]:
            notes.append(f"{source} gives {timing.rate:.6g} Hz and is passed over")
        else:
            found.append(timing)
    return most_trusted(found, notes)


def most_trusted(found: Sequence[FrameTiming], notes: Sequence[str]) -> FrameTiming:
    """The first of what was found, with a note for each that contradicts it."""
    notes = list(notes)
    if not found:
        return FrameTiming(None, "none", notes=tuple(notes))
    first = found[0]
    for other in found[1:]:
        if abs((other.rate or 0) / (first.rate or 1) - 1) > CONTRADICTS:
            notes.append(
                f"{first.source} gives {first.rate:.4g} Hz but {other.source} "
                f"{other.rate:.4g} Hz"
            )
    return dataclasses.replace(first, notes=tuple(notes))


def with_film_rate(timing: FrameTiming, rate: float | None) -> FrameTiming:
    """The timing of a film's header, filled from the stream inside.

    The header comes first, as for other files; a stream that says otherwise is noted.
    """
    if rate is None:
        return timing
    if not RATE_RANGE[0] <= rate <= RATE_RANGE[1]:
        note = f"film gives {rate:.6g} Hz and is passed over"
        return dataclasses.replace(timing, notes=(*timing.notes, note))
    stated = [timing] if timing.rate is not None else []
    return most_trusted([*stated, FrameTiming(rate, "film")], timing.notes)


def _rate(source: str, value: float, frames: int) -> float:
    if source in ("FrameTime", "ActualFrameDuration") and value:
        return 1000 / value
    if source == "EffectiveDuration" and value:
        return frames / value
    return value


def _pointer(dataset: Dataset) -> int:
    pointer = elements.value(dataset, "FrameIncrementPointer")
    try:
        several = hasattr(pointer, "append")
        return int(pointer[0] if several else pointer)  # type: ignore[index]
    except (TypeError, ValueError, IndexError):
        return 0


def _from_vector(values: list[float], frames: int) -> FrameTiming | None:
    """Increments in ms; the first belongs to no interval, whatever it says.

    Some writers leave it out, so one value a gap is understood too.
    """
    steps = np.asarray(values, np.float64)
    if len(steps) == frames:
        steps = steps[1:]
    if len(steps) != frames - 1 or len(steps) == 0 or np.any(steps <= 0):
        return None
    times = np.concatenate([[0.0], np.cumsum(steps)]) / 1000
    return timing_of_times(times, "FrameTimeVector")


def timing_of_times(times: Float64[np.ndarray, " t"], source: str) -> FrameTiming:
    """The timing of two and more increasing seconds after the first frame."""
    steps = np.diff(times)
    rate = float(len(steps) / times[-1])
    steady = np.all(np.abs(steps / np.median(steps) - 1) <= STEADY)
    return FrameTiming(rate, source, None if steady else times)
