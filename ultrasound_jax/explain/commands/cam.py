"""Whether a network looked at what people outlined: class activation maps, judged.

  cam RUN [RUN…] --out DIR [--masks DIR]

RUN is a run on still images, or a cross-validation, whose folds judge the images that
they did not see. `--masks DIR` has the regions that physicians outlined, one picture an
example, `<example_id>.png` of the image's size; without it the dataset's own masks are
taken. Examples without a region are left out, counted and listed. Writes into
DIR/<run>/:
  cam.html, cam.md       the verdict, agreement beside chance, tests, by class, pictures
  cam.json               all numbers, who was left out, and what computed them
  cam.csv                one row an example
  overlays.png, nulls.png
"""

import argparse
from pathlib import Path

from absl import logging

from ultrasound_jax.analysis.table.inputs import (
    add_run_arguments,
    make_folder,
    open_runs,
)
from ultrasound_jax.explain.draw.map_page import FILES, write_maps
from ultrasound_jax.explain.draw.map_sheet import EACH
from ultrasound_jax.explain.errors import ExplainError
from ultrasound_jax.explain.see.image_maps import METHODS
from ultrasound_jax.explain.see.judged_maps import Asked, judge_run
from ultrasound_jax.runs.names import file_name

SPLITS = ("train", "validation", "test")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what this verb takes."""
    usual = Asked()
    add_run_arguments(parser)
    parser.add_argument(
        "--masks",
        type=Path,
        metavar="DIR",
        help="regions, <example_id>.png each (default: the dataset's masks)",
    )
    parser.add_argument(
        "--split",
        choices=SPLITS,
        default=usual.split,
        help=f"examples (default {usual.split})",
    )
    parser.add_argument(
        "--class",
        dest="of_class",
        default=usual.of_class,
        metavar="CLASS",
        help=f"whose map: {usual.of_class} (default), true, or a class's name",
    )
    parser.add_argument(
        "--method",
        choices=METHODS,
        help="default: exact where the network's logits are linear in its maps",
    )
    parser.add_argument(
        "--stage",
        type=int,
        metavar="N",
        help="of Grad-CAM, from 1, the finest (default: the last)",
    )
    parser.add_argument(
        "--examples", type=int, default=EACH, help=f"a row of pictures (default {EACH})"
    )
    parser.add_argument(
        "--seed", type=int, default=usual.seed, help="of what is drawn (default 0)"
    )


def run(options: argparse.Namespace) -> int:
    """Judges and writes; returns 0.

    Raises:
        UltrasoundError: no such run, region, class or stage, or a run without weights
            or on clips.
    """
    logging.set_verbosity(logging.ERROR)  # TFDS tells of every file
    for name, least in (("examples", 1), ("seed", 0)):
        if getattr(options, name) < least:
            given = getattr(options, name)
            raise ExplainError(f"--{name} {given}: allowed is {least} or more")
    asked = Asked(**{name: getattr(options, name) for name in Asked.__annotations__})
    for opened in open_runs(options.runs):
        if opened.folder is None:
            raise ExplainError(
                f"{opened.name}: a table alone has no network to look into; give the "
                "run's folder"
            )
        judged = judge_run(opened.folder, asked, print)
        folder = make_folder(options.out / file_name(opened.name))
        print(f"{opened.name}, {judged.look.kind}, {len(judged.seen)} images")
        print(write_maps(folder, opened.name, judged, each=options.examples))
        print(f"written to {folder}: {', '.join(FILES)}")
    return 0
