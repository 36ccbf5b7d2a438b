"""Speed, as a ratio to a named alternative: `python -m ultrasound_jax.benchmark step`.

`data` reads batches, `step` trains and evaluates on one batch over and over, `loop`
does both together and says for how long the step waited; `all` is these three, on the
settings of `--config` (default configs/luvnet.py). `ingest` reads a clinical cine of 60
frames, made for it, and needs neither settings nor a dataset; `feed` reads phantom
clips of 30 x 256 x 256, as the published networks take them. `torch` runs every
network's steps beside PyTorch's, where that is installed, in a checkout. `augment`
takes pictures of `--pixels` squared through every primitive of a policy, and the held
out examples of `--config` through the candidates of a search. Everything is the median
of repeats within one process.
"""

import argparse
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from ultrasound_jax import augment
from ultrasound_jax import config as settings
from ultrasound_jax import experiment as experiments
from ultrasound_jax.data.dataset import training_batches
from ultrasound_jax.dicom.read import speed
from ultrasound_jax.experiment import Experiment
from ultrasound_jax.runs import cli, provenance
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.study import benchmark_augment, benchmark_torch
from ultrasound_jax.training import compiled as programs
from ultrasound_jax.training import compiling, optim, sharding, steps

WHAT = ("data", "step", "loop")
OTHERS = ("ingest", "feed", "torch", "augment")


def median_seconds(action: Callable[[], Any], repeats: int) -> float:
    """The median time of `action` after one call that is not counted."""
    jax.block_until_ready(action())
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(action())
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def median_of_stream(batches: Iterator[Any], count: int, repeats: int) -> float:
    """The median time of `count` batches in a row, after a first batch."""

    def draw() -> Any:
        return list(itertools.islice(batches, count))[-1]

    return median_seconds(draw, repeats) / count


def host_batches(experiment: Experiment) -> Any:
    """The training batches as they leave the reader."""
    places, config = experiment.indices["train"], experiment.config
    return training_batches(
        experiment.source,
        places,
        config.data,
        seed=config.seed,
        copies=augment.build(config.augment, data=config.data).copies,
    )


def device_stream(experiment: Experiment) -> Iterator[Any]:
    """Yields the training batches on the device, one after the other."""
    pairs = ((batch, None) for batch in host_batches(experiment))
    for batch, _ in sharding.ahead(pairs, experiment.mesh):
        yield jax.block_until_ready(batch)


def plain_stream(experiment: Experiment) -> Iterator[Any]:
    """Yields the same kind of batches the plain way: a loop over TFDS, then stack."""
    source, size = experiment.source, experiment.config.data.batch_size
    places = itertools.cycle(experiment.indices["train"].tolist())
    while True:
        records = [source.records[i] for i in itertools.islice(places, size)]
        rows = {"index": np.zeros(size, np.int32)}
        for name, field in source.spec.items():
            arrays = [record[name] for record in records]
            if field.padded:
                rows[f"{name}_length"] = np.array([len(a) for a in arrays], np.int32)
                rest = ((0, 0),) * (arrays[0].ndim - 1)
                arrays = [
                    np.pad(a, ((0, field.longest - len(a)), *rest)) for a in arrays
                ]
            rows[name] = np.stack(arrays)
        yield jax.block_until_ready(sharding.to_device(rows, experiment.mesh))


