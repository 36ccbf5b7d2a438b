"""BUSI classified and segmented, cross-validated over groups of near duplicates.

    python experiments/busi_baselines.py --manual_dir ../shared/data

A fold that is done is not trained again, so the command goes on where it was
interrupted. Writes `experiments/results/busi_baselines.json`, and the contact sheet of
the segmentation as `docs/figures/busi_lesions.png`.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import logging

from ultrasound_jax import config as settings
from ultrasound_jax.runs import cli, provenance
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.study.crossval import cross_validate_all

ROOT = Path(__file__).parent.parent
CONFIGS = {
    "classify": "configs/busi.py",
    "segment": "configs/busi.py:segment",
}


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the command."""
    parser = cli.Parser(description=__doc__)
    parser.add_argument("--manual_dir", required=True, help="holds busi/Dataset_…")
    parser.add_argument("--data_dir", default="", help="of built datasets")
    parser.add_argument("--workdir", type=Path, default=Path("runs/busi"))
    parser.add_argument("--epochs", type=int, help="fewer, to try the command")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "experiments/results/busi_baselines.json"
    )
    parser.add_argument(
        "--figure", type=Path, default=ROOT / "docs/figures/busi_lesions.png"
    )
    given = parser.parse_args(argv)
    return cli.guard(lambda prompt: run(given))


def run(given: argparse.Namespace) -> None:
    """Trains what is missing and writes the results."""
    logging.set_verbosity(logging.ERROR)
    configs = {}
    for name, file in CONFIGS.items():
        config = configs[name] = settings.load(str(ROOT / file))
        config.data.manual_dir, config.data.data_dir = given.manual_dir, given.data_dir
        config.train.epochs = given.epochs or config.train.epochs
    results = cross_validate_all(configs, given.workdir)
    for name, file in CONFIGS.items():
        results[name]["config"] = file
    text = json.dumps({"run": provenance.facts()} | results, indent=1)
    write_whole(given.out, text + "\n")
    sheet = (given.workdir / "segment" / "contact_sheet.png").read_bytes()
    write_whole(given.figure, sheet)
    print(f"written: {given.out}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
