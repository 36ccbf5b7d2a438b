"""The examples of a `ScalableBuilder` as an Apache Beam transform.

Only imported for a build on Beam, which is an extra (`pip install
ultrasound-jax[build]`).
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput
from etils import epath

from ultrasound_jax.datasets.scale import Fact, Make, Skipped, as_json

_TOLD = "told"


class MakeExamples(beam.PTransform):
    """Gives `(key, example)`; what else `make` yields goes into the file `told`.

    Items are dealt out anew before they are made, so that they spread over all workers
    instead of staying with the one that listed them.
    """

    def __init__(self, items: Sequence[Any], make: Make, told: str):
        super().__init__()
        self.items, self.make, self.told = list(enumerate(items)), make, told

    def expand(self, pcoll: Any) -> Any:
        """The `(key, example)` pairs of all items."""
        made = (
            pcoll
            | "Items" >> beam.Create(self.items, reshuffle=False)
            | "Deal" >> beam.Reshuffle()
            | "Make" >> beam.ParDo(_MakeOne(self.make)).with_outputs(_TOLD, main="made")
        )
        _ = (
            made[_TOLD]
            | "Gather" >> beam.combiners.ToList()
            | "Tell" >> beam.Map(_write, self.told)
        )
        return made["made"]


class _MakeOne(beam.DoFn):
    """One item's examples, one at a time, so that a worker holds no more than one."""

    def __init__(self, make: Make):
        super().__init__()
        self.make = make

    def process(self, element: tuple[int, Any], *_: Any, **__: Any) -> Iterator[Any]:
        """What `make` yields, sorted by what it is."""
        place, item = element
        for number, one in enumerate(self.make(item)):
            if isinstance(one, Skipped | Fact):
                yield TaggedOutput(_TOLD, (place, number, as_json(one)))
            else:
                yield one


def _write(told: list[tuple[int, int, list[Any]]], path: str) -> None:
    """In the order of the items, as a build on one machine has it."""
    ordered = sorted(told, key=lambda one: one[:2])
    epath.Path(path).write_text(json.dumps([one for *_, one in ordered]))
