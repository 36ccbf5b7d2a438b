"""How far a long run is: a bar on a terminal, a plain line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TypeVar

from tqdm import tqdm

_LINE_EVERY = 10.0  # seconds

Item = TypeVar("Item")


class Progress:
    """Counts items; use as a context manager, or `close` it.

    It writes to standard error, so that what a verb prints can be piped on.
    """

    def __init__(self, total: int, what: str, *, done: int = 0, of: str = ""):
        """Begins.

        Args:
            total: items of the whole run.
            what: their name in the plural.
            done: items that an earlier run has finished.
            of: what the items belong to, where that is not plain.
        """
        self.total, self.what, self.done = total, what, done
        self._of = f"{of}: " if of else ""
        self._spoken = time.monotonic()
        self._bar = None
        if sys.stderr.isatty():
            self._bar = tqdm(
                total=total, initial=done, unit=f" {what}", desc=of or None
            )

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def on_terminal(self) -> bool:
        """Whether there is a bar."""
        return self._bar is not None

    def advance(self, count: int = 1) -> None:
        """So many more items are finished."""
        self.done += count
        if self._bar is not None:
            self._bar.update(count)
        elif time.monotonic() - self._spoken >= _LINE_EVERY:
            self._spoken = time.monotonic()
            line = f"{self._of}{self.done} of {self.total} {self.what}"
            print(line, file=sys.stderr)

    def reach(self, done: int, beside: Mapping[str, str]) -> None:
        """So many items are finished in all; a bar shows the words `beside` it."""
        self.done = done
        if self._bar is not None:
            self._bar.n = done
            self._bar.set_postfix(beside)

    def close(self) -> None:
        """Ends the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def watched(what: str) -> Callable[[Sequence[Item]], Iterator[Item]]:
    """A function that gives a sequence's items one by one and shows how far it is."""

    def watch(items: Sequence[Item]) -> Iterator[Item]:
        with Progress(len(items), what) as progress:
            for item in items:
                yield item
                progress.advance()

    return watch


def say(line: str) -> None:
    """Prints a line to standard output, above any bar."""
    tqdm.write(line, file=sys.stdout)
    sys.stdout.flush()
