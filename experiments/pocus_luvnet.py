"""LUV-Net against frame voting on the POCUS videos, cross-validated over patients.

    python experiments/pocus_luvnet.py --manual_dir ../shared/data

Both networks get the same folds, augmentation, budget and selection. A fold that is
done is not trained again, so the command goes on where it was interrupted. Writes
`experiments/results/pocus_luvnet.json`.
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
    "luvnet": "configs/luvnet.py:pocus",
    "frame_vote": "configs/luvnet.py:pocus_frame_vote",
}


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the command."""
    parser = cli.Parser(description=__doc__)
    parser.add_argument("--manual_dir", required=True, help="holds pocus/data")
    parser.add_argument("--data_dir", default="", help="of built datasets")
    parser.add_argument("--workdir", type=Path, default=Path("runs/pocus_study"))
    parser.add_argument("--epochs", type=int, help="fewer, to try the command")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "experiments/results/pocus_luvnet.json"
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
    print(f"written: {given.out}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
