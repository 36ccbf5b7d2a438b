"""Untrusted files are opened in processes of their own, with limits.

A file that crashes its decoder, hangs or asks for more memory than allowed costs its
own result and nothing else: it gets a one-line reason, and the run goes on.
"""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import psutil

from ultrasound_jax.runs.limits import Limits
from ultrasound_jax.types import InputError

FILE_BYTES = 16 << 30  # a function that writes more into one file is stopped
REPLY_BYTES = 32 << 20
MOST_WORKERS = 8
_STARTS_WITHIN = 120.0  # seconds, on a machine that is busy with something else
_START_ATTEMPTS = 3
_TICK = 0.05  # seconds between two looks at the children's memory
_ONE_THREAD = {
    # The workers are the parallelism. Each further thread would also reserve address
    # space, which counts as memory where that is how it is limited.
    "MALLOC_ARENA_MAX": "2",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OPENCV_FOR_THREADS_NUM": "1",
}


@dataclass(frozen=True)
class Outcome:
    """What became of one item.

    index: the item's place among the items.
    value: what the function returned, as JSON has it (tuples are lists); else None.
    kind: `done`; `refused` (the function said why, a InputError); `failed` (any other
        exception); `crashed`, `time` or `memory` (the process was lost or stopped).
    reason: one line, empty if done.
    seconds: wall time.
    """

    index: int
    value: Any
    kind: str
    reason: str
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether the function returned."""
        return self.kind == "done"


def default_workers() -> int:
    """As many as this process may use cores, at most MOST_WORKERS."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        cores = os.cpu_count() or 1
    return max(1, min(cores, MOST_WORKERS))


def run_safely(
    function: Callable[[Any], Any],
    items: Iterable[Any],
    *,
    limits: Limits,
    workers: int | None = None,
    on_done: Callable[[Outcome], None] | None = None,
    seconds: Callable[[Any], float] | None = None,
) -> list[Outcome]:
    """Calls `function(item)` for every item, each in a worker process under limits.

    Items and results travel as JSON, so they are plain data. `limits.seconds` and
    `limits.memory_bytes` (beyond what the process needs by itself) are enforced here;
    the other limits are the function's own to keep. An exception of `on_done`, Ctrl-C
    included, ends the run and the workers; what was reported before stays reported.

    Args:
        function: importable by its module and name: no lambda, no local function.
        items: plain data; taken one by one as workers become free.
        limits: for each item.
        workers: processes; by default as many as there are cores.
        on_done: is told every outcome here, in the order in which they come.
        seconds: the time that an item may take, where it is not `limits.seconds`.

    Returns:
        the outcomes in the order of the items.

    Raises:
        InputError: the function is not importable by a worker, or `workers` is below 1.
    """
    count = default_workers() if workers is None else workers
    if count < 1:
        raise InputError(f"{count} workers, allowed are 1 and more")
    allowed = seconds or (lambda item: limits.seconds)
    calls = ((index, item, float(allowed(item))) for index, item in enumerate(items))
    pool = Pool(setup_of(function, limits), count)
    outcomes: list[Outcome] = []
    try:
        for outcome in pool.run(calls):
            outcomes.append(outcome)
            if on_done is not None:
                on_done(outcome)
    finally:
        pool.close()
    return sorted(outcomes, key=lambda outcome: outcome.index)


def setup_of(function: Callable[[Any], Any], limits: Limits) -> dict[str, Any]:
    """What a worker process is told first: which function, and what it may take.

    Raises:
        InputError: it is not importable by a worker.
    """
    module, name = function.__module__, function.__qualname__
    if module == "__main__":
        module = getattr(getattr(sys.modules[module], "__spec__", None), "name", None)
    if module is None or "<" in name:
        raise InputError(
            f"{name}: a worker needs a function that it can import by name"
        )
    return {
        "module": module,
        "name": name,
        "memory_bytes": int(limits.memory_bytes),
        "file_bytes": FILE_BYTES,
    }


_Call = tuple[int, Any, float]  # an item's index, the item, and its seconds


