"""What a run tells while it trains: lines, a progress bar, scalars, lost time."""

import contextlib
import csv
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import jax
import numpy as np

from ultrasound_jax.runs.bar import Progress, say
from ultrasound_jax.runs.files import whole_file
from ultrasound_jax.training.events import Events
from ultrasound_jax.types import ArrayTree, InputError


class Console:
    """Lines, and a progress bar when standard error is a terminal.

    Only process 0 speaks.
    """

    def __init__(self) -> None:
        self._speaks = jax.process_index() == 0
        self._bar: Progress | None = None
        self._started = time.monotonic()

    def say(self, line: str) -> None:
        """Prints a line above the progress bar."""
        if self._speaks:
            say(line)

    def start(self, total: int, *, done: int, examples_a_step: int) -> None:
        """Begins counting steps; `done` of `total` were made before."""
        self._total, self._first, self._examples = total, done, examples_a_step
        self._started = time.monotonic()
        if self._speaks:
            self._bar = Progress(total, "steps", done=done)

    def step(self, step: int, scalars: Mapping[str, float]) -> None:
        """Shows fetched scalars with examples a second and the time left."""
        seconds = max(time.monotonic() - self._started, 1e-9)
        rate = (step - self._first) / seconds
        shown = {name: f"{value:.4g}" for name, value in scalars.items()}
        shown["examples/s"] = f"{rate * self._examples:.1f}"
        if self._bar is not None and self._bar.on_terminal:
            self._bar.reach(step, shown)
            return
        left = (self._total - step) / rate if rate else float("inf")
        words = "  ".join(f"{name} {value}" for name, value in shown.items())
        self.say(f"step {step}/{self._total}  {words}  left {left:.0f} s")

    def close(self, line: str) -> None:
        """Ends the progress bar and prints a last line."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        self.say(line)


class Scalars:
    """Scalars over steps, as `scalars.csv` and TensorBoard events.

    A run that continues at `step` drops what it had written for later steps, so that
    an interrupted run leaves the same rows as an unbroken one.
    """

    FIELDS = ("step", "name", "value")

    def __init__(self, folder: Path, *, step: int) -> None:
        self._file = self._board = None
        if jax.process_index():
            return
        path = folder / "scalars.csv"
        kept: list[list[str]] = []
        if path.exists():
            kept = _rows_until(path, step)
        with whole_file(path) as temporary, temporary.open("w", newline="") as file:
            csv.writer(file).writerows([self.FIELDS, *kept])
        self._path, self._file = path, path.open("a", newline="")
        self._board = Events(folder / "tensorboard", begin=step + 1)

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Adds scalars of one step."""
        if self._file is None or self._board is None:
            return
        rows = csv.writer(self._file)
        try:
            for name, value in scalars.items():
                rows.writerow([step, name, f"{value:.9g}"])
            self._file.flush()
        except OSError as error:
            raise InputError(
                f"{self._path}: cannot be written: {error.strerror}"
            ) from error
        self._board.write(step, scalars)

    def __enter__(self) -> "Scalars":
        return self

    def __exit__(self, *error: object) -> None:
        if self._file is not None and self._board is not None:
            # What could not be written has been told by `write`, and is tried again.
            with contextlib.suppress(OSError):
                self._file.close()
            self._board.close()


def _rows_until(path: Path, step: int) -> list[list[str]]:
    try:
        rows = list(csv.reader(path.read_text().splitlines()))[1:]
        return [row for row in rows if len(row) == 3 and int(row[0]) <= step]
    except (ValueError, csv.Error) as error:
        raise InputError(
            f"{path}: cannot be read: {error}; once removed, it is begun anew"
        ) from error


class Stopwatch:
    """Seconds by what they went to: data, compile, training, evaluation, saving."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def add(self, seconds: Mapping[str, float]) -> None:
        """Adds what earlier sessions of the same run have spent."""
        for purpose, spent in seconds.items():
            self.seconds[purpose] = self.seconds.get(purpose, 0.0) + spent

    @contextlib.contextmanager
    def of(self, purpose: str) -> Iterator[None]:
        """Adds the time of the block to `purpose`."""
        start = time.monotonic()
        try:
            yield
        finally:
            spent = time.monotonic() - start
            self.seconds[purpose] = self.seconds.get(purpose, 0.0) + spent

    def rounded(self) -> dict[str, float]:
        """The seconds to a tenth."""
        return {name: round(s, 1) for name, s in sorted(self.seconds.items())}

    def minutes(self) -> str:
        """All of it in minutes, to a tenth."""
        return f"{sum(self.seconds.values()) / 60:.1f}"

    def line(self) -> str:
        """All of it in one line."""
        total = sum(self.seconds.values())
        parts = (f"{name} {s:.1f} s" for name, s in sorted(self.seconds.items()))
        return f"time: {', '.join(parts)}; together {total:.1f} s"


def parameter_table(params: ArrayTree, *, depth: int = 2) -> str:
    """Parameters by module, `depth` names deep, with their count and sum."""
    counts: dict[str, int] = {}
    leaves, _ = jax.tree_util.tree_flatten_with_path(params)
    for path, leaf in leaves:
        names = jax.tree_util.keystr(path, simple=True, separator="/").split("/")
        module = "/".join(names[:-1][:depth]) or names[0]
        counts[module] = counts.get(module, 0) + int(np.prod(leaf.shape))
    counts["all"] = sum(counts.values())
    width = max(len(name) for name in counts)
    return "\n".join(f"{name:<{width}}  {n:>13,}" for name, n in counts.items())
