"""Cines that are stored as one MPEG-2, MPEG-4 or HEVC film.

A film knows how many frames it has, and is believed more than the header. Its packets
are counted when it is opened, which takes no decoding, as a packet is a frame. (Where a
frame's two fields come in packets of their own, frames are counted by decoding them.)
"""

import bisect
import dataclasses
import itertools
from collections.abc import Iterator

import av
import numpy as np

from ultrasound_jax.dicom.read import fragments
from ultrasound_jax.dicom.read.damage import (
    DamagedFrame,
    OnDamage,
    believed,
    first_damaged,
)
from ultrasound_jax.dicom.read.film import FilmFile, Packets
from ultrasound_jax.dicom.read.header import CineHeader, with_frames
from ultrasound_jax.dicom.read.source import Source
from ultrasound_jax.dicom.read.timing import with_film_rate
from ultrasound_jax.runs.limits import Limits
from ultrasound_jax.types import InputError

_REORDERED = 17  # frames; no codec shows one later than that
DAMAGED = "its film is damaged there"
FOLLOWS = "its film is damaged before it"
LOST = "its film does not decode there"


def count_film(
    source: Source, header: CineHeader, limits: Limits, damaged: OnDamage
) -> tuple[CineHeader, FilmFile, Packets, list[str]]:
    """Counts the frames of a film.

    Returns:
        The header with the film's count, the film, its packets, and notes.

    Raises:
        InputError: it is no film; or its end is missing, if that is not kept.
    """
    if not source.encapsulated:
        raise InputError("a film must be encapsulated")
    pieces, missing = fragments.film_pieces(source)
    # FFmpeg pads before it counts.
    most = (header.rows + 128) * (header.columns + 128) + 1
    film = FilmFile(source.stream, pieces, most)
    if missing and damaged == "refuse":
        raise InputError(missing)
    packets = film.packets()
    if packets.count == 0:
        raise InputError("no frame of its film can be decoded")
    notes = []
    if packets.stated > packets.count:
        lacks = f"its film states {packets.stated} frames and holds {packets.count}"
        missing = missing or lacks
        if damaged == "refuse":
            raise InputError(lacks)
    if missing:
        notes.append(f"its end is missing: {missing}")
    return corrected(source, header, packets.count, limits, notes), film, packets, notes


def corrected(
    source: Source, header: CineHeader, count: int, limits: Limits, notes: list[str]
) -> CineHeader:
    """The header with the count that is believed; notes that it says another."""
    stated = header.frames if header.multi_frame else None
    if count != (stated or 1):
        notes.append(believed(stated, count, "film"))
    return with_frames(header, source.dataset, count, limits)


