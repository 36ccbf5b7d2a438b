"""Worker processes that stay from one call to the next, for callers with threads.

`run_safely` takes all items at once. Here a caller asks for one after the other, and
gets each answer before it asks for more.
"""

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any

from ultrasound_jax.runs.limited_worker import Outcome, Pool, setup_of
from ultrasound_jax.runs.limits import Limits


class LimitedWorker:
    """One worker process, started by the first call and anew after it was lost."""

    def __init__(self, function: Callable[[Any], Any], limits: Limits) -> None:
        """
        Args:
            function: importable by its module and name; takes and gives plain data.
            limits: of a call; see `run_safely`.

        Raises:
            InputError: the function is not importable by a worker.
        """
        self._seconds = limits.seconds
        self._pool = Pool(setup_of(function, limits), 1)
        # Also where nobody closes it: with the object, or with the interpreter.
        self._close = weakref.finalize(self, self._pool.close)

    def call(self, item: Any, *, seconds: float | None = None) -> Outcome:
        """What became of `function(item)`.

        Raises:
            InputError: the process does not start or cannot import the function.
        """
        allowed = self._seconds if seconds is None else seconds
        try:
            (outcome,) = self._pool.run(iter([(0, item, float(allowed))]))
        except BaseException:  # an interrupt must not leave an answer for the next
            self.close()
            raise
        return outcome

    def close(self) -> None:
        """Ends the process; no further call is possible."""
        self._close()

    def disown(self) -> None:
        """Leaves the process alone: it belongs to the one that we were forked from."""
        self._close.detach()


class KeptWorkers:
    """As many workers as are called at once, kept for later calls.

    It may be called from several threads. A process that was forked from this one gets
    workers of its own.
    """

    def __init__(self, function: Callable[[Any], Any], limits: Limits) -> None:
        """As `LimitedWorker`."""
        self._new = lambda: LimitedWorker(function, limits)
        self._lock, self._owner = threading.Lock(), os.getpid()
        self._idle: list[LimitedWorker] = []

    def call(self, item: Any, *, seconds: float | None = None) -> Outcome:
        """As `LimitedWorker.call`, by one that is idle or a new one."""
        with self._lock:
            self._forget_those_of_another_process()
            worker = self._idle.pop() if self._idle else self._new()
        outcome = worker.call(item, seconds=seconds)
        with self._lock:
            self._idle.append(worker)
        return outcome

    def close(self) -> None:
        """Ends the idle processes; a later call starts new ones."""
        with self._lock:
            self._forget_those_of_another_process()
            workers, self._idle = self._idle, []
        for worker in workers:
            worker.close()

    def _forget_those_of_another_process(self) -> None:
        if self._owner != os.getpid():
            for worker in self._idle:
                worker.disown()
            self._idle, self._owner = [], os.getpid()
