"""Looks at every frame of a cine and says which may not be shown, and why.

The fan is found from 32 frames; a screen with a patient's name may stand between them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8

from ultrasound_jax.dicom.clean.few_frames import FEW, find_text_in_few
from ultrasound_jax.dicom.clean.flashed_marks import find_flashed_marks
from ultrasound_jax.dicom.clean.foreign_frames import find_foreign_frames
from ultrasound_jax.dicom.clean.frame_signs import SignsBuilder


class Withheld(NamedTuple):
    """A frame that is not shown: its number, from 1, and the reason."""

    frame: int
    reason: str


@dataclass(frozen=True)
class Watched:
    """What was seen.

    frames: how many were looked at. withheld: those that may not be shown. black:
    numbers, from 1, of frames in which nothing is. review: lines for somebody who looks
    at the cine.
    """

    frames: int = 0
    withheld: tuple[Withheld, ...] = ()
    black: tuple[int, ...] = ()
    review: tuple[str, ...] = ()


class FrameWatch:
    """Takes every frame of a cine, then says which do not belong to it."""

    def __init__(self) -> None:
        self._signs = SignsBuilder()
        self._few: list[tuple[np.ndarray, ...]] = []  # while there are few: whole

    @property
    def frames(self) -> int:
        """How many were looked at."""
        return self._signs.frames

    def look(
        self,
        grey: UInt8[np.ndarray, "h w"],
        legible: UInt8[np.ndarray, "h w"] | None = None,
    ) -> None:
        """Looks at one frame, before anything is masked; see `SignsBuilder.add`."""
        self._signs.add(grey, legible)
        if self.frames > FEW:
            self._few.clear()
        else:
            seen = (grey,) if legible is None else (grey, legible)
            self._few.append(tuple(one.copy() for one in seen))

    def judge(self, mask: Bool[np.ndarray, "h w"] | None) -> Watched:
        """What to withhold; only what stands within the mask counts."""
        if not self.frames:
            return Watched()
        signs = self._signs.finish(mask)
        foreign = find_foreign_frames(signs)
        left = foreign.black | foreign.flat | foreign.drawn | foreign.unlike
        marks = find_flashed_marks(signs, left)
        shown, long = self._text_in_few(mask)
        reasons = {}
        for flags, reason in (
            (foreign.flat, "one grey from edge to edge"),
            (foreign.drawn, "no echoes, and something drawn"),
            (foreign.unlike, "unlike the other frames"),
            (marks.shown | shown, "marks that other frames do not have"),
        ):
            for index in np.flatnonzero(flags & ~foreign.black):
                reasons.setdefault(int(index) + 1, reason)
        withheld = tuple(Withheld(n, reasons[n]) for n in sorted(reasons))
        black = tuple((np.flatnonzero(foreign.black) + 1).tolist())
        review = []
        if withheld:
            numbers = listed([one.frame for one in withheld])
            review.append(f"{len(withheld)} frames are withheld: {numbers}")
        for flags, what in (
            (foreign.scenes, "unlike most others, as of another scene"),
            (
                marks.long | long,
                "marks that the others do not have, and are not withheld",
            ),
        ):
            left = np.flatnonzero(flags) + 1
            if len(left):
                review.append(
                    f"{len(left)} frames show {what}: {listed(left.tolist())}"
                )
        return Watched(signs.light.shape[0], withheld, black, tuple(review))

    def _text_in_few(
        self, mask: Bool[np.ndarray, "h w"] | None
    ) -> tuple[Bool[np.ndarray, " t"], Bool[np.ndarray, " t"]]:
        shown, long = np.zeros((2, self.frames), bool)
        if len(self._few) > 1:
            inside = np.ones(self._few[0][0].shape, bool) if mask is None else mask
            for pictures in zip(*self._few, strict=True):
                few, most = find_text_in_few(pictures, inside)
                shown, long = shown | few, long | most
        return shown, long & ~shown


def listed(numbers: Iterable[int], most: int = 6) -> str:
    """Numbers as stretches, `3, 7-9`; of many, the first `most` stretches."""
    stretches: list[list[int]] = []
    for number in numbers:
        if stretches and number == stretches[-1][1] + 1:
            stretches[-1][1] = number
        else:
            stretches.append([number, number])
    shown = [f"{a}" if a == b else f"{a}-{b}" for a, b in stretches[:most]]
    return ", ".join(shown + (["…"] if len(stretches) > most else []))
