"""The process in which untrusted files are opened, one after another.

It is started by `worker` and speaks JSON lines with it: nothing that comes back is ever
unpickled. What codecs print is thrown away, as it may quote the file. The limits are
the operating system's where it has them, and they hold even if the parent is gone.
"""

import contextlib
import importlib
import json
import math
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from ultrasound_jax.types import UltrasoundError

_GRACE = 2.0  # seconds beyond the limit: the parent's own clock should act first


def main() -> None:
    """Answers calls until the parent closes the channel."""
    requests, replies = _channel()
    setup = json.loads(requests.readline())
    try:
        function = _find(setup["module"], setup["name"])
    except Exception as error:
        # The parent's own code is at fault here, so its words may be told.
        _reply(replies, {"ready": False, "reason": f"{type(error).__name__}: {error}"})
        return
    _limit("RLIMIT_CORE", 0)
    _limit("RLIMIT_FSIZE", setup["file_bytes"])
    _reply(replies, {"ready": True})
    for line in requests:
        call = json.loads(line)
        memory = setup["memory_bytes"]
        _reply(replies, _answer(function, call["item"], call["seconds"], memory))


def _channel() -> tuple[IO[str], IO[str]]:
    """The pipes to the parent; the standard streams are nobody's from here on."""
    requests, replies = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
    return requests, replies


def _find(module: str, name: str) -> Callable[[Any], Any]:
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _reply(replies: IO[str], answer: Mapping[str, Any]) -> None:
    replies.write(json.dumps(answer) + "\n")
    replies.flush()


def _answer(
    function: Callable[[Any], Any], item: Any, seconds: float, memory_bytes: int
) -> dict[str, Any]:
    begun = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, seconds + _GRACE)
    _limit("RLIMIT_CPU", math.ceil(time.process_time() + 2 * seconds + _GRACE))
    _limit_memory(memory_bytes)
    value, kind, reason = None, "done", ""
    try:
        value = function(item)
        json.dumps(value)
    except UltrasoundError as error:
        kind, reason = "refused", _one_line(str(error))
    except MemoryError:
        kind, reason = "memory", f"needs more than {memory_bytes >> 20} MiB"
    except Exception as error:
        # Its own words may quote the file; its type and place do not.
        kind, reason = "failed", f"{type(error).__name__} at {_place(error)}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        _limit_memory(None)
    answer = {"kind": kind, "reason": reason, "seconds": time.monotonic() - begun}
    return answer | {"value": value if kind == "done" else None}


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}"


def _limit(name: str, value: int | None) -> None:
    """Sets a soft limit as far as the hard one allows; None lifts it again."""
    number = getattr(resource, name, None)
    if number is None:
        return
    hard = resource.getrlimit(number)[1]
    soft = hard if value is None else value
    if hard != resource.RLIM_INFINITY:
        soft = min(soft, hard)
    # Not every system knows every limit; the parent watches time and memory as well.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(number, (soft, hard))


def _limit_memory(more: int | None) -> None:
    """Allows `more` bytes beyond what is mapped now; None takes the limit away."""
    if more is None:
        _limit("RLIMIT_AS", None)
        return
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return
    _limit("RLIMIT_AS", pages * resource.getpagesize() + more)


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        sys.exit(1)
