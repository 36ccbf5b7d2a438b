"""One line where another process of a run has died, where an abort wrote a trace.

JAX's runtime ends a process from one of its own threads as soon as it hears that
another is gone: it logs a page and calls `abort`, which Python cannot catch. So what is
written to the error output passes through a thread here. It holds back what the
runtime's coordination says, and at the sentence that comes before the abort says one
line and leaves with CODE. Meanwhile the thread that aborts sleeps in its signal
handler, which is C's own `sleep`, called with the signal's number (6) as seconds;
should nobody have left by then, the abort goes its way.
"""

import atexit
import contextlib
import ctypes
import os
import re
import signal
import sys
import threading

CODE = 3  # of the exit: neither a mistake of the user (2) nor an error of ours (1)
SAID = (
    "error: another process of this run has ended, so this one cannot go on: its own "
    "output says why. The same command on all of them continues from the last save"
)
# How the runtime's coordination logs, and what it says last.
NOISE = re.compile(
    rb"[EWF]\d{4} .*(coordination_service|preemption_sync|client\.(h|cc):)"
)
LAST = re.compile(rb"Polled an error|Terminating process because|Check failure stack")
LOST = re.compile(
    r"Gloo|heartbeat|coordination service|Connection (closed|reset) by peer|"
    r"Barrier|DEADLINE_EXCEEDED|Socket closed",
    re.IGNORECASE,
)
PATIENCE_S = 20.0  # after which held lines are shown, as nothing has come of them
CLOSING_S = 5.0  # for the rest of the output, at the end


class _Filter:
    """The error output of this process, through a pipe and a thread."""

    def __init__(self) -> None:
        self._out = os.dup(2)
        self._source, sink = os.pipe()
        os.dup2(sink, 2)
        os.close(sink)
        self._held: list[bytes] = []
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._pass_on, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Gives the error output back once all of it is written."""
        sys.stderr.flush()
        os.dup2(self._out, 2)
        self._thread.join(CLOSING_S)
        self._show()

    def _pass_on(self) -> None:
        with os.fdopen(self._source, "rb", buffering=0) as source:
            rest = b""
            while chunk := source.read(65536):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._take(line + b"\n")
                if rest and not self._held and not re.match(rb"[EWF]\d{0,4}", rest):
                    self._take(rest)  # a prompt or a bar has no end of line
                    rest = b""
            if rest:
                self._take(rest)

    def _take(self, line: bytes) -> None:
        if LAST.search(line):
            with contextlib.suppress(OSError):
                os.write(self._out, SAID.encode() + b"\n")
            os._exit(CODE)
        with self._lock:
            if not self._held and not NOISE.match(line):
                os.write(self._out, line)
                return
            self._held.append(line)
            if self._timer is None:
                self._timer = threading.Timer(PATIENCE_S, self._show)
                self._timer.daemon = True
                self._timer.start()

    def _show(self) -> None:
        with self._lock:
            lines, self._held, self._timer = self._held, [], None
        with contextlib.suppress(OSError):
            os.write(self._out, b"".join(lines))


_FILTER: list[_Filter] = []


def watch() -> None:
    """From now on a member that is lost is one line and exit code CODE."""
    if _FILTER:
        return
    _FILTER.append(_Filter())
    atexit.register(unwatch)
    c = ctypes.CDLL(None)
    c.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
    c.signal.restype = ctypes.c_void_p
    c.signal(signal.SIGABRT, ctypes.cast(c.sleep, ctypes.c_void_p))


def unwatch() -> None:
    """Writes out what is held, before the process ends."""
    while _FILTER:
        _FILTER.pop().close()


def is_lost(error: BaseException) -> bool:
    """Whether an error means that another process is gone."""
    return isinstance(error, ValueError | RuntimeError) and bool(
        LOST.search(str(error))
    )
