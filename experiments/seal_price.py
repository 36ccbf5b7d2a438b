"""What it costs to know that a dataset is still what was built.

    python experiments/seal_price.py

Makes a folder with shards of random bytes and an example table, and times how it is
sealed, believed (the files have their sizes and times) and hashed once more (as after a
copy). CPU seconds of this process, medians of five, so that other work on the machine
counts little; a disk that reads slower than the processor hashes sets its own pace.
"""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ultrasound_jax.data import seal
from ultrasound_jax.runs import provenance

OUT = Path(__file__).parent / "results" / "seal_price.json"
SHARDS, SHARD_BYTES, REPEATS = 8, 32 * 2**20, 5
TABLE = "0" * 64 + "\n" + "P000_V0_0004,P000_V0,P000,,f00a9bb07f5c1a29,1,0,0,0\n" * 5000


def cpu_seconds(work: Callable[[], object]) -> float:
    """The median CPU time of some repetitions."""
    times = []
    for _ in range(REPEATS):
        begun = time.process_time()
        work()
        times.append(time.process_time() - begun)
    return statistics.median(times)


def main() -> None:
    """Measures and writes the result file."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for k in range(SHARDS):
            path = folder / f"made-clips.array_record-{k:05d}-of-{SHARDS:05d}"
            path.write_bytes(rng.bytes(SHARD_BYTES))

        def copied() -> None:
            for path in seal.own_files(folder):
                os.utime(path)
            seal.holds(folder, TABLE)

        sealing = cpu_seconds(lambda: seal.make(folder, TABLE))
        believing = cpu_seconds(lambda: seal.holds(folder, TABLE))
        again = cpu_seconds(copied)
    gigabytes = SHARDS * SHARD_BYTES / 1e9
    found = {
        "shards": SHARDS,
        "gigabytes": gigabytes,
        "rows_of_the_table": TABLE.count("\n") - 1,
        "cpu_seconds_a_gigabyte": {
            "sealing": round(sealing / gigabytes, 3),
            "hashing_once_more": round(again / gigabytes, 3),
        },
        "cpu_seconds_to_believe": round(believing, 5),
        "run": provenance.facts(),
    }
    OUT.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
