"""A `ScalableBuilder`'s splits made by the workers of Apache Beam.

Only imported for a build on Beam, which is an extra (`pip install
ultrasound-jax[build]`).
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from etils import epath
from tensorflow_datasets.core import example_serializer, hashing
from tensorflow_datasets.core.utils import shard_utils

from ultrasound_jax.datasets.beam.records import Make
from ultrasound_jax.datasets.beam.shards import (
    Part,
    Shard,
    in_order,
    write_part,
    write_shard,
)

MOST_PARTS = 1024  # files that are there for a while beside the shards


@dataclass(frozen=True)
class Split:
    """What is to be made and where to: `template` names the shards' files."""

    name: str
    items: Sequence[Any]
    make: Make
    features: Any
    writer: Any
    template: Any
    shards: Any
    shuffled: bool
    once: bool

    @property
    def parts(self) -> str:
        """The folder of the parts, beside the shards, where every worker writes."""
        return f"{self.template.filepath_prefix()}.parts"

    @property
    def outcome(self) -> str:
        """The file that `read_outcome` takes."""
        return f"{self.template.filepath_prefix()}.outcome.json"


def run(splits: Sequence[Split], runner: Any, options: Any) -> None:
    """Makes the splits in one pipeline and waits for it."""
    with beam.Pipeline(runner=runner, options=options or PipelineOptions()) as pipeline:
        for split in splits:
            _ = pipeline | split.name >> _MakeSplit(split)


def read_outcome(split: Split) -> dict[str, Any]:
    """What became of a split: `told`, `shard_lengths`, `bytes` and `repeated` keys.

    Takes away the parts and the file itself.
    """
    path = epath.Path(split.outcome)
    outcome = json.loads(path.read_text())
    path.unlink()
    epath.Path(split.parts).rmtree(missing_ok=True)
    return outcome


class _MakeSplit(beam.PTransform):
    def __init__(self, split: Split):
        super().__init__()
        self.split = split

    def expand(self, pcoll: Any) -> Any:
        split = self.split
        numbered = list(enumerate(split.items))
        many = max(1, -(-len(numbered) // MOST_PARTS))
        chunks = [numbered[i : i + many] for i in range(0, len(numbered), many)]
        serializer = example_serializer.ExampleSerializer(
            split.features.get_serialized_info()
        )
        parts = (
            pcoll
            | "Items" >> beam.Create(chunks, reshuffle=False)
            # Dealt out anew, or they would all stay with the worker that listed them.
            | "Deal" >> beam.Reshuffle()
            | "Make"
            >> beam.Map(
                partial(_make, split.parts, split.make, split.features, serializer)
            )
            | "Gather" >> beam.combiners.ToList()
        )
        plan = partial(
            _plan,
            name=split.name,
            outcome=split.outcome,
            template=split.template,
            shards=split.shards,
            shuffled=split.shuffled,
            once=split.once,
        )
        return (
            parts
            | "Plan" >> beam.FlatMap(plan)
            | "Share" >> beam.Reshuffle()
            | "Write" >> beam.Map(write_shard, split.writer.write)
        )


def _make(folder: str, make: Make, features: Any, serializer: Any, items: Any) -> Part:
    def serialize(example: dict[str, Any]) -> bytes:
        return serializer.serialize_example(features.encode_example(example))

    return write_part(folder, items, make, serialize)


def _plan(
    parts: list[Part],
    *,
    name: str,
    outcome: str,
    template: Any,
    shards: Any,
    shuffled: bool,
    once: bool,
) -> Iterator[Shard]:
    """Decides which record goes into which shard as TFDS does on one machine."""
    hash_key = hashing.Hasher(name).hash_key if shuffled else None
    records = [record for part in parts for record in part.records]
    ordered, repeated = in_order(records, hash_key, once=once)
    size = sum(record.size for _, record in ordered)
    bounds: list[int] = []
    if ordered and (once or not repeated):
        count = shards.get_number_shards(size, len(ordered))
        bounds = [0, *shard_utils.get_shard_boundaries(len(ordered), count)]
    told = sorted((one for part in parts for one in part.told), key=lambda one: one[0])
    content = {
        "told": [one for _, one in told],
        "shard_lengths": [b - a for a, b in zip(bounds, bounds[1:], strict=False)],
        "bytes": size,
        "repeated": [] if once else [str(record.key) for record in repeated[:5]],
    }
    epath.Path(outcome).write_text(json.dumps(content))
    for index, (start, end) in enumerate(zip(bounds, bounds[1:], strict=False)):
        path = template.sharded_filepath(shard_index=index, num_shards=len(bounds) - 1)
        yield Shard(str(path), ordered[start:end])
