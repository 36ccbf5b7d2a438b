"""Which convolutions and pools of the shipped networks XLA does slowly on this CPU.

    python experiments/conv_scan.py [--minutes 7]

Collects every two-dimensional convolution and every window reduction from the jaxprs of
the shipped configurations' networks, and times it (XLA's own, and `ours` as the
networks call it) against shifted slices and against one product of all shifts side by
side (im2col): values, input gradient and kernel gradient, interleaved in one process,
medians of CPU seconds. A cliff is where the best is CLIFF times as fast as ours. The
batch is cut to what takes LARGEST operations; shapes go by the share of the steps they
make up, and those that the time does not reach are listed. Writes
`experiments/results/conv_scan.json`.
"""

import argparse
import json
import math
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from ultrasound_jax import config as settings
from ultrasound_jax.models._parts.image_conv import image_conv
from ultrasound_jax.models._parts.max_pool import max_pool
from ultrasound_jax.models._parts.xla_conv import as_one_convolution
from ultrasound_jax.runs import cli, provenance
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.study import shipped
from ultrasound_jax.training import compiling, steps

ROOT = Path(__file__).parent.parent
OUT = ROOT / "experiments/results/conv_scan.json"
# The variants that differ in shapes; the others repeat these.
SIZES_ON_CPU = ("luvnet.py:", "luvnet.py:pocus", "busi.py:", "busi.py:segment")
BASELINES_ON_CPU, BASELINES_ON_GPU = (
    "video_baselines.py:{}",
    "video_baselines.py:{}_full",
)
LARGEST = 2e8  # multiply-accumulates of one timed convolution
CLIFF = 1.5
REPEATS = 7


