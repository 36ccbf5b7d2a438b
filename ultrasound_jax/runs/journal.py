"""Runs that are continued where they were interrupted, and files that are whole."""

import contextlib
import json
import os
import secrets
import signal
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from ultrasound_jax.types import InputError


def write_whole(
    path: str | os.PathLike[str], content: bytes | str, *, mode: int | None = None
) -> None:
    """Writes under a temporary name beside `path`, then renames.

    Args:
        path: in a folder that exists or is made.
        content: text is written as UTF-8; lone surrogates of file names survive.
        mode: permissions such as 0o600, in force before the first byte is written.

    Raises:
        InputError: it cannot be written.
    """
    path = Path(path)
    if isinstance(content, str):
        content = content.encode("utf-8", "surrogateescape")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        descriptor = os.open(temporary, flags, 0o666 if mode is None else mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


class Journal:
    """What a run has finished so far: a line of JSON for each item, removed at its end.

    It is private (mode 0600) and beside the output. A last line that was cut off is
    ignored, and so is the whole journal if it was begun with other settings.
    """

    def __init__(self, path: Path, done: dict[str, Any], settings: Mapping[str, Any]):
        self.path, self.done = path, done
        self._settings, self._file = settings, None

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], settings: Mapping[str, Any]
    ) -> "Journal":
        """Continues the journal at `path` or begins a new one.

        Args:
            path: of the journal, e.g. `.index.csv.journal`.
            settings: plain data; what makes results of one run unfit for another.

        Raises:
            InputError: it cannot be read.
        """
        path, done = Path(path), {}
        try:
            lines = path.read_bytes().splitlines() if path.exists() else []
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from error
        known = [_parsed(line) for line in lines]
        if known and known[0] == {"settings": json.loads(json.dumps(settings))}:
            for entry in known[1:]:
                if isinstance(entry, dict) and entry.keys() == {"key", "value"}:
                    done[entry["key"]] = entry["value"]
        return cls(path, done, settings)

    def record(self, key: str, value: Any) -> None:
        """Notes that `key` is finished; survives the end of this process."""
        try:
            if self._file is None:
                self._file = self._begin()
            self.done[key] = value
            line = json.dumps({"key": key, "value": value})
            self._file.write(line.encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be written: {error.strerror}"
            ) from error

    def _begin(self):
        """Rewritten whole at first, so that a torn line never joins the next one."""
        entries = [{"settings": self._settings}]
        entries += [{"key": key, "value": value} for key, value in self.done.items()]
        lines = "".join(json.dumps(entry) + "\n" for entry in entries)
        write_whole(self.path, lines, mode=0o600)
        return open(self.path, "ab")

    def close(self) -> None:
        """Keeps it on disk, for the run that continues."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def remove(self) -> None:
        """The run is complete."""
        self.close()
        self.path.unlink(missing_ok=True)


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Inside, SIGTERM is a KeyboardInterrupt as Ctrl-C is, so that all is closed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
