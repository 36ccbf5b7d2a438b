"""Letters and other strokes that are drawn over some frames of a cine, one or more.

Where they come, hard edges appear from one frame to the next of which there were none
nearby, more than otherwise appear there; and they go as they came. Echoes move, so that
most of their edges were near in the frame before.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from ultrasound_jax.dicom.clean.frame_signs import Signs

WINDOW = (2, 3)  # tiles down and across, that a short word fills
LEAST = 4.0  # sum of tiles' mean excess of edges; a word of small letters has more
USUAL, TIMES = 0.9, 3.0  # quantile of a place's changes, and how far above it words are
FEW = 5  # frames, below which nothing is usual
OFTEN, NORMAL = 0.3, 2.0  # share of frames that may be clearer than that
ALIKE = 0.5  # share of the edges that came, that must go when a mark does
FADE = 4  # frames that a mark may take to come, or to go
PART = 0.08  # share of a mark that is seen
CLEAR, CLEAREST = 5.0, 9.5  # for those that come and go, and those that only do one
ENDS, CLEARER = 12, 6.0  # frames at either end of the cine, and what is clear there
MOST = 0.5  # share of the frames that may show a mark; more, and it belongs to the cine
BAND = 1 << 19  # numbers that are looked at together


@dataclass(frozen=True)
class Marks:
    """Frames that show marks which others do not.

    shown: whether each frame does. long: whether it shows one that most frames do.
    """

    shown: Bool[np.ndarray, " t"]
    long: Bool[np.ndarray, " t"]


@dataclass(frozen=True)
class Event:
    """Strokes that come to one place, or go, with frame `frame`.

    amount: of edges. clear: how much more that is than usual there. comes: or goes.
    """

    place: int
    frame: int
    amount: float
    clear: float
    comes: bool


@dataclass(frozen=True)
class Run:
    """Frames `start` to `end` (not included) over which a mark stands at one place.

    clear: how much more came, and went, than usually does. closed: it did both.
    """

    start: int
    end: int
    clear: float
    closed: bool

    @property
    def certain(self) -> bool:
        """Whether it is a mark and not an echo."""
        if self.closed:
            return self.clear >= CLEAR
        short = self.end - self.start <= ENDS
        return self.clear >= (CLEARER if short else CLEAREST)


def find_flashed_marks(signs: Signs, foreign: Bool[np.ndarray, " t"]) -> Marks:
    """The frames in which strokes stand that come or go within the cine.

    Blank frames are passed over: what comes behind one came since the frame before it.

    Args:
        signs: of all frames.
        foreign: frames known to show another picture: what changes with them is no
            mark on others.
    """
    there = ~signs.blank
    marks = _marks(signs.of_frames(there), foreign[there])
    shown, long = np.zeros_like(there), np.zeros_like(there)
    shown[there], long[there] = marks.shown, marks.long
    return Marks(shown, long)


def _marks(signs: Signs, foreign: Bool[np.ndarray, " t"]) -> Marks:
    frames = len(signs.fresh)
    shown, long = np.zeros(frames, bool), np.zeros(frames, bool)
    if not frames:
        return Marks(shown, long)
    events = _unusual(list(mark_events(signs)), frames)
    for run in mark_runs(events, frames, foreign):
        if run.certain:
            flags = long if run.end - run.start > MOST * frames else shown
            flags[run.start : run.end] = True
    return Marks(shown, long & ~shown)


def _unusual(events: Sequence[Event], frames: int) -> list[Event]:
    """The events, less clear where many frames have some: lines that sweep, say."""
    most = np.zeros(frames, np.float32)
    for event in events:
        most[event.frame] = max(most[event.frame], event.clear)
    often = float(np.quantile(most, 1 - OFTEN)) / NORMAL
    if often <= 1:
        return list(events)
    return [replace(event, clear=event.clear / often) for event in events]


def mark_runs(
    events: Sequence[Event], frames: int, foreign: Bool[np.ndarray, " t"]
) -> Iterator[Run]:
    """Every run of frames over which a place may show a mark.

    First those that come and go. What else came is taken to stay to the end, what went
    to have been there from the start, as far as no other picture stands between.
    """
    taken, single = foreign.copy(), []
    of_place: dict[int, list[Event]] = {}
    for event in events:
        if not _touches(foreign, event.frame):
            of_place.setdefault(event.place, []).append(event)
    for there in of_place.values():
        goes = [event for event in there if not event.comes]
        used = set()
        for event in there:
            if not event.comes:
                continue
            ends = (
                other
                for other in goes
                if other.frame > event.frame and other.amount >= ALIKE * event.amount
            )
            end = next(ends, None)
            if end is None:
                single.append(event)
                continue
            used.add(end.frame)
            run = Run(event.frame, end.frame, min(event.clear, end.clear), True)
            if run.certain and run.end - run.start <= MOST * frames:
                taken[run.start : run.end] = True
            yield run
        single += [event for event in goes if event.frame not in used]
    yield from _open_runs(
        [event for event in single if not _touches(taken, event.frame, FADE)], foreign
    )


def _open_runs(events: Sequence[Event], foreign: np.ndarray) -> Iterator[Run]:
    frames = len(foreign)
    both = {e.frame for e in events if e.comes and e.clear >= CLEAREST}
    both &= {e.frame for e in events if not e.comes and e.clear >= CLEAREST}
    for event in events:
        at = event.frame
        if event.comes:
            stop = np.flatnonzero(foreign[at:])
            run = Run(
                at, at + int(stop[0]) if len(stop) else frames, event.clear, False
            )
        else:
            stop = np.flatnonzero(foreign[:at])
            run = Run(int(stop[-1]) + 1 if len(stop) else 0, at, event.clear, False)
        # Where one picture gives way to another, both have edges: the rarer is odd.
        rarer = (at > frames / 2) == event.comes
        if at not in both or rarer:
            yield run


def _touches(flags: np.ndarray, frame: int, margin: int = 1) -> bool:
    return bool(flags[max(0, frame - margin) : frame + margin].any())


def mark_events(signs: Signs) -> Iterator[Event]:
    """Everything that comes or goes more clearly than usual, place by place in time."""
    fresh, gone = _everywhere(signs.fresh, signs), _everywhere(signs.gone, signs)
    frames, rows, columns = signs.fresh.shape
    down, place = WINDOW[0], 0
    most = max(1, BAND // (frames * columns))
    for top in range(0, max(rows - down, 0) + 1, most):
        band = slice(top, min(top + most + down - 1, rows))
        if not signs.inside[band].any():
            continue
        net = _windows(signs.fresh[:, band], signs.inside[band])
        net -= _windows(signs.gone[:, band], signs.inside[band])
        for span in (1, FADE):
            yield from _events_in(net, fresh - gone, span, place)
            place += net.shape[1]


def _events_in(
    net: np.ndarray, general: np.ndarray, span: int, first_place: int
) -> Iterator[Event]:
    """What comes and goes within `span` frames in some windows."""
    whole, general = _summed(net, span), _summed(general, span)
    clear = np.maximum(
        _clearness(whole, np.maximum(general, 0)),
        _clearness(-whole, np.maximum(-general, 0)),
    )
    for place in np.flatnonzero((clear >= 1).any(axis=0)):
        there, last = clear[:, place], -1
        for frame in np.flatnonzero(there >= 1):
            if frame == 0 or frame <= last:
                continue
            amount = float(whole[frame, place])
            if span > 1:  # the clearest of the next few frames, and when most came
                later = frame + int(np.argmax(there[frame : frame + span]))
                amount, last = float(whole[later, place]), later
                begin = max(later - span + 1, 1)
                parts = net[begin : later + 1, place] / amount
                some = begin + np.flatnonzero(parts >= PART)
                frame = int(some[0] if amount > 0 else some[-1])
                sure = float(there[later])
            else:
                sure = float(there[frame])
            at = first_place + int(place)
            yield Event(at, int(frame), abs(amount), sure, amount > 0)


def _summed(series: np.ndarray, span: int) -> np.ndarray:
    """Sums over `span` frames that end with each."""
    if span == 1:
        return series
    sums = np.cumsum(series, axis=0)
    sums[span:] = sums[span:] - sums[:-span]
    return sums


def _everywhere(edges: np.ndarray, signs: Signs) -> Float32[np.ndarray, " t"]:
    """What most windows have in each frame: sharper scenes have more of all edges."""
    seen = signs.inside >= 0.5
    if not seen.any():
        return np.zeros(len(edges), np.float32)
    means = [frame[seen].mean(dtype=np.float32) for frame in edges]
    return WINDOW[0] * WINDOW[1] * np.array(means, np.float32)


def _windows(edges: np.ndarray, inside: np.ndarray) -> Float32[np.ndarray, "t n"]:
    """The sum over every window that lies in some rows of tiles."""
    down, across = WINDOW
    rows = max(1, inside.shape[0] - down + 1)
    sums = [
        cv2.boxFilter(
            frame * inside,
            cv2.CV_32F,
            (across, down),
            anchor=(1, 0),
            normalize=False,
            borderType=cv2.BORDER_CONSTANT,
        )[:rows]
        for frame in edges
    ]
    return np.stack(sums).reshape(len(edges), -1)


def _clearness(sums: np.ndarray, general: np.ndarray) -> Float32[np.ndarray, "t n"]:
    frames = len(sums)
    # The quantile of a few frames must not be that of the mark itself.
    rank = min(int(USUAL * frames), frames - 3) if frames >= FEW else frames - 1
    usual = np.maximum(np.partition(sums, rank, axis=0)[rank], 0)
    return (sums - TIMES * general[:, None]) / (LEAST + TIMES * usual)
