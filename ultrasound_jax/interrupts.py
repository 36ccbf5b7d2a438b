"""SIGTERM and Ctrl-C as a request that the loop answers between two steps."""

import signal
import threading
from types import FrameType, TracebackType

import jax
import numpy as np
from jax.experimental import multihost_utils

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupts:
    """While it is entered, the first signal asks and a second Ctrl-C insists."""

    def __init__(self) -> None:
        self._received = 0
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            self._before = {s: signal.signal(s, self._take) for s in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self._received and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._received = number

    def received(self) -> int:
        """Returns the signal's number, or 0; the same in every process.

        With several processes this is a collective call: all must ask at the same step.
        """
        if jax.process_count() == 1:
            return self._received
        everyone = multihost_utils.process_allgather(np.int32(self._received))
        return int(np.max(everyone))
