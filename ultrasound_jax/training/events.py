"""Scalars as TensorBoard reads them, written where they arise.

tensorboardX's own writer hands them to a thread: on a full disk the thread dies, and
its queue then waits for it for ever.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto import event_pb2
from tensorboardX.summary import scalar

from ultrasound_jax.types import InputError

# The classes are made when the module is imported, where no type checker sees them.
Event: Any = vars(event_pb2)["Event"]
SessionLog: Any = vars(event_pb2)["SessionLog"]


class Events:
    """A file of events in a folder; what older files have from `begin` on is void."""

    def __init__(self, folder: Path, *, begin: int) -> None:
        self._folder = folder
        with self._told():
            folder.mkdir(parents=True, exist_ok=True)
            self._file = EventsWriter(str(folder / "events"))
            self._file.write_event(Event(step=begin, file_version="brain.Event:2"))
            log = SessionLog(status=SessionLog.START)
            self._file.write_event(Event(step=begin, session_log=log))

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Adds scalars of one step.

        Raises:
            InputError: they cannot be written; names the folder.
        """
        with self._told():
            for name, value in scalars.items():
                event = Event(step=step, summary=scalar(name, value))
                event.wall_time = time.time()
                self._file.write_event(event)
            self._file.flush()

    def close(self) -> None:
        """Ends the file; what could not be written has been told by `write`."""
        with contextlib.suppress(OSError):
            self._file.close()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(
                f"{self._folder}: cannot be written: {error.strerror}"
            ) from error
