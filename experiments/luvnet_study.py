"""The whole LUV-Net study: every network, every fold, one report.

    python experiments/luvnet_study.py --shrink
    python experiments/luvnet_study.py --dataset pocus --manual_dir DIR
    python experiments/luvnet_study.py --dataset FILE.py[:VARIANT]

The first tries it out in minutes, on the phantom. Run the same command as often and on
as many GPUs or hosts as you like: each takes runs that nobody works on, an interrupted
one continues, and what is finished is skipped. All networks get the same patients,
folds, augmentation, budget and selection; with `--tune N` each first searches its own
learning rate on the validation patients of fold 0, who are test patients of fold 1: one
number a network is chosen with them in sight, alike for all. `--estimate` measures and
tells the hours, and trains nothing. Ends with `OUT/report/report.html` and
`OUT/results.json`.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from absl import logging

from ultrasound_jax import config as settings
from ultrasound_jax.runs import cli
from ultrasound_jax.runs.signals import Prompt
from ultrasound_jax.study import estimate, plan, results, work
from ultrasound_jax.training import compiling
from ultrasound_jax.types import Settings

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "configs/video_baselines.py"
# (dataset, recipe): the suffix of its variants in CONFIGS.
VARIANTS = {
    ("phantom", "tiny"): "_tiny",
    ("phantom", "small"): "",
    ("pocus", "small"): "_pocus",
    ("pocus", "full"): "_full",
    ("pocus", "paper"): "_paper",
}
OWN_DATA = {"tiny": "_tiny", "small": "_pocus", "full": "_full", "paper": "_paper"}
NETWORKS = (
    "luvnet luvnet_no_temporal usvn cnn_lstm frame_vote c3d r2plus1d_18 r2plus1d_34 "
    "vivit mvit_v1_b mvit_v2_s x3d_s"
).split()


def parser() -> cli.Parser:
    """The words that the command takes."""
    made = cli.Parser(description=__doc__)
    made.add_argument(
        "--models",
        nargs="+",
        choices=NETWORKS,
        default=NETWORKS,
        metavar="NAME",
        help=f"some of: {', '.join(NETWORKS)}; the first is compared with the others",
    )
    made.add_argument(
        "--dataset",
        default="phantom",
        help="phantom, pocus, or a configuration FILE[:VARIANT] with the dataset",
    )
    made.add_argument(
        "--recipe",
        choices=("tiny", "small", "full", "paper"),
        default="small",
        help="sizes and protocol, as configs/video_baselines.py explains them",
    )
    made.add_argument("--shrink", action="store_true", help="the same as --recipe tiny")
    made.add_argument(
        "--manual_dir", default="", help="of the dataset's original files"
    )
    made.add_argument("--data_dir", default="", help="of built datasets")
    made.add_argument("--tune", type=int, default=0, metavar="N", help="rates to try")
    made.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting of configs/_base.py for all networks, such as train.epochs=4",
    )
    made.add_argument("--estimate", action="store_true", help="tell the hours and end")
    made.add_argument("--out", type=Path, help="the study's folder; runs/study-…")
    return made


def load(name: str, given: argparse.Namespace) -> Settings:
    """A network's settings on the chosen dataset."""
    recipe = "tiny" if given.shrink else given.recipe
    known = (given.dataset, recipe) in VARIANTS
    if not known and given.dataset in {dataset for dataset, _ in VARIANTS}:
        pairs = ", ".join(f"{d} with {r}" for d, r in VARIANTS)
        raise plan.StudyError(
            f"--dataset {given.dataset} --recipe {recipe}: allowed are {pairs}, or a "
            "configuration file as --dataset"
        )
    suffix = VARIANTS[given.dataset, recipe] if known else OWN_DATA[recipe]
    config = settings.load(f"{CONFIGS}:{name}{suffix}")
    if not known:
        take_dataset(config, settings.load(given.dataset))
    config.data.manual_dir, config.data.data_dir = given.manual_dir, given.data_dir
    settings.override(config, given.set)
    return config


def take_dataset(config: Settings, other: Settings) -> None:
    """Takes over which examples there are, and how patients share the batches.

    Raises ConfigError where the other settings have no dataset.
    """
    settings.check(other)
    with config.data.unlocked():
        config.data.options = other.data.options
    config.data.name, config.data.sampling = other.data.name, other.data.sampling


def default_out(given: argparse.Namespace) -> Path:
    """`runs/study-<dataset>-<recipe>`."""
    recipe = "tiny" if given.shrink else given.recipe
    words = Path(given.dataset.partition(":")[0]).stem, given.dataset.partition(":")[2]
    return Path("runs") / "-".join(w for w in ("study", *words, recipe) if w)


def run(
    given: argparse.Namespace,
    say: Callable[[str], None] = print,
    leave: Callable[[], int] = lambda: 0,
) -> dict[str, Any]:
    """Works on the study until nothing is left to take, and reports what is done.

    Between two pieces of work it leaves by KeyboardInterrupt if `leave` says so.
    """
    configs = {name: load(name, given) for name in dict.fromkeys(given.models)}
    out = given.out or default_out(given)
    study = plan.make_study(configs, out, trials=given.tune)
    compiling.use_compilation_cache(next(iter(configs.values())).compilation_cache)
    plan.prepare(study, say)
    if given.estimate:
        return estimate.estimate(study, say)
    plan.check_runs(study)
    plan.write_settings(study)
    outcome = work.work(work.pieces_of(study), say, leave)
    if outcome.elsewhere:
        say("the worker that ends last writes the report")
        return {}
    tree = results.conclude(study, outcome, say)
    if outcome.failed:
        first, reason = next(iter(outcome.failed.items()))
        raise plan.StudyError(
            f"{len(outcome.failed)} of the runs failed, and the report is without "
            f"their networks; {first}: {reason}"
        )
    return tree


def main(words: Sequence[str] | None = None) -> int:
    """Runs the command line; an error of ours is one line and exit code 2."""
    given = parser().parse_args(words)
    logging.set_verbosity(logging.ERROR)

    def work(prompt: Prompt) -> None:
        run(given, leave=prompt.received)

    return cli.guard(work)


if __name__ == "__main__":
    sys.exit(main())
