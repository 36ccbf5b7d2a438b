"""What networks cost, from the rows that the verb `cost` wrote."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ultrasound_jax.analysis.document import (
    Block,
    Heading,
    Table,
)
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.table.inputs import Run

Row = Mapping[str, Any]


def _giga(value: int | float) -> str:
    return f"{value / 1e9:.2f}"


def _mebi(sizes: Mapping[str, Any]) -> str:
    return f"{sizes['total'] / 2**20:,.0f}" if sizes.get("total") else ""


# Column of the table -> key of a row, and how it is written.
_COLUMNS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "clip": ("clip", str),
    "image": ("image", str),
    "precision": ("precision", str),
    "batch": ("batch", str),
    "parameters": ("parameters", "{:,}".format),
    "GMACs": ("macs", _giga),
    "GFLOPs": ("flops", _giga),
    "without padding": ("flops_without_padding", _giga),
    "ratio to XLA": ("ratio_to_xla", "{:.3f}".format),
    "ratio to XLA's program": ("ratio_to_xla_program", "{:.3f}".format),
    "peak MiB": ("memory_bytes", _mebi),
    "latency p50, ms": ("latency_p50_ms", "{:.1f}".format),
    "latency p95, ms": ("latency_p95_ms", "{:.1f}".format),
    "clips/s": ("clips_per_second", "{:.1f}".format),
    "images/s": ("images_per_second", "{:.1f}".format),
    "device": ("device", str),
}

# Left out where no row has them.
_OF_ONE = ("clip", "image", "clips_per_second", "images_per_second")


def cost(runs: Sequence[Run], more: Sequence[Any] = ()) -> list[Block]:
    """The rows of every run's `cost.json`, and of further such files.

    A cell is empty where a row lacks its number.

    Raises:
        AnalysisError: such a file that is not a list of rows, or another kind of
            number.
    """
    found: list[tuple[str, Row]] = []
    given = [(one.name, one.read_json("cost.json")) for one in runs]
    for name, rows in [*given, *(("", rows) for rows in more)]:
        if rows is None:
            continue
        if not isinstance(rows, list) or not all(isinstance(r, dict) for r in rows):
            raise AnalysisError(f"cost.json of {name or '--cost'}: not a list of rows")
        found += [(name or str(row.get("name", "")), row) for row in rows]
    if not found:
        return []
    columns = [
        column
        for column, (key, _) in _COLUMNS.items()
        if key not in _OF_ONE or any(key in row for _, row in found)
    ]
    return [
        Heading("Cost"),
        Table(
            ["model", *columns],
            [[name, *_cells(name, row, columns)] for name, row in found],
            caption="For a whole batch. GMACs are multiply-accumulates of convolutions "
            "and matrix products, as publications count them, each two FLOPs. Both "
            "ratios are of the GFLOPs without padding: to XLA's own count of the same "
            "products, which must agree, and to its count of the whole program, where "
            "element-wise operations come in (below 1, most so in small networks) but "
            "the body of a loop counts once (above 1). Peak memory is XLA's analysis "
            "of the compiled program.",
        ),
    ]


def _cells(name: str, row: Row, columns: Sequence[str]) -> list[str]:
    cells = []
    for column in columns:
        key, write = _COLUMNS[column]
        value = row.get(key)
        try:
            cells.append("" if value is None else write(value))
        except (TypeError, ValueError, AttributeError) as error:
            raise AnalysisError(
                f"cost.json of {name}: {key} is {value!r}, no {column}"
            ) from error
    return cells
