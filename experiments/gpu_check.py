"""Everything that is to be known of a GPU, in one command and one file.

    python experiments/gpu_check.py --minutes 8

* `compile`: every published-width train and eval step, its seconds and its memory;
* `agree`: each network's logits on the device against the CPU's, in float32 (as the
  device does it, and at the highest precision) and bfloat16;
* `torch`: `benchmark torch` at published widths, where PyTorch is installed;
* `feed`: clips of 30 x 256 x 256 read by the pipeline, by plain TFDS, and what share of
  the time a published LUV-Net's step waits for them;
* `train`: LUV-Net, published, on such clips of the phantom for what time is left.

Each part has its share of the time that is left, and begins nothing after it; what has
begun is not stopped. What fails is recorded and ends nothing else. The file is written
after each piece; the same command does what it lacks, and what failed, once more.
Without a GPU it runs on the CPU, which takes hours unless `--size tiny` is given.
"""

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from ultrasound_jax import config as settings
from ultrasound_jax import evaluate
from ultrasound_jax import experiment as experiments
from ultrasound_jax.runs import cli, provenance
from ultrasound_jax.runs.files import read_json, write_whole
from ultrasound_jax.study import benchmark, benchmark_torch, shipped
from ultrasound_jax.training import steps
from ultrasound_jax.types import Settings

ROOT = Path(__file__).parent.parent
OUT = ROOT / "experiments/results/gpu_check.json"
PHANTOM = {"patients": 12, "videos": 1, "seed": 0}
LARGE = {"published": (256, 30.0), "small": (64, 16.0), "tiny": (32, 5.0)}
# Of the time that is left when the part begins.
SHARES = {"compile": 0.4, "agree": 0.25, "torch": 0.4, "feed": 0.3, "train": 1.0}
Piece = Callable[[float], dict[str, Any]]  # is told when its part ends


def config_of(name: str, size: str) -> Settings:
    """The shipped settings of a network in a size."""
    suffix = benchmark_torch.SIZES[size]
    file = f"configs/video_baselines.py:{name}{suffix}"
    return settings.load(benchmark_torch.IMAGES.get(name) or file)


def compile_pieces(given: argparse.Namespace) -> Iterator[tuple[str, Piece]]:
    """Each network's two steps."""
    for name in given.networks:

        def piece(ends: float, name: str = name) -> dict[str, Any]:
            experiment = shipped.abstract(config_of(name, given.size))
            found: dict[str, Any] = {}
            for step, function, shapes in shipped.programs(experiment):
                start = time.perf_counter()
                compiled = jax.jit(function).lower(*shapes).compile()
                found[step] = {
                    "seconds": round(time.perf_counter() - start, 1),
                    "memory_gib": {
                        part: round(size / 2**30, 3)
                        for part, size in steps.memory_bytes(compiled).items()
                    },
                }
            return found

        yield name, piece


def agree_pieces(given: argparse.Namespace) -> Iterator[tuple[str, Piece]]:
    """Each network's logits here and on the CPU."""
    for name in given.networks:

        def piece(ends: float, name: str = name) -> dict[str, Any]:
            config = config_of(name, given.size)
            config.dtype = "float32"
            task = shipped.task_of(config)
            about = experiments.network_settings(config)
            rows = benchmark_torch.rows_of_noise(config, 2)
            cpu, device = jax.devices("cpu")[0], jax.devices()[0]
            with jax.default_device(cpu):
                make = lambda: nnx.state(experiments.make_network(about, task, seed=0))  # noqa: E731
                values = jax.jit(make)()
            expected = logits_on(cpu, config, values, rows)
            scale = float(np.abs(expected).max())
            found: dict[str, Any] = {"largest_logit": scale}
            half = config.copy_and_resolve_references()
            half.dtype = "bfloat16"
            for kind, (other, precision) in {
                "float32": (config, None),
                "float32_highest": (config, "highest"),
                "bfloat16": (half, None),
            }.items():
                with jax.default_matmul_precision(precision or "default"):
                    logits = logits_on(device, other, values, rows)
                apart = float(np.abs(logits - expected).max())
                found[kind] = {"largest_difference": apart, "share": apart / scale}
            return found

        yield name, piece


def logits_on(device: Any, config: Settings, values: Any, rows: Any) -> np.ndarray:
    """What a network in evaluation says of a batch, computed by that device."""
    experiment = shipped.abstract(config)
    params, stats = nnx.split_state(values, nnx.Param, ...)
    task = experiment.task

    def forwards(params: Any, stats: Any, rows: Any) -> Any:
        inputs = task.inputs(task.floats(rows))
        return steps.apply(experiment.network, params, stats, inputs)["logits"]

    put = jax.device_put((params, stats, rows), device)
    return np.asarray(jax.jit(forwards)(*put), np.float32)


def torch_pieces(given: argparse.Namespace) -> Iterator[tuple[str, Piece]]:
    """Each network beside PyTorch."""
    for name in given.networks:

        def piece(ends: float, name: str = name) -> dict[str, Any]:
            minutes = max(ends - time.monotonic(), 1) / 60
            found = benchmark_torch.bench(
                [name],
                size=given.size,
                ways=given.ways,
                repeats=given.repeats,
                minutes=minutes,
            )
            return found["networks"][name]

        yield name, piece


