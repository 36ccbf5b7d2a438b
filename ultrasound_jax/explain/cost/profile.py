"""What a network costs: parameters, work, memory and time.

MACs are the multiply-accumulates of convolutions and matrix products, counted from the
jaxpr (`macs.py`); FLOPs are twice as many. Beside them stands XLA's own cost analysis,
twice. Of those products alone, each lowered by itself, it must agree: this proves the
arithmetic, but nothing of what was not found. Of the whole program it shows what was
not: the ratio falls below one by every element-wise operation, which is much in a small
network and little in a large one, and rises above one where the program loops, for XLA
counts the body of a loop once. Memory is XLA's analysis of the compiled program. Times
are of the compiled program on data that is on the device already, with a
synchronisation each.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ultrasound_jax.explain.cost.macs import (
    Count,
    count_macs,
)
from ultrasound_jax.explain.errors import ExplainError
from ultrasound_jax.training import steps

CLIP, IMAGE = "clip", "image"  # what a network may read
TOLERANCE = 0.05  # by which our count and XLA's may differ


@dataclass(frozen=True)
class Subject:
    """A network to be measured, without values: times do not depend on them.

    shape: `(frames, height, width, channels)`, of images without frames.
    """

    name: str
    graphdef: nnx.GraphDef
    state: Any
    shape: tuple[int, ...]
    precision: str

    @property
    def unit(self) -> str:
        """What it reads: clip or image."""
        return CLIP if len(self.shape) == 4 else IMAGE

    def apply(self, state: Any, pixels: jax.Array) -> Any:
        """The logits, without which XLA drops whatever else the network returns.

        All outputs of a network that has none.
        """
        model: Any = nnx.merge(self.graphdef, state, copy=True)
        found = model(pixels, None) if self.unit == CLIP else model(pixels)
        return found.get("logits", found)

    def pixels(self, batch: int) -> jax.ShapeDtypeStruct:
        """What a batch looks like to the compiler."""
        return jax.ShapeDtypeStruct((batch, *self.shape), jnp.float32)


def subject_of(
    name: str,
    make: Callable[[], nnx.Module],
    shape: tuple[int, ...],
    precision: str,
) -> Subject:
    """A network in its evaluation view, from what makes it; nothing is computed."""
    network, params, stats = steps.split(nnx.eval_shape(make))
    state = nnx.merge_state(params, stats)
    return Subject(name, network.evaluation, state, shape, precision)


def parameters(subject: Subject) -> int:
    """How many numbers are trained."""
    kept = nnx.filter_state(subject.state, nnx.Param)
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(kept))


def count(subject: Subject, batch: int = 1) -> Count:
    """The network's multiply-accumulates for a batch."""
    return count_macs(subject.apply, subject.state, subject.pixels(batch))


def xla_flops(counted: Count) -> float | None:
    """What XLA's cost analysis says of the counted products, each by itself.

    None where it says nothing.
    """
    total = 0.0
    for equation, times in counted.products:
        shapes = [
            jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in equation.invars
        ]

        def product(*inputs: jax.Array, equation: Any = equation) -> Any:
            return equation.primitive.bind(*inputs, **equation.params)

        flops = _flops(jax.jit(product).lower(*shapes))
        if flops is None:
            return None
        total += times * flops
    return total


def _flops(program: Any) -> float | None:
    """What XLA says of a lowered or compiled program; None where it says nothing."""
    analysis = program.cost_analysis()
    return float(analysis["flops"]) if analysis and "flops" in analysis else None


def measure(subject: Subject, batch: int, repeats: int, warm_up: int) -> dict[str, Any]:
    """Compiles, runs and times a batch of zeros; one row of the table.

    Latencies are of one batch each, in milliseconds; throughput is of batches one
    behind the other with one synchronisation at the end, in clips or images a second.
    `device_peak_bytes` is since the program began, None where the device does not say.

    Raises:
        ExplainError: our count and XLA's differ by more than `TOLERANCE`.
    """
    counted = count(subject, batch)
    lowered = jax.jit(subject.apply).lower(subject.state, subject.pixels(batch))
    row = work(subject, counted, batch)
    whole = _flops(lowered)
    row["flops_xla_program"] = whole
    row["ratio_to_xla_program"] = 2 * counted.inside / whole if whole else None
    compiled = lowered.compile()
    row["flops_xla_compiled"] = _flops(compiled)
    row["memory_bytes"] = steps.memory_bytes(compiled)
    device = jax.local_devices()[0]
    state = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), subject.state)
    pixels = jnp.zeros(subject.pixels(batch).shape, jnp.float32)
    state, pixels = jax.block_until_ready(jax.device_put((state, pixels), device))
    for _ in range(warm_up):
        jax.block_until_ready(compiled(state, pixels))
    times = _times(lambda: compiled(state, pixels), batch, repeats)
    row[f"{subject.unit}s_per_second"] = times.pop("per_second")
    row |= times
    stats = device.memory_stats() or {}
    row["device_peak_bytes"] = stats.get("peak_bytes_in_use")
    row["device"] = device.device_kind
    return row


