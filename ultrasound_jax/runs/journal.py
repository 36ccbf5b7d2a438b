"""Runs that are continued where they were interrupted."""

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ultrasound_jax.runs import json_text
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.types import InputError


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
            with contextlib.suppress(OSError):  # `record` has told of it
                self._file.close()
            self._file = None

    def remove(self) -> None:
        """The run is complete."""
        self.close()
        self.path.unlink(missing_ok=True)


def _parsed(line: bytes) -> Any:
    try:
        return json_text.parsed(line)
    except ValueError:
        return None
