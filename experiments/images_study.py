"""Pretrained encoders, augmentations and splits on BUSI and POCUS: about six hours.

    python experiments/images_study.py --manual_dir ../shared/data \
        --weights ../shared/weights/efficientnet_lite0.safetensors

Jobs in order of value; `--plan` lists them with their sizes. The same command goes on
where it was interrupted, `--minutes N` stops it in time, and `--jobs NAME …` does some
of them with what they need. `--measure` times a few steps of each, which tells how long
all will take here. Each job writes its JSON as soon as it is done into
`OUT/results`; copied to `experiments/results` they are what
`experiments/readme_tables.py` makes the tables of docs/images_study.md from.
`--shrink` tries all of it on the embedded phantoms.

`--breasts` and `--lungs` name other sets to be judged on, as `KEY=VALUE …` of
`config.data` (`name=folder manual_dir=DIR`); without them it is the phantoms, which are
no patients.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import logging

from ultrasound_jax.config import parsed
from ultrasound_jax.runs import cli
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.runs.signals import Prompt
from ultrasound_jax.study import image_study, jobs
from ultrasound_jax.training import compiling

ROOT = Path(__file__).parent.parent
PREFIX = "images_"


def parser() -> cli.Parser:
    """The words that the command takes."""
    made = cli.Parser(description=__doc__)
    add = made.add_argument
    add("--manual_dir", default="", help="holds the datasets' files")
    add("--weights", required=True, help="of the encoder: .safetensors")
    add("--data_dir", default="", help="of built datasets")
    add("--out", type=Path, default=Path("runs/images_study"), help="of the runs")
    add("--results", type=Path, help="of the JSON files; OUT/results")
    add("--jobs", nargs="+", default=(), metavar="NAME", help="and what they need")
    add("--minutes", type=float, default=0.0, help="then it stops; 0 goes to the end")
    add("--plan", action="store_true", help="list the jobs and end")
    add("--measure", action="store_true", help="time steps for the plan and end")
    add("--shrink", action="store_true", help="phantoms, tiny networks, one epoch")
    add("--breasts", nargs="+", default=(), metavar="KEY=VALUE", help="judged on")
    add("--lungs", nargs="+", default=(), metavar="KEY=VALUE", help="judged on")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the command."""
    given = parser().parse_args(argv)
    return cli.guard(lambda prompt: run(given, prompt))


def run(given: argparse.Namespace, prompt: Prompt) -> None:
    """Does what the command line asks for."""
    logging.set_verbosity(logging.ERROR)
    sizes = image_study.SHRUNK if given.shrink else image_study.FULL
    out = given.out.absolute()
    given_data = image_study.Where(
        configs=ROOT / "configs",
        manual_dir=given.manual_dir,
        data_dir=given.data_dir,
        weights=given.weights,
        out=out,
        breasts=words(given.breasts),
        lungs=words(given.lungs),
    )
    study = image_study.ImageStudy(given_data, sizes)
    made = jobs.chosen(study.jobs(), given.jobs)
    place = jobs.Place(out, (given.results or out / "results").absolute(), PREFIX)
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


def words(given: Sequence[str]) -> dict[str, object]:
    """`["name=folder", "options.size=224"]` as an object."""
    found = {}
    for word in given:
        key, equals, text = word.partition("=")
        if not equals:
            raise jobs.JobError(f"'{word}' is not allowed: it must be KEY=VALUE")
        found[key] = parsed(text) if key.startswith("options.") else text
    return found


if __name__ == "__main__":
    sys.exit(main())
