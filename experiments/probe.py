"""Linear probes of EfficientNet-Lite0 on BUSI and on the POCUS videos, cross-validated.

    python experiments/probe.py --manual_dir ../shared/data \
        --weights ../shared/weights/efficientnet_lite0.safetensors

Features that were computed are kept, so the command goes on where it was interrupted.
Writes `experiments/results/probe_busi.json` and `probe_pocus.json`.
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
from ultrasound_jax.study.crossval import rotated, worth_keeping
from ultrasound_jax.study.probe import probe

ROOT = Path(__file__).parent.parent
CONFIGS = {"busi": "configs/probe.py:busi", "pocus": "configs/probe.py:pocus"}


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the command."""
    parser = cli.Parser(description=__doc__)
    parser.add_argument("--manual_dir", required=True, help="holds the datasets' files")
    parser.add_argument("--weights", required=True, help="a run, or .safetensors")
    parser.add_argument("--data_dir", default="", help="of built datasets")
    parser.add_argument("--workdir", type=Path, default=Path("runs/probe"))
    parser.add_argument("--sets", nargs="+", choices=CONFIGS, default=[*CONFIGS])
    parser.add_argument("--out", type=Path, default=ROOT / "experiments/results")
    given = parser.parse_args(argv)
    return cli.guard(lambda prompt: run(given))


def run(given: argparse.Namespace) -> None:
    """Probes each set and writes its results."""
    logging.set_verbosity(logging.ERROR)
    for name in given.sets:
        config = settings.load(str(ROOT / CONFIGS[name]))
        config.data.manual_dir, config.data.data_dir = given.manual_dir, given.data_dir
        config.init_from = given.weights
        config = rotated(config)
        metrics = probe(config, (given.workdir / name).absolute())
        facts = {"run": provenance.facts(), "config": CONFIGS[name]}
        found = {name: worth_keeping(metrics, "probe")}
        path = given.out / f"probe_{name}.json"
        write_whole(path, json.dumps(facts | found, indent=1) + "\n")
        print(f"written: {path}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
