"""What it saves to keep a step's memory (`ultrasound_jax/runs/kept_memory.py`).

    python experiments/kept_memory.py

Runs `benchmark step` as processes that take turns: as it is, and with a variable of the
C library set (to what it is anyway), which has it give freed memory back as usual. Told
are the medians of clips or images a second. Writes
`experiments/results/kept_memory.json`; takes about four minutes.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from ultrasound_jax.runs import cli, provenance
from ultrasound_jax.runs.files import read_json, write_whole

ROOT = Path(__file__).parent.parent
OUT = ROOT / "experiments/results/kept_memory.json"
CONFIGS = ("configs/luvnet.py", "configs/resnet_attention.py")
AS_USUAL = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=7"}  # its default
WAYS: Mapping[str, dict[str, str]] = {"kept": {}, "given_back": AS_USUAL}
SPEEDS = {"train": "train_clips_per_s", "eval": "eval_clips_per_s"}


def one(config: str, way: str, repeats: int) -> dict[str, float]:
    """The speeds of one process."""
    decided = ("MALLOC_", "GLIBC_TUNABLES")
    rest = {n: v for n, v in os.environ.items() if not n.startswith(decided)}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "speeds.json"
        words = ["-m", "ultrasound_jax.benchmark", "step", "--config", config]
        words += ["--repeats", str(repeats), "--out", str(out)]
        subprocess.run(  # noqa: S603
            [sys.executable, *words],
            cwd=ROOT,
            env=rest | WAYS[way],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        found = read_json(out)["step"]
    return {part: found[key] for part, key in SPEEDS.items()}


def measure(config: str, rounds: int, repeats: int) -> dict[str, Any]:
    """Medians over the rounds and how many times as fast kept memory is."""
    seen = [{way: one(config, way, repeats) for way in WAYS} for _ in range(rounds)]
    found = {}
    for part in SPEEDS:
        speeds = {way: median(each[way][part] for each in seen) for way in WAYS}
        found[part] = speeds | {"ratio": speeds["kept"] / speeds["given_back"]}
    print(config, json.dumps(found), flush=True)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes the file."""
    parser = cli.Parser(description=__doc__)
    parser.add_argument("--configs", nargs="+", default=CONFIGS)
    parser.add_argument("--rounds", type=int, default=3, help="of the processes")
    parser.add_argument("--repeats", type=int, default=11, help="within one")
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args(arguments)

    def work(_: Any) -> None:
        load = [round(value, 1) for value in os.getloadavg()]
        about = {"run": provenance.facts(), "load_average": load}
        about |= {"rounds": given.rounds, "repeats": given.repeats}
        found = {c: measure(c, given.rounds, given.repeats) for c in given.configs}
        write_whole(given.out, json.dumps(about | {"steps": found}, indent=1) + "\n")

    return cli.guard(work)


if __name__ == "__main__":
    sys.exit(main())
