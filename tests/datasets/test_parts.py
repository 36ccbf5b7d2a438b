"""Records from workers' own files into shards, one at a time."""

import tracemalloc
from functools import partial
from pathlib import Path

from tests.datasets import scale_items
from ultrasound_jax.datasets.beam.shards import (
    Shard,
    in_order,
    write_part,
    write_shard,
)

MEGABYTE = 1 << 20


def serialize(example):
    return example["image"].tobytes()


def parts(folder, side, *chunks):
    make = partial(scale_items.make, side)
    return [
        write_part(str(folder / "parts"), [(n, n) for n in numbers], make, serialize)
        for numbers in chunks
    ]


def test_a_shard_holds_the_records_in_the_order_asked_for(tmp_path):
    both = parts(tmp_path, 8, [0, 1], [2, 3, 4])
    records = [record for part in both for record in part.records]
    ordered, repeated = in_order(records, lambda key: -int(key[:4]), once=False)
    seen = []

    def write(path, contents):
        seen.extend(content for _, content in contents)
        Path(path).write_bytes(b"")

    write_shard(Shard(str(tmp_path / "shard"), ordered), write)
    expected = [
        serialize(example)
        for number in (4, 2, 1, 0)
        for _, example in list(scale_items.make(8, number))[:3]
    ]
    assert seen == expected and repeated == []
    assert [one["reason"] for _, one in both[1].told if one["kind"] == "Skipped"] == [
        "broken at byte 3"
    ]


def test_a_repeated_key_is_told_or_left_out(tmp_path):
    (part,) = parts(tmp_path, 8, [0])
    twice = [*part.records, part.records[0]._replace(place=(9, 0))]
    kept, repeated = in_order(twice, hash, once=False)
    assert len(kept) == 4 and [record.place for record in repeated] == [(9, 0)]
    kept, _ = in_order(twice, hash, once=True)
    assert sorted(record.place for _, record in kept) == [(0, 0), (0, 1), (0, 2)]


def test_parts_and_shards_pass_through_memory_one_record_at_a_time(tmp_path):
    def write(path, contents):
        with Path(path).open("wb") as file:
            for _, content in contents:
                file.write(content)

    tracemalloc.start()
    (part,) = parts(tmp_path, 1024, [n for n in range(24) if n % 7 != 3])
    ordered, _ = in_order(part.records, hash, once=False)
    write_shard(Shard(str(tmp_path / "shard"), ordered), write)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / "shard").stat().st_size == 63 * MEGABYTE
    assert peak < 6 * MEGABYTE
