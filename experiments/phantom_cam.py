"""Do maps find the lesion of the phantom, and does the judgement know chance?

    python experiments/phantom_cam.py

Trains `configs/resnet_attention.py:clear` (minutes on two cores; a run that is there is
not trained again) and judges its maps on the test patients: exact ones, and Grad-CAM's
of every stage. Beside it networks that have learnt nothing, one a seed, on the same
images. Writes `experiments/results/phantom_cam.json`.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import jax
from absl import logging
from flax import nnx

from ultrasound_jax import config as settings
from ultrasound_jax import experiment as experiments
from ultrasound_jax.explain.see.image_maps import EXACT, GRAD_CAM, make_look
from ultrasound_jax.explain.see.judged_maps import (
    Asked,
    JudgedMaps,
    judge,
    judge_run,
)
from ultrasound_jax.runs import provenance
from ultrasound_jax.runs.files import read_json, write_whole
from ultrasound_jax.train import train_and_evaluate

ROOT = Path(__file__).parent.parent
CONFIG = "configs/resnet_attention.py:clear"
STAGES, SEEDS = (1, 2, 3, 4), range(5)


def configured(data_dir: str, seed: int) -> Any:
    """The experiment's settings."""
    config = settings.load(str(ROOT / CONFIG))
    config.data.data_dir, config.seed = data_dir, seed
    return config


def row(judged: JudgedMaps) -> dict[str, Any]:
    """What is kept of one judgement."""
    of_class = {
        name: {"measures": tree["measures"], "n": tree["n"], "better": tree["better"]}
        for name, tree in judged.by_class().items()
    }
    return {"maps": judged.look.kind} | judged.tree() | {"by_class": of_class}


def trained(folder: Path, data_dir: str) -> dict[str, Any]:
    """The judgements of the trained network, and how well it tells the classes."""
    started = time.monotonic()
    if not (folder / "predictions.csv").is_file():
        train_and_evaluate(configured(data_dir, 0), folder)
        minutes = (time.monotonic() - started) / 60
        write_whole(folder / "minutes.json", json.dumps(round(minutes, 1)))
    metrics = read_json(folder / "metrics.json")
    asked = [Asked(method=EXACT)]
    asked += [Asked(method=GRAD_CAM, stage=stage) for stage in STAGES]
    level = metrics["test"]["image"]
    return {
        "minutes": read_json(folder / "minutes.json"),
        "macro_auroc": level["macro_auroc"],
        "macro_auroc_ci": level["macro_auroc_ci"],
        "judged": [row(judge_run(folder, one, print)) for one in asked],
    }


def untrained(data_dir: str, seed: int) -> dict[str, Any]:
    """The judgement of a network as it starts."""
    opened = experiments.open_experiment(configured(data_dir, seed), print)
    weights = jax.device_get((opened.params, opened.stats))
    model = nnx.merge(opened.network.evaluation, *weights, copy=True)
    return {"seed": seed} | row(
        judge([(opened, make_look(model, opened.task))], Asked())
    )


def main() -> int:
    """The exit code of the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_dir", default="", help="of built datasets")
    parser.add_argument("--workdir", type=Path, default=Path("runs/phantom_cam"))
    parser.add_argument(
        "--out", type=Path, default=ROOT / "experiments/results/phantom_cam.json"
    )
    given = parser.parse_args()
    logging.set_verbosity(logging.ERROR)
    found = {"run": provenance.facts(), "config": CONFIG}
    found["trained"] = trained(given.workdir.absolute(), given.data_dir)
    found["untrained"] = [untrained(given.data_dir, seed) for seed in SEEDS]
    write_whole(given.out, json.dumps(found, indent=1) + "\n")
    print(f"written: {given.out}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
