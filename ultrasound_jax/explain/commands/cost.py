"""What networks cost: parameters, MACs and FLOPs, memory, latency and throughput.

Give trained runs, a configuration, or a network's name:
  cost RUN [RUN…] --out DIR
  cost --config configs/luvnet.py --out DIR
  cost --model luvnet --encoder densenet161 --clip 30 256 256 --out DIR

Writes cost.json, a list with one row a network and batch size, and cost.md. Run it on a
machine that does nothing else. Input is grey images, or clips of full length, as the
program feeds them; --channels 3 counts a colour stem, as published counts do.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from absl import logging
from flax import nnx

from ultrasound_jax import config as settings
from ultrasound_jax import experiment as experiments
from ultrasound_jax import models, tasks
from ultrasound_jax.analysis.table.inputs import (
    make_folder,
    open_run,
)
from ultrasound_jax.data.dataset import open_dataset
from ultrasound_jax.data.spec import Spec
from ultrasound_jax.explain.cost import profile
from ultrasound_jax.explain.errors import ExplainError
from ultrasound_jax.models._parts.first_keys import first_keys
from ultrasound_jax.predict import model_file
from ultrasound_jax.runs import provenance
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.tasks import Task

FACTS = ("commit", "date", "devices", "cpu", "packages")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what this verb takes."""
    parser.add_argument("runs", nargs="*", metavar="RUN", help="a trained run's folder")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--config", metavar="FILE[:VARIANT]", help="instead of runs")
    parser.add_argument("--model", metavar="NAME", help="instead of runs")
    parser.add_argument("--encoder", help="of --model, if not its published one")
    parser.add_argument("--width", type=int, help="of --model's encoder or network")
    parser.add_argument(
        "--clip",
        type=int,
        nargs=3,
        default=(30, 256, 256),
        metavar=("FRAMES", "HEIGHT", "WIDTH"),
        help="of --model (default 30 256 256)",
    )
    parser.add_argument(
        "--image",
        type=int,
        nargs=2,
        default=(256, 256),
        metavar=("HEIGHT", "WIDTH"),
        help="of a --model of images (default 256 256)",
    )
    parser.add_argument("--patterns", type=int, default=4, help="of --model")
    parser.add_argument("--precision", default="float32", help="of --model")
    parser.add_argument("--channels", type=int, choices=(1, 3), default=1)
    parser.add_argument("--batch", type=int, nargs="+", default=[1], metavar="B")
    parser.add_argument("--repeats", type=int, default=30, help="timed batches")
    parser.add_argument("--warm-up", type=int, default=5, help="batches before those")


def run(options: argparse.Namespace) -> int:
    """Measures and writes; returns 0.

    Raises:
        UltrasoundError: no such run, configuration or network, a value that is not
            allowed, or counts that do not agree with XLA's.
    """
    logging.set_verbosity(logging.ERROR)  # TFDS tells of every file
    given = [bool(options.runs), bool(options.config), bool(options.model)]
    if sum(given) != 1:
        raise ExplainError("give one of: runs, --config FILE, --model NAME")
    for name in ("patterns", "repeats", "warm_up"):
        if getattr(options, name) < 1:
            flag = name.replace("_", "-")
            raise ExplainError(
                f"--{flag} {getattr(options, name)}: allowed is 1 or more"
            )
    for what in ("clip", "image", "batch"):
        sizes = getattr(options, what)
        if min(sizes) < 1:
            raise ExplainError(f"--{what} {min(sizes)}: allowed is 1 or more")
    facts = {k: v for k, v in provenance.facts().items() if k in FACTS}
    rows = []
    for subject in _subjects(options):
        for batch in options.batch:
            row = profile.measure(subject, batch, options.repeats, options.warm_up)
            rows.append(row | facts)
            print(profile.line(row))
    make_folder(options.out)
    write_whole(options.out / "cost.json", f"{json.dumps(rows, indent=2)}\n".encode())
    write_whole(options.out / "cost.md", (_page(rows)).encode())
    print(f"written to {options.out}: cost.json, cost.md")
    return 0


