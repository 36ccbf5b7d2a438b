"""Records on their way from many workers into the shards of one set.

TFDS's own Beam writer sends every record through Beam's shuffle, whose local runner
keeps all of them in memory. Here a worker writes its records to a file of its own, a
part, and hands on only where each of them lies; the shards are then copied together
record by record. What is in memory is one record, and some 100 bytes for each one of
the set where the shards are planned. Order and shards are those of a build on one
machine.
"""

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, NamedTuple

from etils import epath

from ultrasound_jax.datasets.beam.records import Fact, Make, Skipped

OPEN_PARTS = 32


class Record(NamedTuple):
    """Where a serialized example lies, and the place that its item has in the set."""

    key: str | int
    place: tuple[int, int]
    part: str
    offset: int
    size: int


@dataclass(frozen=True)
class Part:
    """What one worker made of some items; `told` by place, as JSON can hold it."""

    records: list[Record]
    told: list[tuple[tuple[int, int], dict[str, Any]]]


@dataclass(frozen=True)
class Shard:
    """A file of the finished set and what belongs into it, in order."""

    path: str
    records: list[tuple[int, Record]]


def write_part(
    folder: str,
    items: Sequence[tuple[int, Any]],
    make: Make,
    serialize: Callable[[dict[str, Any]], bytes],
) -> Part:
    """Makes numbered items and writes their examples into a new file in `folder`."""
    # A name of its own: a worker that is started twice must not meet itself.
    path = epath.Path(folder) / uuid.uuid4().hex
    path.parent.mkdir(parents=True, exist_ok=True)
    part, offset = Part([], []), 0
    with path.open("wb") as file:
        for place, item in items:
            for number, one in enumerate(make(item)):
                if isinstance(one, Skipped | Fact):
                    kind = type(one).__name__
                    part.told.append(((place, number), {"kind": kind} | asdict(one)))
                    continue
                key, example = one
                content = serialize(example)
                file.write(content)
                part.records.append(
                    Record(key, (place, number), os.fspath(path), offset, len(content))
                )
                offset += len(content)
    return part


def in_order(
    records: list[Record], hash_key: Callable[[Any], int] | None, *, once: bool
) -> tuple[list[tuple[int, Record]], list[Record]]:
    """Records in the order of their keys' hashes, and those whose key came before.

    Without a hash, in the order of the items. `once` leaves repeated ones out.
    """
    records = sorted(records, key=lambda record: record.place)
    ordered = list(enumerate(records))
    if hash_key is not None:
        ordered = sorted(
            ((hash_key(record.key), record) for record in records),
            key=lambda one: one[0],
        )
    seen: set[str | int] = set()
    repeated = [r for _, r in ordered if r.key in seen or seen.add(r.key)]
    if once and repeated:
        again = {record.place for record in repeated}
        ordered = [one for one in ordered if one[1].place not in again]
    return ordered, repeated


def write_shard(
    shard: Shard, write: Callable[[str, Iterator[tuple[int, bytes]]], Any]
) -> None:
    """Copies a shard's records together with the writer of the set's file format."""
    target = epath.Path(shard.path)
    name = f"{target.name}.{uuid.uuid4().hex}.tmp"
    remote = "://" in shard.path
    # The ArrayRecord library writes to local disks only.
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / name if remote else Path(shard.path).with_name(name)
        write(os.fspath(local), _contents(shard.records))
        if remote:
            epath.Path(local).copy(target, overwrite=True)
        else:
            local.replace(shard.path)


def _contents(records: list[tuple[int, Record]]) -> Iterator[tuple[int, bytes]]:
    @lru_cache(maxsize=OPEN_PARTS)
    def opened(part: str) -> "_Open":
        return _Open(epath.Path(part).open("rb"))

    for order, record in records:
        file = opened(record.part).file
        file.seek(record.offset)
        yield order, file.read(record.size)


class _Open:
    """A file that is closed when it falls out of the cache."""

    def __init__(self, file: IO[bytes]):
        self.file = file

    def __del__(self):
        self.file.close()
