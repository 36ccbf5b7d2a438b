"""A folder under a name that Orbax takes, whatever its own name is.

Orbax looks for files by patterns: under a folder `1234[5]`, as job arrays are named, or
one with a backslash it saves without a word what it cannot find again. Such folders
are opened, and reached by the number that the open folder has in this process.
"""

import os
import re
from pathlib import Path

from ultrasound_jax.training.series_errors import CheckpointError

PLAIN = re.compile(r"[\w ./=+,@~-]*", re.ASCII)
OPEN_FOLDERS = Path("/proc/self/fd")


class Reachable:
    """A folder: `shown` as people call it, `path` as Orbax may.

    Args:
        folder: need not exist.
        make: whether it is made.

    Raises:
        CheckpointError: it cannot be made, or its name cannot be used on this system.
    """

    def __init__(self, folder: Path, *, make: bool) -> None:
        self.shown = self.path = folder.absolute()
        self._descriptor: int | None = None
        if make:
            try:
                self.shown.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise CheckpointError(
                    f"'{folder}' cannot be made: {error.strerror}"
                ) from error
        if PLAIN.fullmatch(str(self.shown)) or not self.shown.is_dir():
            return
        if not OPEN_FOLDERS.is_dir():
            raise CheckpointError(
                f"--workdir '{folder.parent}' cannot be used on this system: give a "
                "name of letters, digits and '._-'"
            )
        self._descriptor = os.open(self.shown, os.O_RDONLY | os.O_DIRECTORY)
        self.path = OPEN_FOLDERS / str(self._descriptor)

    def close(self) -> None:
        """Gives the number back; `path` is not to be used any more."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
