"""LUV-Net, trained on POCUS, judged on another dataset: made DICOM files of phantoms.

    python experiments/pocus_elsewhere.py --manual_dir ../shared/data

Trains `configs/video_baselines.py:luvnet_pocus`, exports phantoms as a hospital hands
over its DICOM files with labelling sheets, and judges the run on them, thresholds kept.
It shows the way from one dataset to another; phantoms are no patients, and say nothing
of how well a network does in another hospital. Writes
`experiments/results/pocus_elsewhere.json`.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import logging

from ultrasound_jax import config as settings
from ultrasound_jax import external_validation
from ultrasound_jax.datasets.lus_phantom import export
from ultrasound_jax.predict import model_file
from ultrasound_jax.runs import cli, provenance
from ultrasound_jax.runs.files import read_json, write_whole
from ultrasound_jax.study.crossval import LONG
from ultrasound_jax.train import train_and_evaluate
from ultrasound_jax.training import compiling

ROOT = Path(__file__).parent.parent
CONFIG = "configs/video_baselines.py:luvnet_pocus"


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the command."""
    parser = cli.Parser(description=__doc__)
    parser.add_argument("--manual_dir", required=True, help="holds pocus/data")
    parser.add_argument("--data_dir", default="", help="of built datasets")
    parser.add_argument("--workdir", type=Path, default=Path("runs/pocus_elsewhere"))
    parser.add_argument(
        "--out", type=Path, default=ROOT / "experiments/results/pocus_elsewhere.json"
    )
    given = parser.parse_args(argv)
    return cli.guard(lambda prompt: run(given))


def run(given: argparse.Namespace) -> None:
    """Does what is not done yet and writes the results."""
    logging.set_verbosity(logging.ERROR)
    config = settings.load(str(ROOT / CONFIG))
    config.data.manual_dir, config.data.data_dir = given.manual_dir, given.data_dir
    settings.check(config)
    settings.complete(config)
    compiling.use_compilation_cache(config.compilation_cache)
    folder = (given.workdir / "run").absolute()
    own = folder / "metrics.json"
    metrics = read_json(own) if own.exists() else train_and_evaluate(config, folder)
    hospital = (given.workdir / "hospital").absolute()
    if not hospital.exists():
        export.main(["--out", str(hospital)])
    data: dict[str, Any] = {"name": "lus_clips", "manual_dir": str(hospital)}
    data["options.clip_frames"] = 16
    prepared = model_file.read(folder)["preprocessing"]["options"]
    changed = external_validation.other_data(config, data, prepared)
    out = folder / "on_lus_clips"
    there = external_validation.judge_elsewhere(changed, folder, out)
    results = {
        name: {k: v for k, v in tree["test"].items() if k not in LONG}
        for name, tree in (("own", metrics), ("elsewhere", there))
    }
    facts = {"run": provenance.facts(), "trained": metrics["run"], "config": CONFIG}
    facts["judged"] = there["run"]
    write_whole(given.out, json.dumps(facts | results, indent=1) + "\n")
    print(f"written: {given.out}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
