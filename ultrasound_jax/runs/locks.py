"""Who works on what: a lock file a piece of work, on a disk that all workers share.

A lock is made with O_EXCL, says which process of which host holds it, and is touched
while it is held. It is stale, and taken over by whoever asks next, as soon as its
process is gone where that can be seen (the same host), and otherwise when it was not
touched for STALE_SECONDS.
"""

import _thread
import contextlib
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from ultrasound_jax.runs.processes import host, started
from ultrasound_jax.types import UltrasoundError

STALE_SECONDS = 300.0
BEAT_SECONDS = 20.0
POLL_SECONDS = 1.0


class LockError(UltrasoundError):
    """A lock file that cannot be written, or that is no lock file."""


class Lock:
    """The right to work on something, while `take` was true and until `release`.

    A process that was asleep for so long that another took its lock over gets an
    interrupt as of Ctrl-C, so that two never go on with the same work.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._text = json.dumps(_myself() | {"since": time.time()})
        self._ended = threading.Event()
        self._beat: threading.Thread | None = None

    def take(self) -> bool:
        """Takes the lock if it is free or stale; True if it is ours now."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not (_create(self.path, self._text) or self._take_over()):
                return False
        except OSError as error:
            raise LockError(f"{self.path}: cannot be locked: {error}") from error
        self._ended.clear()
        self._beat = threading.Thread(target=self._touch, daemon=True)
        self._beat.start()
        return True

    def release(self) -> None:
        """Gives the lock back, unless another has taken it over."""
        self._ended.set()
        if self._beat is not None:
            self._beat.join()
            self._beat = None
            if self._is_mine():
                with contextlib.suppress(OSError):  # it is stale when we are gone
                    self.path.unlink(missing_ok=True)

    def _take_over(self) -> bool:
        """Replaces a stale lock; only one process at a time may judge and replace."""
        judge = self.path.with_name(f"{self.path.name}.judge")
        candidate = self.path.with_name(f"{self.path.name}.{os.getpid()}.tmp")
        if not _create(judge, self._text):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - judge.stat().st_mtime > STALE_SECONDS:
                    judge.unlink()
            return False
        try:
            candidate.write_text(self._text)
            # The shared disk's own clock, for the clocks of two hosts may differ.
            if not is_stale(self.path, now=candidate.stat().st_mtime):
                return False
            candidate.replace(self.path)
            return True
        finally:
            candidate.unlink(missing_ok=True)
            judge.unlink(missing_ok=True)

    def _is_mine(self) -> bool:
        try:
            return self.path.read_text() == self._text
        except FileNotFoundError:
            return False
        except OSError:  # a shared disk that hiccups: the next beat will tell
            return True

    def _touch(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            if not self._is_mine():
                _thread.interrupt_main()
                return
            with contextlib.suppress(OSError):  # the next beat tries again
                os.utime(self.path)


@contextlib.contextmanager
def attempt(path: Path) -> Iterator[bool]:
    """Enters with True if the lock could be taken, which it then gives back."""
    lock = Lock(path)
    taken = lock.take()
    try:
        yield taken
    finally:
        lock.release()


@contextlib.contextmanager
def wait_for(path: Path) -> Iterator[None]:
    """Enters as soon as the lock is ours: for short work only."""
    lock = Lock(path)
    while not lock.take():
        time.sleep(POLL_SECONDS)
    try:
        yield
    finally:
        lock.release()


def is_stale(path: Path, *, now: float) -> bool:
    """True if the lock's process is known to be gone, or silent for too long.

    A lock that is gone is not stale: its work may be done.
    """
    try:
        age, text = now - path.stat().st_mtime, path.read_text()
    except FileNotFoundError:
        return False
    try:
        holder = json.loads(text)
        where, process, since = (holder[k] for k in ("host", "process", "started"))
    except (ValueError, TypeError, KeyError):  # cut short, as its writer died
        return age > STALE_SECONDS
    me = _myself()
    if where != me["host"]:
        return age > STALE_SECONDS
    return not psutil.pid_exists(process) or started(process) != since


def is_held(path: Path) -> bool:
    """True if a lock is there that nobody may take over.

    On a disk of another host's clock it may be wrong by the difference; `take` is not.
    """
    return path.exists() and not is_stale(path, now=time.time())


def holder(path: Path) -> str:
    """Says who holds a lock, for a line on the screen."""
    try:
        found = json.loads(path.read_text())
        return f"process {found['process']} on {found['host'].split('/')[0]}"
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return "another process"


def _create(path: Path, text: str) -> bool:
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    return True


def _myself() -> dict[str, str | int]:
    """This process, and a host's name that no container of equal name shares."""
    process = os.getpid()
    return {"host": host(), "process": process, "started": started(process)}
