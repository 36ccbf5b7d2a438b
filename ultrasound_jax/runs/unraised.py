"""Errors that compiled code cannot raise: Python prints them and goes on."""

import contextlib
import sys
import threading
from collections.abc import Iterator

_LISTENING = threading.local()
_LOCK = threading.Lock()
_before = sys.unraisablehook


@contextlib.contextmanager
def unraised() -> Iterator[list[str]]:
    """The kinds of such errors of this thread until the block ends; none is printed."""
    _install()
    errors: list[str] = []
    outer = getattr(_LISTENING, "errors", None)
    _LISTENING.errors = errors
    try:
        yield errors
    finally:
        _LISTENING.errors = outer


def _install() -> None:
    """Puts our hook before what is there; it stays, as other threads may listen."""
    global _before
    with _LOCK:
        if sys.unraisablehook is not _hear:
            _before = sys.unraisablehook
            sys.unraisablehook = _hear


def _hear(unraisable: "sys.UnraisableHookArgs") -> None:
    errors = getattr(_LISTENING, "errors", None)
    if errors is None:
        _before(unraisable)
    else:
        errors.append(unraisable.exc_type.__name__)