class _Child:
    """One process and the call that it is busy with."""

    def __init__(self, setup: dict[str, Any]):
        path = os.pathsep.join(os.path.abspath(p) for p in sys.path)
        self.process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", "-m", "ultrasound_jax.runs.limited_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | _ONE_THREAD | {"PYTHONPATH": path},
            # The terminal's Ctrl-C is the parent's to answer.
            start_new_session=True,
        )
        self.memory_bytes, self.seconds = setup["memory_bytes"], 0.0
        self.replies = bytearray()
        self.index: int | None = None  # of the item in work
        self.ready, self.own_bytes = False, 0
        self.begun = time.monotonic()
        self.send(setup)

    @property
    def output(self) -> int:
        assert self.process.stdout is not None  # noqa: S101
        return self.process.stdout.fileno()

    def send(self, message: Any) -> None:
        assert self.process.stdin is not None  # noqa: S101
        try:
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has died: its output ends, and that is where it is noticed

    def call(self, index: int, item: Any, seconds: float) -> None:
        self.index, self.seconds, self.begun = index, seconds, time.monotonic()
        self.send({"item": item, "seconds": seconds})

    def receive(self) -> dict[str, Any] | None:
        """An answer if one is complete; None if more must come.

        Raises EOFError where the process has ended or talks nonsense.
        """
        piece = os.read(self.output, 1 << 20)
        self.replies += piece
        if not piece or len(self.replies) > REPLY_BYTES:
            raise EOFError
        if not self.replies.endswith(b"\n"):
            return None
        line, self.replies = bytes(self.replies), bytearray()
        try:
            return json.loads(line)
        except ValueError:
            raise EOFError from None

    def resident_bytes(self) -> int:
        try:
            return psutil.Process(self.process.pid).memory_info().rss
        except psutil.Error:
            return 0

    def excess(self) -> tuple[str, str] | None:
        """Kind and reason if the call in work has gone beyond a limit."""
        if self.index is None:
            return None
        if time.monotonic() - self.begun > self.seconds:
            return "time", f"takes longer than {self.seconds:g} s"
        if self.resident_bytes() - self.own_bytes > self.memory_bytes:
            return "memory", f"needs more than {self.memory_bytes >> 20} MiB"
        return None

    def stop(self) -> int:
        """Ends the process at once; returns its exit code, minus a signal's number."""
        if self.process.poll() is None:
            self.process.kill()
        code = self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass
        return code


class Pool:
    """Worker processes that stay for the next call; see `run_safely`."""

    def __init__(self, setup: dict[str, Any], workers: int):
        self.setup, self.workers = setup, workers
        self.children: list[_Child] = []
        self.failed_starts = 0
        self.selector = selectors.DefaultSelector()

    def run(self, calls: Iterator[_Call]) -> Iterator[Outcome]:
        """The outcomes of calls (index, item, seconds), as they come."""
        waiting: deque[_Call] = deque()
        while True:
            waiting.extend(islice(calls, self.workers - len(waiting)))
            for child in self.children:
                if waiting and child.ready and child.index is None:
                    child.call(*waiting.popleft())
            starting = sum(not child.ready for child in self.children)
            while starting < len(waiting) and len(self.children) < self.workers:
                self._add()
                starting += 1
            if not waiting and all(child.index is None for child in self.children):
                waiting.extend(islice(calls, 1))
                if not waiting:
                    return
            yield from self._wait()

    def _add(self) -> None:
        child = _Child(self.setup)
        self.children.append(child)
        self.selector.register(child.output, selectors.EVENT_READ, child)

    def _wait(self) -> Iterator[Outcome]:
        for key, _ in self.selector.select(_TICK):
            child = key.data
            try:
                answer = child.receive()
            except EOFError:
                yield from self._lost(child)
                continue
            if answer is not None:
                yield from self._answered(child, answer)
        for child in list(self.children):
            excess = child.excess()
            if excess is not None:
                self._drop(child)
                yield _outcome(child, None, *excess)
            elif not child.ready and time.monotonic() - child.begun > _STARTS_WITHIN:
                raise InputError(f"a worker did not start within {_STARTS_WITHIN:g} s")

    def _answered(self, child: _Child, answer: dict[str, Any]) -> Iterator[Outcome]:
        if not child.ready:
            if not answer["ready"]:
                name = f"{self.setup['module']}.{self.setup['name']}"
                raise InputError(f"a worker cannot import {name}: {answer['reason']}")
            child.ready, child.own_bytes = True, child.resident_bytes()
            self.failed_starts = 0
            return
        yield _outcome(child, answer["value"], answer["kind"], answer["reason"])
        child.index = None
        # What a decoder leaked must not be held against the files after it.
        if child.resident_bytes() - child.own_bytes > child.memory_bytes / 4:
            self._drop(child)

    def _lost(self, child: _Child) -> Iterator[Outcome]:
        too_long = len(child.replies) > REPLY_BYTES
        if not too_long:
            # Its output ends a moment before it does; then its code tells why.
            try:
                child.process.wait(5)
            except subprocess.TimeoutExpired:
                pass
        code = self._drop(child)
        if not child.ready:
            self.failed_starts += 1
            if self.failed_starts == _START_ATTEMPTS:
                raise InputError(f"workers do not start (exit code {code})")
        if child.index is None:
            return
        if too_long:
            reason = f"its result is larger than {REPLY_BYTES >> 20} MiB"
            yield _outcome(child, None, "failed", reason)
        elif -code in (signal.SIGALRM, signal.SIGXCPU):
            reason = f"takes longer than {child.seconds:g} s"
            yield _outcome(child, None, "time", reason)
        elif code < 0:
            reason = f"decoder crashed (signal {-code})"
            yield _outcome(child, None, "crashed", reason)
        else:
            reason = f"decoder ended the process (exit code {code})"
            yield _outcome(child, None, "crashed", reason)

    def _drop(self, child: _Child) -> int:
        self.selector.unregister(child.output)
        self.children.remove(child)
        return child.stop()

    def close(self) -> None:
        """Ends the processes at once."""
        for child in list(self.children):
            self._drop(child)
        self.selector.close()


def _outcome(child: _Child, value: Any, kind: str, reason: str) -> Outcome:
    assert child.index is not None  # noqa: S101
    seconds = time.monotonic() - child.begun
    return Outcome(child.index, value, kind, reason, seconds)
