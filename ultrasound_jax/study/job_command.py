"""The command line of a study that is made of jobs: what all of them share."""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from absl import logging

from ultrasound_jax.config import parsed
from ultrasound_jax.runs import cli
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.runs.signals import Prompt
from ultrasound_jax.study import jobs
from ultrasound_jax.training import compiling


@runtime_checkable
class JobStudy(Protocol):
    """A study as the command needs it."""

    @property
    def cache(self) -> str:
        """Where compiled steps are kept."""
        ...

    def jobs(self) -> list[jobs.Job]:
        """Every job, the most telling first."""
        ...

    def minutes(
        self, names: Sequence[str], say: Callable[[str], None]
    ) -> dict[str, float]:
        """Measured minutes of those that train, by a few steps of each."""
        ...


def parser(about: str, *, out: Path, others: Sequence[str]) -> cli.Parser:
    """The words that the command takes.

    Args:
        about: what `--help` begins with.
        out: of the runs, where none is given.
        others: options that name other sets to be judged on.
    """
    made = cli.Parser(description=about)
    add = made.add_argument
    add("--manual_dir", default="", help="holds the datasets' files")
    add("--weights", required=True, help="of the encoder: .safetensors")
    add("--data_dir", default="", help="of built datasets")
    add("--out", type=Path, default=out, help="of the runs")
    add("--results", type=Path, help="of the JSON files; OUT/results")
    add("--jobs", nargs="+", default=(), metavar="NAME", help="and what they need")
    add("--minutes", type=float, default=0.0, help="then it stops; 0 goes to the end")
    add("--plan", action="store_true", help="list the jobs and end")
    add("--measure", action="store_true", help="time steps for the plan and end")
    add("--shrink", action="store_true", help="phantoms, tiny networks, one epoch")
    for name in others:
        add(f"--{name}", nargs="+", default=(), metavar="KEY=VALUE", help="judged on")
    return made


def run(
    given: argparse.Namespace, study: JobStudy, prompt: Prompt, *, prefix: str
) -> None:
    """Does what the command line asks for; files of results begin with `prefix`."""
    logging.set_verbosity(logging.ERROR)
    out = given.out.absolute()
    made = jobs.chosen(study.jobs(), given.jobs)
    place = jobs.Place(out, (given.results or out / "results").absolute(), prefix)
    compiling.use_compilation_cache(study.cache)
    if given.plan:
        jobs.plan(made, place, print)
    elif given.measure:
        measured = study.minutes([job.name for job in made], print)
        text = json.dumps({"minutes": measured}, indent=1)
        write_whole(out / jobs.PLAN, text + "\n")
        jobs.plan(made, place, print)
    else:
        jobs.run(made, place, minutes=given.minutes, received=prompt.received)


def words(given: Sequence[str]) -> dict[str, Any]:
    """`["name=folder", "options.size=224"]` as an object."""
    found: dict[str, Any] = {}
    for word in given:
        key, equals, text = word.partition("=")
        if not equals:
            raise jobs.JobError(f"'{word}' is not allowed: it must be KEY=VALUE")
        found[key] = parsed(text) if key.startswith("options.") else text
    return found