def bench_data(experiment: Experiment, repeats: int) -> dict[str, float]:
    """Clips a second from ArrayRecord to a batch on the device."""
    size = experiment.config.data.batch_size
    count = max(32 // size, 4)
    ours = median_of_stream(device_stream(experiment), count, repeats)
    plain = median_of_stream(plain_stream(experiment), count, repeats)
    return {
        "clips_per_s": size / ours,
        "plain_tfds_loop_clips_per_s": size / plain,
        "ratio_to_plain_tfds_loop": plain / ours,
    }


def bench_step(experiment: Experiment, repeats: int) -> dict[str, float]:
    """Clips a second of the train and the eval step alone, on one batch."""
    config = experiment.config
    train = TrainStep(experiment)
    ours = median_seconds(train.once, repeats)
    flax = median_seconds(FlaxStep(experiment, train.batch).once, repeats)
    rows = experiment.source.spec.empty(config.data.eval_batch_size)
    batch = sharding.to_device(rows, experiment.mesh)
    weights = steps.evaluated(train.state)
    evaluation = median_seconds(lambda: experiment.eval_step(*weights, batch), repeats)
    return {
        "train_clips_per_s": config.data.batch_size / ours,
        "eval_clips_per_s": config.data.eval_batch_size / evaluation,
        "nnx_jit_optimizer_clips_per_s": config.data.batch_size / flax,
        "ratio_to_nnx_jit_optimizer": flax / ours,
    }


def bench_loop(experiment: Experiment, repeats: int) -> dict[str, float]:
    """Clips a second of reading and training together, and the time spent waiting."""
    train = TrainStep(experiment)
    pairs = ((batch, None) for batch in host_batches(experiment))
    ours = (batch for batch, _ in sharding.ahead(pairs, experiment.mesh))
    rate, share = loop_rate(train, ours, experiment, repeats)
    plain, plain_share = loop_rate(train, plain_stream(experiment), experiment, repeats)
    return {
        "clips_per_s": rate,
        "share_waiting_for_data": share,
        "plain_tfds_loop_clips_per_s": plain,
        "plain_tfds_loop_share_waiting": plain_share,
        "ratio_to_plain_tfds_loop": rate / plain,
    }


def loop_rate(
    train: "TrainStep", batches: Iterator[Any], experiment: Experiment, repeats: int
) -> tuple[float, float]:
    """The clips a second and the share of time in which the step had no batch."""
    size = experiment.config.data.batch_size
    train.batch = next(batches)
    jax.block_until_ready(train.once())
    rates, shares = [], []
    for _ in range(repeats):
        start, waited = time.perf_counter(), 0.0
        for _ in range(5):
            before = time.perf_counter()
            train.batch = next(batches)
            waited += time.perf_counter() - before
            jax.block_until_ready(train.once())
        spent = time.perf_counter() - start
        rates.append(5 * size / spent)
        shares.append(waited / spent)
    return float(np.median(rates)), float(np.median(shares))


def bench_ingest(
    repeats: int, *, frames: int = 60, rows: int = 720, columns: int = 1280
) -> dict[str, float]:
    """Frames a second from a JPEG YBR_FULL_422 cine to 256 x 256 pictures.

    Ours crops to the region and letterboxes; the plain way is pydicom's `pixel_array`
    of the whole cine, and cv2.resize in a loop.
    """
    with tempfile.TemporaryDirectory() as folder:
        path, size = Path(folder) / "cine.dcm", 256
        speed.write_cine(path, frames=frames, rows=rows, columns=columns)
        read = speed.read_ours
        colour = median_seconds(lambda: read(path, size, want="stored"), repeats)
        grey = median_seconds(lambda: read(path, size, want="grey"), repeats)
        both = median_seconds(lambda: read(path, size, want="grey", threads=2), repeats)
        plain = median_seconds(lambda: speed.read_plainly(path, size), repeats)
        difference = speed.difference(path)
    return {
        "rgb_frames_per_s": frames / colour,
        "grey_frames_per_s": frames / grey,
        "grey_2_threads_frames_per_s": frames / both,
        "plain_pydicom_loop_frames_per_s": frames / plain,
        "rgb_ratio_to_plain_pydicom_loop": plain / colour,
        "grey_ratio_to_plain_pydicom_loop": plain / grey,
        "mean_difference_levels": difference,
    }


def bench_feed(
    repeats: int, *, size: int = 256, frame_rate: float = 30.0, patients: int = 6
) -> dict[str, float]:
    """What reading clips as large as the published networks' gives, and costs.

    Beside clips a second: the CPU seconds that a clip takes, of which a machine with so
    many cores can spend no more, and what the small network's own step eats on them.
    """
    config = settings.load("configs/luvnet.py")
    large = {"size": size, "frame_rate": frame_rate}
    config.data.options.update(large | {"patients": patients, "videos": 1})
    config.data.batch_size = config.data.eval_batch_size = 4
    config.data.test_fraction, config.data.folds = 0.2, 2
    with tempfile.TemporaryDirectory() as folder:
        config.data.data_dir = folder
        experiment = experiments.open_experiment(config, lambda line: None)
        found = bench_data(experiment, repeats)
        for name, stream in (("ours", device_stream), ("plain", plain_stream)):
            found[f"{name}_cpu_ms_per_clip"] = 1e3 * cpu_of(stream(experiment))
        step = median_seconds(TrainStep(experiment).once, min(repeats, 3))
    found["small_step_clips_per_s"] = config.data.batch_size / step
    return found


def cpu_of(batches: Iterator[Any], count: int = 8) -> float:
    """CPU seconds that a clip takes, all threads of this process together."""
    size = len(next(batches)["index"])
    start = time.process_time()
    for _ in range(count):
        next(batches)
    return (time.process_time() - start) / (count * size)


class TrainStep:
    """The program's own step, on one batch."""

    def __init__(self, experiment: Experiment) -> None:
        config = experiment.config
        plan = optim.make_plan(config, len(experiment.indices["train"]))
        self.state = programs.initial_state(experiment, plan.optimizer)
        say = lambda line: print(line, file=sys.stderr)  # noqa: E731
        move = augment.build(config.augment, data=config.data)
        self.compiled = programs.train_step(
            experiment,
            plan.optimizer,
            self.state,
            augment=move,
            say=say,
        )
        rows = experiment.source.load(
            np.resize(experiment.indices["train"], config.data.batch_size)
        )
        size = config.data.batch_size
        more = {n: np.zeros((size, *s), d) for n, (s, d) in move.fields.items()}
        self.batch = sharding.to_device(rows | more, experiment.mesh)

    def once(self) -> Any:
        """Makes one step."""
        self.state, terms = self.compiled(self.state, self.batch, jnp.float32(1))
        return terms


class FlaxStep:
    """The step as Flax's own guide writes it: nnx.jit around nnx.Optimizer."""

    def __init__(self, experiment: Experiment, batch: Any) -> None:
        config = experiment.config
        model = experiments.make_network(
            experiments.network_settings(config), experiment.task, seed=config.seed
        )
        training = {"deterministic": False, "use_running_average": False}
        model = nnx.view(model, **training, raise_if_not_found=False)
        self.model, self.batch = model, batch
        self.optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)
        task = experiment.task
        move = augment.build(config.augment, data=config.data)

        @nnx.jit
        def step(model: Any, optimizer: Any, batch: Any) -> Any:
            def loss_fn(model: Any) -> Any:
                key = jax.random.fold_in(jax.random.key(0), optimizer.step[...])
                fields = move(task.floats(batch), task.spec.roles, key=key)
                rngs = nnx.Rngs(dropout=key)
                terms = task.loss(model(**task.inputs(fields), rngs=rngs), fields)
                return sum(term.total / term.weight for term in terms.values())

            loss, grads = nnx.value_and_grad(loss_fn)(model)
            optimizer.update(model, grads)
            return loss

        self.step = step

    def once(self) -> Any:
        """Makes one step."""
        return self.step(self.model, self.optimizer, self.batch)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a line a figure; `--out` also writes them with their provenance."""
    parser = cli.Parser("python -m ultrasound_jax.benchmark", description=__doc__)
    parser.add_argument("what", choices=(*WHAT, *OTHERS, "all"))
    parser.add_argument("--config", default="configs/luvnet.py")
    parser.add_argument("--manual_dir", default="", help="as config.data.manual_dir")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--out", type=Path, help="a .json file to write")
    torch = parser.add_argument_group("of torch")
    known = benchmark_torch.names()
    torch.add_argument("--networks", nargs="+", choices=known, default=known)
    sizes = tuple(benchmark_torch.SIZES)
    torch.add_argument("--size", choices=sizes, default="small")
    ways = benchmark_torch.WAYS
    torch.add_argument("--ways", nargs="+", choices=ways, default=ways)
    torch.add_argument(
        "--batch", type=int, help="rows; the configuration's if not given"
    )
    torch.add_argument("--minutes", type=float, default=7.0, help="no network after it")
    moved = parser.add_argument_group("of augment")
    moved.add_argument("--pixels", type=int, default=224, help="side of a picture")
    moved.add_argument("--rows", type=int, default=16, help="pictures of a batch")
    moved.add_argument("--at-once", type=int, default=10, help="candidates of a call")
    given = parser.parse_args(arguments)
    return cli.guard(lambda prompt: measure(given))


def measure(given: argparse.Namespace) -> None:
    """Does what the command line asks for."""
    if given.what in ("ingest", "feed"):
        bench = {"ingest": bench_ingest, "feed": bench_feed}[given.what]
        facts, found = provenance.facts(), {given.what: bench(given.repeats)}
        print(facts["cpu"])
    elif given.what == "torch":
        facts, found = provenance.facts(), {"torch": torch_figures(given)}
    elif given.what == "augment":
        facts, found = augment_figures(given)
    else:
        facts, found = training_figures(given)
    for name, figures in found.items():
        for figure, value in figures.items():
            if isinstance(value, float):
                print(f"{name}.{figure} {value:.3g}")
    if given.out:
        load = [round(value, 1) for value in os.getloadavg()]
        about = {"run": facts, "load_average": load, "repeats": given.repeats}
        write_whole(given.out, json.dumps(about | found, indent=2) + "\n")


def torch_figures(given: argparse.Namespace) -> dict[str, Any]:
    """What `torch` says of each network; see `benchmark_torch`."""
    figures = benchmark_torch.bench(
        given.networks,
        size=given.size,
        ways=given.ways,
        repeats=given.repeats,
        minutes=given.minutes,
        batch=given.batch,
    )
    versions = [f"{name} {metadata.version(name)}" for name in ("torch", "jax")]
    return {"size": given.size, "versions": versions} | figures


def augment_figures(
    given: argparse.Namespace,
) -> tuple[dict[str, Any], dict[str, dict[str, float]]]:
    """What `augment` says of pictures and of a search; see `benchmark_augment`."""

    def seconds(action: Callable[[], Any]) -> float:
        return median_seconds(action, given.repeats)

    facts, experiment = opened(given)
    pictures = benchmark_augment.bench_images(
        seconds, rows=given.rows, side=given.pixels
    )
    judged = benchmark_augment.bench_candidates(
        seconds, experiment, at_once=given.at_once
    )
    return facts, {"augment": pictures, "search": judged}


def training_figures(
    given: argparse.Namespace,
) -> tuple[dict[str, Any], dict[str, dict[str, float]]]:
    """What was run on what, and the figures of each benchmark of training."""
    facts, experiment = opened(given)
    benches = {"data": bench_data, "step": bench_step, "loop": bench_loop}
    names = WHAT if given.what == "all" else (given.what,)
    return facts, {name: benches[name](experiment, given.repeats) for name in names}


def opened(given: argparse.Namespace) -> tuple[dict[str, Any], Experiment]:
    """The experiment of `--config`, and what is run on what, which is printed."""
    config = settings.load(given.config)
    config.data.manual_dir = given.manual_dir
    compiling.use_compilation_cache(config.compilation_cache)
    experiment = experiments.open_experiment(config, print)
    facts = provenance.facts() | {"precision": config.dtype, "config": given.config}
    size = config.data.batch_size
    print(f"{facts['devices']}; {facts['cpu']}; {config.dtype}; batch {size}")
    return facts, experiment