def large_clips(given: argparse.Namespace) -> Settings:
    """LUV-Net in its size on phantom clips as large as the published networks'."""
    config = config_of("luvnet", given.size)
    side, rate = LARGE[given.size]
    with config.data.unlocked():
        options = settings.load("configs/luvnet.py").data.options
        options.update(PHANTOM | {"size": side, "frame_rate": rate})
        config.data.options = options
    config.data.name, config.data.data_dir = "lus_phantom", given.data_dir
    config.data.sampling, config.data.folds = "uniform", 3
    return config


def feed_pieces(given: argparse.Namespace) -> Iterator[tuple[str, Piece]]:
    """Reading alone, and reading with a step."""

    def reading(ends: float) -> dict[str, Any]:
        experiment = experiments.open_experiment(large_clips(given), print)
        return benchmark.bench_data(experiment, given.repeats)

    def loop(ends: float) -> dict[str, Any]:
        experiment = experiments.open_experiment(large_clips(given), print)
        return benchmark.bench_loop(experiment, given.repeats)

    yield "reading", reading
    yield "loop", loop


def train_pieces(given: argparse.Namespace) -> Iterator[tuple[str, Piece]]:
    """LUV-Net until the time is over."""

    def piece(ends: float) -> dict[str, Any]:
        config = large_clips(given)
        experiment = experiments.open_experiment(config, print)
        train = benchmark.TrainStep(experiment)
        feed = benchmark.device_stream(experiment)
        losses: list[float] = []
        start = time.monotonic()
        while not losses or time.monotonic() < ends:
            train.batch = next(feed)
            losses.append(float(jax.block_until_ready(train.once())["loss"]))
            if not math.isfinite(losses[-1]):
                raise FloatingPointError(f"loss {losses[-1]} at step {len(losses)}")
        seconds = time.monotonic() - start
        weights = steps.evaluated(train.state)
        return {
            "steps": len(losses),
            "clips_per_s": len(losses) * config.data.batch_size / seconds,
            "first_losses": losses[:10],
            "last_losses": losses[-10:],
            "validation": evaluate.validate(experiment, weights),
        }

    yield "luvnet", piece


PIECES = {
    "compile": compile_pieces,
    "agree": agree_pieces,
    "torch": torch_pieces,
    "feed": feed_pieces,
    "train": train_pieces,
}


def check(given: argparse.Namespace) -> dict[str, Any]:
    """What the file has once what it lacked was done, for as long as there is time."""
    ends = time.monotonic() + 60 * given.minutes
    about = {"size": given.size, "parts": {part: {} for part in PIECES}}
    tree = begun(given.out, about)
    for part in given.parts:
        left = ends - time.monotonic()
        part_ends = time.monotonic() + SHARES[part] * max(left, 0)
        done = tree["parts"].setdefault(part, {})
        for name, piece in PIECES[part](given):
            if name in done and not {"failed", "left_out"} & done[name].keys():
                continue
            if time.monotonic() > part_ends:
                done[name] = {"left_out": "no time was left"}
            else:
                done[name] = outcome(piece, part_ends)
            print(f"{part} {name}: {json.dumps(done[name])[:160]}", flush=True)
            tree["run"] = provenance.facts()
            write_whole(given.out, json.dumps(tree, indent=1) + "\n")
    return tree


def begun(out: Path, about: dict[str, Any]) -> dict[str, Any]:
    """What an earlier call by the same commit and in the same size has written."""
    if not out.exists():
        return about
    tree = read_json(out)
    commit = tree.get("run", {}).get("commit")
    same = commit == provenance.commit() and tree.get("size") == about["size"]
    return tree if same else about


def outcome(piece: Piece, ends: float) -> dict[str, Any]:
    """What a piece found, or how it failed, and its seconds."""
    start = time.monotonic()
    try:
        found = piece(ends)
    except Exception as error:  # whatever it is, the other pieces go on
        line = " ".join(str(error).split())[:300]
        found = {"failed": f"{type(error).__name__}: {line}"}
    return found | {"seconds": round(time.monotonic() - start, 1)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Checks, and says what failed; exit code 1 where something did."""
    parser = cli.Parser(description=__doc__)
    known = benchmark_torch.names()
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--size", choices=tuple(LARGE), default="published")
    parser.add_argument(
        "--parts", nargs="+", choices=tuple(PIECES), default=list(PIECES)
    )
    parser.add_argument("--networks", nargs="+", choices=known, default=known)
    parser.add_argument("--ways", nargs="+", default=benchmark_torch.WAYS[:2])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--data_dir", default="", help="of the phantom's large clips")
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args(arguments)

    def work(_: Any) -> int:
        with tempfile.TemporaryDirectory() as folder:
            given.data_dir = given.data_dir or folder
            tree = check(given)
        failed = [
            f"{part} {name}"
            for part, pieces in tree["parts"].items()
            for name, found in pieces.items()
            if "failed" in found
        ]
        print(f"failed: {', '.join(failed) or 'nothing'}", flush=True)
        return 1 if failed else 0

    return cli.guard(work)


if __name__ == "__main__":
    sys.exit(main())
