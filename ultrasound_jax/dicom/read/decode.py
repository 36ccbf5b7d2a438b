"""Frames out of clinical files, one at a time and in true colours.

What reaches memory is one frame, or a few where several threads decode: a cine of 1000
frames takes no more than one of 10.
"""

import contextlib
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import numpy as np

from ultrasound_jax.dicom.read import mpeg
from ultrasound_jax.dicom.read.damage import Damage, OnDamage
from ultrasound_jax.dicom.read.header import header_of
from ultrasound_jax.dicom.read.rendering import Pictures
from ultrasound_jax.dicom.read.source import FILMS, open_source
from ultrasound_jax.media.recording import Want
from ultrasound_jax.runs.limits import Limits
from ultrasound_jax.types import InputError


def open_cine(
    path: str | Path,
    *,
    limits: Limits | None = None,
    cross_check: bool = True,
    want: Want = "stored",
    threads: int = 1,
    damaged: OnDamage = "refuse",
) -> "Cine":
    """Opens a DICOM picture or cine and decodes its first frame.

    Uncompressed (little and big endian, deflated, encapsulated), deflated frames, JPEG
    of 8 to 16 bits, JPEG-LS, JPEG 2000 with and without high throughput, JPEG XL, RLE,
    and MPEG-2, MPEG-4 and HEVC. Which codec decodes is decided by the frames, not by
    the transfer syntax. See `colour`, `palette` and `tone` for how samples become
    colours and levels.

    Args:
        path: the file; its name does not matter.
        limits: what it may take; the defaults fit real scanners.
        cross_check: decode the first frame by a second decoder too, where there is one,
            and by a third where these disagree; see `second_opinion`.
        want: `stored` gives RGB for colour pictures; `grey` gives luminance for all,
            and does not decode chroma where luminance is stored.
        threads: decode this many frames at once; their order stays.
        damaged: `refuse` raises at a frame that is damaged, and for an end that is
            missing; `keep` gives a black frame in its place, and the frames there are.

    Raises:
        InputError: the file is not DICOM, is damaged, is beyond the limits, has a
            format that is not supported, or two decoders disagree on its first frame.
    """
    return Cine(
        Path(path),
        limits=limits or Limits(),
        cross_check=cross_check,
        want=want,
        threads=threads,
        damaged=damaged,
    )


class Cine:
    """An open file whose frames can be read; use it in a `with` statement.

    header: what the file says about itself, with the number of frames that it holds.
    decoder: who decodes: `native`, or the codec's name.
    colour: `grey`, `palette`, `rgb`, `ybr` or `ybr_partial`: the samples as stored.
    """

    def __init__(
        self,
        path: Path,
        *,
        limits: Limits,
        cross_check: bool,
        want: Want,
        threads: int,
        damaged: OnDamage = "refuse",
    ) -> None:
        self._stack = contextlib.ExitStack()
        self._limits, self._threads = limits, max(1, threads)
        self._deadline = time.monotonic() + limits.seconds
        try:
            source = self._stack.enter_context(open_source(path, limits))
            self.header = header_of(path, source, limits)
            self._check_memory()
            if source.syntax in FILMS:
                self._pictures = mpeg.Film(source, self.header, want, limits, damaged)
            else:
                self._pictures = Pictures(
                    source,
                    self.header,
                    want,
                    limits,
                    cross_check=cross_check,
                    damaged=damaged,
                )
            self.header = self._pictures.header
        except InputError as error:
            self._stack.close()
            raise InputError(f"{path}: {error}") from None
        except BaseException:
            self._stack.close()
            raise
        self.decoder = self._pictures.decoder_name
        self.colour = self._pictures.space

    def __enter__(self) -> "Cine":
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
        """What was odd about the file, one line each, without its name.

        They are complete once the file is open.
        """
        return self._pictures.notes

    @property
    def damaged(self) -> tuple[Damage, ...]:
        """Frames that are damaged, from 1, and why; complete after the last frame.

        With `damaged="keep"` a black frame stands for each.
        """
        return tuple(sorted(self._pictures.damage.items()))

    def close(self) -> None:
        """Closes the file."""
        self._stack.close()

    def frames(self) -> Iterator[np.ndarray]:
        """Each frame, uint8: `h w 3` RGB, or `h w` for grey pictures.

        Every call starts again at the first frame.

        Raises:
            InputError: a frame is damaged and damage is refused, or the time limit is
                passed.
        """
        try:
            if isinstance(self._pictures, mpeg.Film):
                for picture in self._pictures.frames():
                    self._check_time()
                    yield picture
            elif self._threads == 1:
                for index in range(self.header.frames):
                    self._check_time()
                    yield self._pictures.make(index, self._pictures.read(index))
            else:
                yield from self._frames_ahead(self._pictures)
        except InputError as error:
            raise InputError(f"{self.header.path}: {error}") from None

    def _frames_ahead(self, pictures: Pictures) -> Iterator[np.ndarray]:
        """The same with threads that decode while the caller works; codecs let go of
        the interpreter."""
        waiting: deque[Future[np.ndarray]] = deque()
        with ThreadPoolExecutor(self._threads) as pool:
            try:
                for index in range(self.header.frames):
                    self._check_time()
                    stored = pictures.read(index)
                    waiting.append(pool.submit(pictures.make, index, stored))
                    if len(waiting) > self._threads:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise InputError(
                f"takes more than {self._limits.seconds} s, which is the limit"
            )

    def _check_memory(self) -> None:
        # Stored bytes, raw samples, and the picture, in each thread and in the queue.
        header = self.header
        one = header.frame_bytes + 3 * header.rows * header.columns
        needed = 2 * one * (2 * self._threads)
        if needed > self._limits.memory_bytes:
            raise InputError(
                f"frames of {header.columns} x {header.rows} pixels take {needed} "
                f"bytes, allowed are {self._limits.memory_bytes}"
            )
