"""How far a long run is: a bar on a terminal, a plain line now and then elsewhere."""

import sys
import time
from types import TracebackType

from tqdm import tqdm

_LINE_EVERY = 10.0  # seconds


class Progress:
    """Counts items; use as a context manager.

    It writes to standard error, so that what a verb prints can be piped on.
    """

    def __init__(self, total: int, what: str, *, done: int = 0):
        """Begins.

        Args:
            total: items of the whole run.
            what: their name in the plural.
            done: items that an earlier run has finished.
        """
        self.total, self.what, self.done = total, what, done
        self._spoken = time.monotonic()
        self._bar = None
        if sys.stderr.isatty():
            self._bar = tqdm(total=total, initial=done, unit=f" {what}")

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def advance(self, count: int = 1) -> None:
        """So many more items are finished."""
        self.done += count
        if self._bar is not None:
            self._bar.update(count)
        elif time.monotonic() - self._spoken >= _LINE_EVERY:
            self._spoken = time.monotonic()
            print(f"{self.done} of {self.total} {self.what}", file=sys.stderr)