class Film:
    """The frames of one film; colours are as the film's own tags say.

    Untagged films are taken as of limited range, as films are.

    header: with the film's own count of frames, and its rate where none was stated.
    damage: of the frames that were damaged so far, where they are kept.
    """

    decoder_name, space = "pyav", "film"

    def __init__(
        self,
        source: Source,
        header: CineHeader,
        want: str,
        limits: Limits,
        damaged: OnDamage,
    ) -> None:
        self.damage: dict[int, str] = {}
        self._format = "gray" if want == "grey" else "rgb24"
        self._keep, self._leading = damaged == "keep", frozenset[int]()
        self._in_order = True  # of frames as their packets say
        counted = count_film(source, header, limits, damaged)
        self.header, self._film, self._packets, notes = counted
        count = self._look_at_beginning(notes)
        if count != self.header.frames:
            notes = [note for note in notes if not note.startswith("the header states")]
            self.header = corrected(source, header, count, limits, notes)
        timing = with_film_rate(self.header.timing, self._film.rate)
        self.header = dataclasses.replace(self.header, timing=timing)
        self._notes = notes

    @property
    def rate(self) -> float | None:
        """Hz, as the stream or its container says; None where neither does."""
        return self._film.rate

    @property
    def notes(self) -> tuple[str, ...]:
        """What was odd about the film."""
        return tuple(self._notes)

    def frames(self) -> Iterator[np.ndarray]:
        """All frames, in the order they are shown; black ones where they are damaged.

        Raises:
            InputError: frames of another size; or damage, if that is not kept.
        """
        number, spoilt = 0, False
        for frame, reason in itertools.islice(self._shown(), self.header.frames):
            number += 1
            if frame is not None:
                self._check_size(frame)
                spoilt = spoilt and not frame.key_frame
                reason = FOLLOWS if spoilt and not reason else reason
            if frame is None or reason:
                spoilt = True
                yield self._black(number, reason)
            else:
                yield frame.to_ndarray(format=self._format, dst_color_range=2)
        for missing in range(number + 1, self.header.frames + 1):
            yield self._black(missing, LOST)

    def _black(self, number: int, reason: str) -> np.ndarray:
        if not self._keep:
            raise DamagedFrame(f"frame {number} of {self.header.frames}: {reason}")
        self.damage[number] = reason
        colours = () if self._format == "gray" else (3,)
        return np.zeros((self.header.rows, self.header.columns, *colours), np.uint8)

    def _check_size(self, frame: av.VideoFrame) -> None:
        size = self.header.columns, self.header.rows
        if (frame.width, frame.height) != size:
            raise InputError(
                f"a frame of {frame.width} x {frame.height} pixels, the header "
                f"states {size[0]} x {size[1]}"
            )

    def _shown(self) -> Iterator[tuple[av.VideoFrame | None, str]]:
        """Frames in the order they are shown, None where one is lost."""
        lost: list[int] = []
        given = 0
        for number, frame in self._film.decoded():
            if number in self._leading:
                continue
            rank = self._packets.rank(number)
            if frame is None:
                if rank not in lost:
                    bisect.insort(lost, rank)
                continue
            missing = bisect.bisect_left(lost, rank)
            patched = rank in lost[missing:]
            lost = lost[missing + patched :]
            missing = self._gone(number, frame, missing, given)
            for _ in range(missing):
                yield None, DAMAGED
            given += missing + 1
            yield frame, DAMAGED if patched or frame.is_corrupt else ""
        for _ in lost:
            yield None, DAMAGED

    def _gone(self, number: int, frame: av.VideoFrame, known: int, given: int) -> int:
        """How many frames are lost before this one: those known, or more.

        Around damage decoders drop frames without a word. Where packets have times
        each frame has its place; without, a key frame stands behind all frames whose
        packets stand before its own.
        """
        if not self._in_order or not (self._packets.ranks or frame.key_frame):
            return known
        rank = self._packets.rank(number)
        place = rank - sum(self._packets.rank(one) < rank for one in self._leading)
        return max(place - given, known if self._packets.ranks is None else 0)

    def _look_at_beginning(self, notes: list[str]) -> int:
        """Decodes the first frames, and counts anew where packets count wrong.

        A film that was cut out of a longer one may begin with frames that need others
        before them: no player shows them, and they are no damage. And fields of one
        frame may stand in two packets.
        """
        shown, failed, ended, interlaced = [], set[int](), True, False
        for number, frame in self._film.decoded():
            if frame is None:
                failed.add(number)
                continue
            if not shown:
                self._check_size(frame)
            shown.append(number)
            interlaced |= frame.interlaced_frame
            if len(shown) > 2 * _REORDERED:
                ended = False
                break
        if not shown:
            raise InputError("no frame of its film can be decoded")
        count, rank = self._packets.count, self._packets.rank
        # Some containers give times that are not those of showing.
        self._in_order = all(rank(a) < rank(b) for a, b in itertools.pairwise(shown))
        self._in_order |= self._packets.ranks is None
        first = shown[0]
        before = {number for number in failed if rank(number) < rank(first)}
        if before and not self._keep:
            raise DamagedFrame(f"frame 1 of {count}: {DAMAGED}")
        if before:
            notes.append(first_damaged(len(before)))
        sure = count if ended else max(shown) - _REORDERED
        silent = set(range(sure)) - set(shown) - failed
        if not silent:
            return count
        if self._packets.ranks is None:  # they follow the key frame that was shown
            leading = set(itertools.takewhile(silent.__contains__, range(1, count)))
        else:
            leading = {number for number in silent if rank(number) < rank(first)}
        if interlaced and silent - leading:
            self._in_order = False  # a packet is no frame
            return sum(f is not None for _, f in self._film.decoded(strict=False))
        if leading:
            self._leading = frozenset(leading)
            notes.append(
                f"its film begins with {len(leading)} frames that need others before "
                "them: they are left out"
            )
        return count - len(leading)
