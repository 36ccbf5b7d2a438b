"""What our convolutions, pools and compiler's options make of whole steps.

    python experiments/conv_steps.py

The training and evaluation step of a shipped configuration (without its augmentation)
twice in one process: as it is (`models/_parts/image_conv.py`, `max_pool.py`,
`training/compiling.py`), and with all of it left to XLA. They take turns;
told are the medians of wall and CPU milliseconds and their ratios, and how far the
losses of the first steps are apart. Writes `experiments/results/conv_steps.json`.
"""

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from ultrasound_jax import config as settings
from ultrasound_jax.models._parts import image_conv, max_pool, stem
from ultrasound_jax.runs import cli, provenance
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.study.benchmark_torch import OurSteps, interleaved
from ultrasound_jax.training import compiling

ROOT = Path(__file__).parent.parent
OUT = ROOT / "experiments/results/conv_steps.json"
CONFIGS = ("configs/luvnet.py:", "configs/luvnet.py:pocus")
STEPS_COMPARED = 3


@contextlib.contextmanager
def xla_alone() -> Iterator[None]:
    """What is compiled within has XLA's convolutions and pools, by its defaults."""
    with (
        mock.patch.object(image_conv, "fits", lambda *shapes: False),
        mock.patch.object(image_conv, "gains", lambda *shapes: False),
        mock.patch.object(stem, "max_pool", max_pool.by_xla),
        mock.patch.object(compiling, "xla_options", lambda: None),
    ):
        yield


def measure(name: str, repeats: int, batch: int | None) -> dict[str, Any]:
    """The two versions of one configuration's steps."""
    config = settings.load(name)
    config.augment = []
    if batch:
        config.data.batch_size = config.data.eval_batch_size = batch
    ours = OurSteps(config)
    with xla_alone():
        plain = OurSteps(config)
    losses = [(ours.train(), plain.train()) for _ in range(STEPS_COMPARED)]
    found: dict[str, Any] = {"losses_ours_and_xla": losses}
    for part, calls in {
        "train": {"ours": ours.train, "xla": plain.train},
        "eval": {"ours": ours.evaluate, "xla": plain.evaluate},
    }.items():
        wall, cpu = interleaved(calls, repeats)
        figures = {f"{way}_ms": 1e3 * wall[way] for way in calls}
        figures |= {f"{way}_cpu_ms": 1e3 * cpu[way] for way in calls}
        figures["xla_to_ours"] = wall["xla"] / wall["ours"]
        figures["xla_to_ours_cpu"] = cpu["xla"] / cpu["ours"]
        found[part] = figures
        print(name, part, json.dumps(figures), flush=True)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes the file."""
    parser = cli.Parser(description=__doc__)
    parser.add_argument("--configs", nargs="+", default=CONFIGS)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument(
        "--batch", type=int, help="rows; the configuration's if not given"
    )
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args(arguments)

    def work(_: Any) -> None:
        found = {n: measure(n, given.repeats, given.batch) for n in given.configs}
        load = [round(value, 1) for value in os.getloadavg()]
        about = {"run": provenance.facts(), "load_average": load}
        about["repeats"] = given.repeats
        text = json.dumps(about | {"steps": found}, indent=1)
        write_whole(given.out, text + "\n")

    return cli.guard(work)


if __name__ == "__main__":
    sys.exit(main())
