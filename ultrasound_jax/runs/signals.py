"""SIGTERM and Ctrl-C, as a request between two steps or as the end of a command."""

import signal
import threading
from types import FrameType, TracebackType

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
        """The signal's number, or 0."""
        return self._received


class Prompt(Interrupts):
    """While it is entered, a signal ends what is being done by KeyboardInterrupt.

    For work that has nothing to save, around loops that have `Interrupts` of their own.
    A signal in a callback, where Python swallows exceptions, is still known afterwards:
    ask `received` between two pieces of work.
    """

    def _take(self, number: int, frame: FrameType | None) -> None:
        self._received = number
        raise KeyboardInterrupt

    @property
    def code(self) -> int:
        """The exit code that says which signal it was."""
        return 128 + (self._received or signal.SIGINT)

    def __str__(self) -> str:
        name = signal.Signals(self._received or signal.SIGINT).name
        return f"{name}: what is finished is kept; the same command continues"
