"""Named pieces of work in order of value, each with one file of results.

What is done is not done again, what was interrupted goes on in its own folder, and a
job that fails keeps only those from being done that need it. So a study of many hours
is one command, which may be stopped and given again at any time.
"""

import gc
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax

from ultrasound_jax.runs import provenance
from ultrasound_jax.runs.files import read_json, write_whole
from ultrasound_jax.types import UltrasoundError


class JobError(UltrasoundError):
    """Jobs that are not there, or some of which failed."""


@dataclass(frozen=True)
class Job:
    """What is done in a folder of its own, and what its results begin with.

    about: in a line. sizes: what it costs and how large it is, for whoever reads the
    numbers. work: given the folder, returns what is found. needs: jobs before it.
    """

    name: str
    about: str
    sizes: Mapping[str, Any]
    work: Callable[[Path], Mapping[str, Any]] = field(repr=False)
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """Where a study lies: `folder` with a folder a job, `results` with their files."""

    folder: Path
    results: Path
    prefix: str

    def result(self, name: str) -> Path:
        """A job's file of results."""
        return self.results / f"{self.prefix}{name}.json"

    def done(self, name: str) -> bool:
        """Whether a job has them."""
        return self.result(name).exists()


def chosen(jobs: Sequence[Job], names: Sequence[str]) -> list[Job]:
    """The named jobs, and those that they need before them; all without names.

    Raises:
        JobError: there is no such job.
    """
    known = {job.name: job for job in jobs}
    for name in names:
        if name not in known:
            raise JobError(f"there is no job '{name}'; there are {', '.join(known)}")
    wanted, left = set(), list(names or known)
    while left:
        name = left.pop()
        if name not in wanted:
            wanted.add(name)
            left += known[name].needs
    return [job for job in jobs if job.name in wanted]


def run(
    jobs: Sequence[Job],
    place: Place,
    *,
    minutes: float = 0.0,
    say: Callable[[str], None] = print,
    received: Callable[[], int] = lambda: 0,
) -> None:
    """Does what is not done, until the minutes are over (0: to the end).

    Raises:
        JobError: some failed; the others are done.
    """
    begun, failed = time.monotonic(), dict[str, str]()
    with Deadline(60 * minutes) as deadline:
        try:
            for number, job in enumerate(jobs, 1):
                if deadline.over or received():  # where Python swallows exceptions
                    raise KeyboardInterrupt
                if not place.done(job.name):
                    where = f"{job.name} ({number} of {len(jobs)})"
                    say(f"== {where}: {job.about}; {left(jobs, place, failed)}")
                    attempt(job, place, failed, say)
        except (KeyboardInterrupt, SystemExit):
            if not deadline.over:
                raise
            say(f"{minutes:g} minutes are over; the same command goes on")
            return
    say(f"{(time.monotonic() - begun) / 60:.1f} minutes; {left(jobs, place, failed)}")
    if failed:
        name, why = next(iter(failed.items()))
        raise JobError(f"{len(failed)} of {len(jobs)} jobs failed; {name}: {why}")


def attempt(
    job: Job, place: Place, failed: dict[str, str], say: Callable[[str], None]
) -> None:
    """Does a job if what it needs is done; `failed` is told why it did not end."""
    if broken := [need for need in job.needs if not place.done(need)]:
        failed[job.name] = f"needs {', '.join(broken)}"
        return
    try:
        one(job, place)
    except (UltrasoundError, jax.errors.JaxRuntimeError) as error:
        failed[job.name] = " ".join(str(error).split())
        say(f"{job.name} failed: {failed[job.name]}")
    finally:
        jax.clear_caches()
        gc.collect()


def one(job: Job, place: Place) -> None:
    """Does a job and writes what it found, with who computed it and how long it took.

    `minutes` are this command's own; what an interrupted one did before stands in the
    runs' own times.
    """
    begun = time.monotonic()
    facts = provenance.facts()
    found = job.work(place.folder / job.name)
    head = {"name": job.name, "about": job.about, "sizes": dict(job.sizes)}
    head["minutes"] = round((time.monotonic() - begun) / 60, 1)
    tree = {"run": facts, "job": head, **found}
    text = json.dumps(tree, indent=1, allow_nan=False)
    write_whole(place.result(job.name), text + "\n")


def left(jobs: Sequence[Job], place: Place, failed: Collection[str] = ()) -> str:
    """How many are left, and how long they take if they are like those done."""
    done = [job for job in jobs if place.done(job.name)]
    open_ = [job for job in jobs if job not in done and job.name not in failed]
    if not open_:
        return f"{len(done)} of {len(jobs)} jobs done"
    known = [(estimate(job, place), minutes_of(job, place)) for job in done]
    pairs = [(guess, real) for guess, real in known if guess and real]
    guesses = [guess for job in open_ if (guess := estimate(job, place))]
    text = f"{len(open_)} of {len(jobs)} jobs left"
    if not guesses:
        return text
    pace = sum(r for _, r in pairs) / sum(g for g, _ in pairs) if pairs else 1.0
    without = len(open_) - len(guesses)
    more = f" and {without} that were not measured" if without else ""
    return f"{text}, about {pace * sum(guesses):.0f} minutes{more}"


def minutes_of(job: Job, place: Place) -> float | None:
    """The minutes that a job took, None if it is not done."""
    if not place.done(job.name):
        return None
    tree = read_json(place.result(job.name))
    return tree.get("minutes_trained") or tree["job"]["minutes"]


PLAN = "plan.json"  # in the study's folder: measured minutes by the job's name


def estimate(job: Job, place: Place) -> float | None:
    """The minutes that were measured for a job, None where none were."""
    file = place.folder / PLAN
    return read_json(file)["minutes"].get(job.name) if file.exists() else None


def plan(jobs: Sequence[Job], place: Place, say: Callable[[str], None]) -> None:
    """Tells each job's size and minutes: those that it took, or measured ones."""
    for job in jobs:
        took, guess = minutes_of(job, place), estimate(job, place)
        time_ = "not measured" if guess is None else f"about {guess:.1f} min"
        if took is not None:
            time_ = f"done, {took:.1f} min"
        sizes = ", ".join(f"{key} {value}" for key, value in job.sizes.items())
        say(f"{job.name:<34} {time_:>16}  {sizes}")
    say(left(jobs, place))


class Deadline:
    """Asks this process to stop as SIGTERM does, so that what runs is saved first."""

    def __init__(self, seconds: float) -> None:
        self.over = False
        self._timer = threading.Timer(seconds, self._end) if seconds else None

    def __enter__(self) -> "Deadline":
        if self._timer:
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._timer:
            self._timer.cancel()

    def _end(self) -> None:
        self.over = True
        os.kill(os.getpid(), signal.SIGTERM)
