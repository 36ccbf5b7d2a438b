"""Segmentation of BUSI's lesions and of lungs in CT slices: about four hours.

    python experiments/masks_study.py --manual_dir ../shared/data \
        --weights ../shared/weights/efficientnet_lite0.safetensors

Jobs in order of value; `--plan` lists them with their sizes. The same command goes on
where it was interrupted, `--minutes N` stops it in time, and `--jobs NAME …` does some
of them with what they need. `--measure` times a few steps of each, which tells how long
all will take here. Each job writes its JSON as soon as it is done into
`OUT/results`; copied to `experiments/results` they are what
`experiments/readme_tables.py` makes the tables of docs/masks_study.md from.
`--shrink` tries all of it on the embedded phantoms.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ultrasound_jax.runs import cli
from ultrasound_jax.runs.signals import Prompt
from ultrasound_jax.study import job_command, mask_study

ROOT = Path(__file__).parent.parent
OUT = Path("runs/masks_study")


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the command."""
    given = job_command.parser(str(__doc__), out=OUT, others=()).parse_args(argv)
    return cli.guard(lambda prompt: run(given, prompt))


def run(given: argparse.Namespace, prompt: Prompt) -> None:
    """Does what the command line asks for."""
    where = mask_study.Where(
        configs=ROOT / "configs",
        manual_dir=given.manual_dir,
        data_dir=given.data_dir,
        weights=given.weights,
        out=given.out.absolute(),
    )
    sizes = mask_study.SHRUNK if given.shrink else mask_study.FULL
    study = mask_study.MaskStudy(where, sizes)
    job_command.run(given, study, prompt, prefix="masks_")


if __name__ == "__main__":
    sys.exit(main())