def _times(run: Callable[[], Any], batch: int, repeats: int) -> dict[str, float]:
    latencies = []
    for _ in range(repeats):
        begin = time.perf_counter()
        jax.block_until_ready(run())
        latencies.append(1000 * (time.perf_counter() - begin))
    begin = time.perf_counter()
    for _ in range(repeats):
        last = run()
    jax.block_until_ready(last)
    seconds = time.perf_counter() - begin
    p50, p95 = np.percentile(latencies, (50, 95))
    return {
        "latency_p50_ms": float(p50),
        "latency_p95_ms": float(p95),
        "per_second": batch * repeats / seconds,
        "repeats": repeats,
    }


def work(subject: Subject, counted: Count, batch: int) -> dict[str, Any]:
    """The part of a row that needs no run.

    Raises:
        ExplainError: our count and XLA's differ by more than `TOLERANCE`.
    """
    xla = xla_flops(counted)
    ratio = 2 * counted.inside / xla if xla else None
    if xla and ratio and abs(ratio - 1) > TOLERANCE:
        raise ExplainError(
            f"{subject.name}: we count {2 * counted.inside:.4g} FLOPs in convolutions "
            f"and products, XLA {xla:.4g}; they may differ by {TOLERANCE:.0%}"
        )
    return {
        "name": subject.name,
        subject.unit: "x".join(map(str, subject.shape)),
        "precision": subject.precision,
        "batch": batch,
        "parameters": parameters(subject),
        "macs": counted.macs,
        "macs_in_convolutions": counted.convolutions,
        "flops": 2 * counted.macs,
        "flops_without_padding": 2 * counted.inside,
        "flops_xla_products": xla,
        "ratio_to_xla": ratio,
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a Markdown table."""
    unit = units(rows)
    columns = list(_cells(rows[0], unit))
    # The first three are words, the others numbers.
    rule = "|" + "---|" * 3 + "---:|" * (len(columns) - 3)
    lines = [f"| {' | '.join(columns)} |", rule]
    lines += [f"| {' | '.join(_cells(row, unit).values())} |" for row in rows]
    return "\n".join(lines) + "\n"


def line(row: dict[str, Any]) -> str:
    """A row for the terminal."""
    return ", ".join(
        f"{name} {cell}" for name, cell in _cells(row, units([row])).items()
    )


def units(rows: Sequence[Mapping[str, Any]]) -> str:
    """What all rows are of: `clip`, `image`, or `input` where they differ."""
    found = {unit for unit in (CLIP, IMAGE) for row in rows if unit in row}
    return found.pop() if len(found) == 1 else "input"


def _cells(row: dict[str, Any], unit: str) -> dict[str, str]:
    own = units([row])
    memory = row["memory_bytes"].get("total")
    return {
        "network": row["name"],
        unit: row[own],
        "precision": row["precision"],
        "batch": str(row["batch"]),
        "parameters": f"{row['parameters']:,}",
        "GMACs": _giga(row["macs"]),
        "GFLOPs": _giga(row["flops"]),
        "A: GFLOPs without padding": _giga(row["flops_without_padding"]),
        "B: XLA of the same": _giga(row["flops_xla_products"]),
        "A/B": _ratio(row["ratio_to_xla"]),
        "C: XLA of the whole": _giga(row["flops_xla_program"]),
        "A/C": _ratio(row["ratio_to_xla_program"]),
        "peak MiB": "unknown" if memory is None else f"{memory / 2**20:.0f}",
        "p50 ms": f"{row['latency_p50_ms']:.2f}",
        "p95 ms": f"{row['latency_p95_ms']:.2f}",
        f"{unit}s/s": f"{row[f'{own}s_per_second']:.1f}",
    }


def _giga(value: int | float | None) -> str:
    if value is None:
        return "unknown"
    return f"{value / 1e9:.3f}" if value >= 1e9 else f"{value / 1e9:.3g}"


def _ratio(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"
