"""A run's folder has one writer: a second process is refused before it does anything.

The lock lies in the folder and is process 0's, for all processes of a run. Its holder
is known by host, number and start of the process, so that a killed run's lock is free
at once on its own host. On another host of a shared disk nobody can see whether a
process lives: there a lock is free when it was silent for `locks.STALE_SECONDS`, and
whoever loses it so is interrupted. That holds on NFS (version 3 and later), where
making a file that must not exist is one step.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import jax

from ultrasound_jax.runs import locks
from ultrasound_jax.training import process_zero

LOCK = ".writer.lock"


@contextlib.contextmanager
def one_writer(folder: Path) -> Iterator[None]:
    """Enters as the only writer of a run's folder, which is made if missing.

    With several processes all must enter.

    Raises:
        LockError: another process writes there, or the folder cannot be written.
    """
    lock = locks.Lock(folder / LOCK)
    problem = ""
    if jax.process_index() == 0:
        try:
            problem = "" if lock.take() else refusal(folder)
        except locks.LockError as error:
            problem = str(error)
    if process_zero.told(bool(problem)):
        raise locks.LockError(problem or refusal(folder))
    try:
        yield
    finally:
        lock.release()


def check_free(folder: Path) -> None:
    """Refuses a folder that another process writes; early, before work of its own.

    Raises:
        LockError: another process writes there.
    """
    if locks.is_held(folder / LOCK):
        raise locks.LockError(refusal(folder))


def refusal(folder: Path) -> str:
    """Who writes in a folder, and what to do."""
    path = folder / LOCK
    return (
        f"--workdir '{folder}' is being written by {locks.holder(path)}: wait for it, "
        "or give another --workdir (the lock of a process that died on another host is "
        f"free after {locks.STALE_SECONDS:.0f} s of silence)"
    )