@dataclass(frozen=True)
class Shape:
    """A convolution (`kernel` with channels) or a pool (its window alone)."""

    kind: str
    image: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, int]
    padding: tuple[tuple[int, int], ...]

    @property
    def out(self) -> tuple[int, int]:
        """Height and width of what comes out."""
        sides = zip(
            self.image[1:3], self.kernel[:2], self.stride, self.padding, strict=True
        )
        rows, columns = ((s + sum(p) - k) // step + 1 for s, k, step, p in sides)
        return rows, columns

    @property
    def operations(self) -> int:
        """Multiply-accumulates, or comparisons."""
        channels = math.prod(self.kernel[2:]) or self.image[3]
        if self.kind != "conv":
            channels = self.image[3]
        return math.prod((self.image[0], *self.out, *self.kernel[:2], channels))

    def cut(self) -> "Shape":
        """The same with a batch that takes LARGEST operations at most."""
        rows = max(
            1, min(self.image[0], int(LARGEST * self.image[0] / self.operations))
        )
        return replace(self, image=(rows, *self.image[1:]))


def equations(jaxpr: Any) -> Iterator[Any]:
    """Every equation of a jaxpr and of all that it calls."""
    for equation in jaxpr.eqns:
        yield equation
        for value in equation.params.values():
            for each in value if isinstance(value, tuple | list) else (value,):
                if isinstance(each, core.ClosedJaxpr):
                    yield from equations(each.jaxpr)
                elif isinstance(each, core.Jaxpr):
                    yield from equations(each)


def shapes_of(config: Any) -> Counter[Shape]:
    """The convolutions and pools of a configuration's network on a training batch.

    Values alone are traced: the gradients of these are what the training step adds.
    """
    experiment = shipped.abstract(config)
    batch = config.data.batch_size
    task = experiment.task
    rows = shipped.rows_of(experiment, batch)

    def forwards(params: Any, stats: Any, rows: Any) -> Any:
        inputs = task.inputs(task.floats(rows))
        return steps.apply(experiment.network, params, stats, inputs)["logits"]

    program = jax.make_jaxpr(forwards)(experiment.params, experiment.stats, rows)
    found: Counter[Shape] = Counter()
    for equation in equations(program.jaxpr):
        if shape := shape_of(equation):
            found[shape] += 1
    return found


def shape_of(equation: Any) -> Shape | None:
    """The shape of a two-dimensional convolution of one group, or of a pool."""
    name, params = equation.primitive.name, equation.params
    image = tuple(equation.invars[0].aval.shape) if equation.invars else ()
    if len(image) != 4:
        return None
    if name == "conv_general_dilated" and params["feature_group_count"] == 1:
        kernel = tuple(equation.invars[1].aval.shape)
        stride, padding = params["window_strides"], params["padding"]
        return Shape("conv", image, kernel, tuple(stride), tuple(map(tuple, padding)))
    if name in ("reduce_window_max", "reduce_window_sum"):
        window, stride = params["window_dimensions"], params["window_strides"]
        padding = tuple(map(tuple, params["padding"][1:3]))
        kind = name.removeprefix("reduce_window_")
        return Shape(kind, image, tuple(window[1:3]), tuple(stride[1:3]), padding)
    return None


def collected() -> tuple[dict[Shape, list[str]], Counter[Shape]]:
    """Where each shape occurs, and how many operations all of it takes."""
    networks = shipped.networks()
    names = [f"configs/{name}" for name in SIZES_ON_CPU]
    for template in (BASELINES_ON_CPU, BASELINES_ON_GPU):
        names += [f"configs/{template.format(network)}" for network in networks]
    where: dict[Shape, list[str]] = {}
    weight: Counter[Shape] = Counter()
    for name in names:
        config = settings.load(name)
        config.dtype, config.model.remat = "float32", False
        found = shapes_of(config)
        whole = sum(shape.operations * n for shape, n in found.items())
        on_gpu = name.endswith("_full")
        for shape, count in found.items():
            where.setdefault(shape, []).append(name)
            # What CPUs train comes first; then by the share of its step.
            share = shape.operations * count / whole
            weight[shape] = max(weight[shape], share + (not on_gpu))  # type: ignore[assignment]
    return where, weight


def shifts(shape: Shape, image: jax.Array, fill: float = 0.0) -> list[jax.Array]:
    """The image as every tap of the window sees it."""
    edges = ((0, 0), *shape.padding, (0, 0))
    padded = jnp.pad(image, edges, constant_values=fill)
    reach = [
        step * (size - 1) + 1
        for size, step in zip(shape.out, shape.stride, strict=True)
    ]
    return [
        padded[
            :,
            row : row + reach[0] : shape.stride[0],
            column : column + reach[1] : shape.stride[1],
        ]
        for row, column in product(*map(range, shape.kernel[:2]))
    ]


def ways(shape: Shape) -> dict[str, Callable[..., jax.Array]]:
    """The ways to compute it, each a function of the image (and the kernel)."""
    if shape.kind != "conv":
        largest = shape.kind == "max"
        fill = -jnp.inf if largest else 0.0
        unit, other = (jax.lax.max, jnp.maximum) if largest else (jax.lax.add, jnp.add)

        def pooled(image: jax.Array) -> jax.Array:
            return jax.lax.reduce_window(
                image,
                np.float32(fill),
                unit,
                (1, *shape.kernel, 1),
                (1, *shape.stride, 1),
                ((0, 0), *shape.padding, (0, 0)),
            )

        def sliced(image: jax.Array) -> jax.Array:
            first, *rest = shifts(shape, image, fill)
            for tap in rest:
                first = other(first, tap)
            return first

        window = (shape.kernel, shape.stride, shape.padding)
        entrance = largest and window == ((3, 3), (2, 2), ((1, 1), (1, 1)))
        return {
            "ours": max_pool if entrance else pooled,
            "xla": pooled,
            "slices": sliced,
        }
    stride = shape.stride

    def slices(image: jax.Array, kernel: jax.Array) -> jax.Array:
        taps = kernel.reshape(-1, *kernel.shape[2:])
        seen = shifts(shape, image)
        return sum(x @ tap for x, tap in zip(seen, taps, strict=True))  # type: ignore[return-value]

    def im2col(image: jax.Array, kernel: jax.Array) -> jax.Array:
        side_by_side = jnp.concatenate(shifts(shape, image), -1)
        return side_by_side @ kernel.reshape(-1, kernel.shape[-1])

    def convolved(image: jax.Array, kernel: jax.Array) -> jax.Array:
        return jax.lax.conv_general_dilated(
            image,
            kernel,
            stride,
            shape.padding,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )

    # The inner one of a folded entrance is padded unevenly, and left to XLA.
    even = all(
        p == ((k - 1) // 2,) * 2
        for k, p in zip(shape.kernel[:2], shape.padding, strict=True)
    )
    return {
        "ours": partial(image_conv, stride=stride) if even else convolved,
        "xla": partial(as_one_convolution, stride=stride) if even else convolved,
        "slices": slices,
        "im2col": im2col,
    }


def programs(shape: Shape) -> dict[str, dict[str, Callable[[], Any]]]:
    """What to time: by part (values, gradients), by way.

    Raises `ValueError` where two ways give other numbers.
    """
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(shape.image)
    if shape.kind == "conv":
        operands = [noise, rng.standard_normal(shape.kernel)]
    else:
        operands = [untied(noise, *shape.kernel[:2])]
    operands = [jnp.asarray(each, jnp.float32) for each in operands]
    cotangent: Any = None
    parts = ("values", "input gradient", "kernel gradient")[: 1 + len(operands)]
    made: dict[str, dict[str, Callable[[], Any]]] = {part: {} for part in parts}
    expected: dict[str, np.ndarray] = {}
    for way, function in ways(shape).items():
        values = compiling.jit(function).lower(*operands).compile()
        if cotangent is None:
            like = values(*operands)
            cotangent = jnp.asarray(rng.standard_normal(like.shape), jnp.float32)
        calls = {"values": (values, operands)}
        for place, part in enumerate(parts[1:]):

            def pulled(cotangent: Any, *given: Any, f: Any = function, at: int = place):
                def of_one(one: Any) -> Any:
                    return f(*given[:at], one, *given[at + 1 :])

                return jax.vjp(of_one, given[at])[1](cotangent)[0]

            given = [cotangent, *operands]
            calls[part] = (compiling.jit(pulled).lower(*given).compile(), given)
        for part, (compiled, given) in calls.items():
            found = np.asarray(compiled(*given))
            check(shape, part, way, found, expected.setdefault(part, found))
            made[part][way] = lambda c=compiled, g=given: c(*g).block_until_ready()
    return made


def untied(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Numbers near these of which no window of this size has two alike.

    Among so many as a large image has some are, and each way of pooling gives another
    of them the gradient.
    """
    rows, columns = (np.arange(side) for side in image.shape[1:3])
    place = (rows % height)[:, None] * width + columns % width
    whole = np.round(image * 2**15) * height * width + place[..., None]
    return whole / (2**15 * height * width)  # further apart than float32's steps


def check(shape: Shape, part: str, way: str, found: Any, expected: Any) -> None:
    """Refuses a way that computes something else."""
    apart = float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-30))
    if apart > 1e-4:
        raise ValueError(f"{way} of {shape} is off by {apart:.1e} in its {part}")


def timed(calls: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """The median CPU seconds of each, one after the other in every repeat."""
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.process_time()
            call()
            spent[name].append(time.process_time() - start)
    return {name: float(np.median(seconds)) for name, seconds in spent.items()}


def row_of(shape: Shape, repeats: int) -> dict[str, Any]:
    """The speeds of one shape in every way, in 10^9 operations a CPU second."""
    cut = shape.cut()
    row: dict[str, Any] = asdict(cut)
    for part, calls in programs(cut).items():
        seconds = timed(calls, repeats)
        seconds = {way: max(spent, 1e-9) for way, spent in seconds.items()}
        speeds = {
            way: float(f"{2e-9 * cut.operations / spent:.3g}")
            for way, spent in seconds.items()
        }
        best = min(seconds, key=lambda way: seconds[way])
        ratio = round(seconds["ours"] / seconds[best], 2)
        row[part] = {"gflops": speeds, "best": best, "best_to_ours": ratio}
    return row


def scan(minutes: float, repeats: int, most: int | None) -> dict[str, Any]:
    """All rows that the time allows, the cliffs, and what is left out."""
    ends = time.monotonic() + 60 * minutes
    where, weight = collected()
    order = sorted(where, key=lambda shape: -weight[shape])[:most]
    rows, left = [], []
    for shape in order:
        if time.monotonic() > ends:
            left.append(asdict(shape))
            continue
        rows.append(row_of(shape, repeats) | {"configs": where[shape]})
        print(line_of(rows[-1]), flush=True)
    return {"rows": rows, "cliffs": cliffs(rows), "left_out": left}


def cliffs(rows: list[dict[str, Any]]) -> list[str]:
    """What another way does CLIFF times as fast as ours."""
    found = []
    for row in rows:
        for part, of in row.items():
            if isinstance(of, dict) and of["best_to_ours"] >= CLIFF:
                what = f"{row['kind']} {row['kernel']} on {row['image']}"
                found.append(f"{what}, {part}: {of['best']} is {of['best_to_ours']} x")
    return found


def line_of(row: dict[str, Any]) -> str:
    """A row to read while it runs."""
    told = [f"{row['kind']} {row['kernel']} / {row['stride']} on {row['image']}:"]
    for part, of in row.items():
        if isinstance(of, dict):
            told.append(f"{part} {of['gflops']['ours']} ({of['best']} best)")
    return " ".join(told)


def main(arguments: Sequence[str] | None = None) -> int:
    """Scans and writes the file."""
    parser = cli.Parser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=7.0)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--shapes", type=int, help="the first so many only")
    parser.add_argument("--out", type=Path, default=OUT)
    given: argparse.Namespace = parser.parse_args(arguments)

    def work(_: Any) -> None:
        found = scan(given.minutes, given.repeats, given.shapes)
        load = [round(value, 1) for value in os.getloadavg()]
        about = {"run": provenance.facts(), "load_average": load}
        about |= {"unit": "10^9 multiplications and additions a CPU second"}
        about |= {"repeats": given.repeats, "cliff": CLIFF}
        write_whole(given.out, json.dumps(about | found, indent=1) + "\n")
        print(f"{len(found['rows'])} shapes, {len(found['cliffs'])} cliffs", flush=True)

    return cli.guard(work)


if __name__ == "__main__":
    sys.exit(main())