def _subjects(options: argparse.Namespace) -> Iterator[profile.Subject]:
    if options.model:
        yield _named(options)
        return
    if options.config:
        config = settings.load(options.config)
        settings.check(config)
        yield _configured(options.config, config, options.channels)
        return
    for path in options.runs:
        opened = open_run(path)
        if opened.folder is None:
            raise ExplainError(
                f"{path}: a table alone has no network; give the run's folder"
            )
        about = model_file.read(opened.folder)
        yield _described(opened.name, about, options.channels)


def _configured(name: str, config: Any, channels: int) -> profile.Subject:
    """The network of a configuration, for examples as its dataset has them."""
    source = open_dataset(config.data, print)
    task = tasks.build(
        config.task.name, source.spec, options=config.task.options.to_dict()
    )
    about = experiments.network_settings(config)
    return _subject(name, about, task, channels)


def _described(name: str, about: dict[str, Any], channels: int) -> profile.Subject:
    """The network of a run, which needs no dataset."""
    spec, task = Spec.from_json(about["spec"]), about["task"]
    task = tasks.build(task["name"], spec, options=task["options"])
    return _subject(name, about["network"], task, channels)


def _subject(
    name: str, about: Mapping[str, Any], task: Task, channels: int
) -> profile.Subject:
    make = partial(experiments.make_network, about, task, seed=0)
    pixels = task.spec.of_role("pixels")[0]
    *sides, _ = task.spec[pixels].batch_shape(pixels)
    return profile.subject_of(name, make, (*sides, channels), about["dtype"])


def _named(options: argparse.Namespace) -> profile.Subject:
    if ":" not in options.model and options.model not in models.names():
        allowed = ", ".join(models.names())
        raise ExplainError(f"--model {options.model!r}: allowed are {allowed}")
    reads = models.arguments_of(options.model)
    unit = profile.CLIP if profile.CLIP in reads else profile.IMAGE
    sides = tuple(getattr(options, unit))
    given = {"encoder": options.encoder, "width": options.width}
    given = {name: value for name, value in given.items() if value is not None}

    def make() -> nnx.Module:
        return models.build(
            options.model,
            patterns=options.patterns,
            dtype=options.precision,
            rngs=first_keys(0),
            **{f"{unit}_shape": sides},
            **given,
        )

    encoder = (models.options_of(options.model) | given).get("encoder")
    name = options.model + (f" {encoder}" if encoder else "")
    shape = (*sides, options.channels)
    return profile.subject_of(name, make, shape, options.precision)


def _page(rows: list[dict[str, Any]]) -> str:
    row, unit = rows[0], profile.units(rows)
    return (
        f"{profile.table(rows)}\n"
        f"Measured on {row['device']} ({row['cpu']}), {row['date']}, commit "
        f"{row['commit']}, {row['packages']}.\n\n"
        "GMACs: multiply-accumulates of convolutions and matrix products, those on "
        "zero padding included, as publications count. GFLOPs: twice as many. Both "
        "columns are to be compared with publications alone. XLA leaves padding out, "
        "and so does A, which is compared with it (all in GFLOPs). "
        "B: what XLA counts for these very products; A/B proves the arithmetic and "
        f"must be 1 within {profile.TOLERANCE:.0%}. C: what XLA counts for the whole "
        "program; A/C shows what A leaves out. Left out are element-wise operations: "
        "norms, activations, softmax, pools, means. They are much of a small or narrow "
        "network, where A/C falls well below 1, and little of a large one. XLA counts "
        "the body of a loop once, A as often as it runs: recurrent networks, and "
        "transformers that take their queries in turns, have an A/C above 1. "
        "Depth-wise convolutions are computed as sums of shifted copies; A and B have "
        "them as the convolutions that they are, C as those sums, with padding.\n\n"
        "Peak MiB: XLA's analysis of the compiled program, weights and input included. "
        f"Latency is of one batch, with a synchronisation each; {unit}s/s is of "
        "batches one behind the other, which a device may overlap.\n"
    )
