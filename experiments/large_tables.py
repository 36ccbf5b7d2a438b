"""What the analysis costs on tables of 200,000 rows, in CPU time and memory.

    python experiments/large_tables.py

Makes two predictions tables of a cross-validation of five folds, with 2,000 patients of
ten videos of ten clips each and eight classes, and two readers' sheets, and runs the
verbs `metrics`, `compare`, `readers` and `report` on them, one after the other, each on
one core. Writes `experiments/results/large_tables.json` and the sentences about it in
`docs/analysis.md`. Needs no data; takes about ten minutes.

Patients differ in how often they show a finding and in how both models see them, so
that clips of a patient resemble each other; scores are of float32, as networks write
them, of which hardly two are equal.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ultrasound_jax.analysis.table.predictions import Predictions
from ultrasound_jax.analysis.table.splits import OUT_OF_FOLD
from ultrasound_jax.runs import cli, provenance
from ultrasound_jax.runs.files import write_whole

ROOT = Path(__file__).parent.parent
VERBS = ("metrics", "compare", "readers", "report")
FOLDS = 5
MODELS, READERS = ("first", "second"), ("anna", "boris")
_BEGIN, _END = "<!-- large tables -->", "<!-- end of large tables -->"
_ONE_CORE = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Size:
    """How much there is: clips are patients x videos of each x clips of each."""

    patients: int = 2000
    videos: int = 10
    clips: int = 10
    classes: int = 8

    @property
    def rows(self) -> int:
        """How many clips there are."""
        return self.patients * self.videos * self.clips


def make_tables(size: Size, seed: int = 0) -> list[Predictions]:
    """The tables of both models, which are of the same clips."""
    rng = np.random.default_rng(seed)
    shape = (size.rows, size.classes)
    patient = np.repeat(np.arange(size.patients), size.videos * size.clips)
    video = np.repeat(np.arange(size.patients * size.videos), size.clips)

    def of_patients() -> np.ndarray:
        return rng.normal(size=(size.patients, size.classes))[patient]

    rare = np.linspace(-3, 0, size.classes)
    labels = rng.random(shape) < 1 / (1 + np.exp(-rare - of_patients()))
    frames = rng.integers(20, 90, size.rows)  # of the clips, whoever judges them
    tables = []
    for gain in (1.5, 1.4):
        logits = gain * labels + 0.5 * of_patients() + rng.normal(size=shape) - 1
        scores = 1 / (1 + np.exp(-logits))
        tables.append(
            Predictions(
                example_id=tuple(f"clip_{i:07d}" for i in range(size.rows)),
                video_id=tuple(f"video_{i:06d}" for i in video),
                patient_id=tuple(f"patient_{i:05d}" for i in patient),
                fold=patient % FOLDS,
                split=(OUT_OF_FOLD,) * size.rows,
                classes=tuple(f"finding_{k}" for k in range(size.classes)),
                labels=labels.astype(float),
                scores=scores.astype(np.float32),
                frames=frames,
            )
        )
    return tables


def write_inputs(folder: Path, size: Size) -> None:
    """Writes the tables of MODELS and the sheets of READERS, who err at times."""
    tables = make_tables(size)
    for name, table in zip(MODELS, tables, strict=True):
        table.write(folder / f"{name}.csv")
    rng = np.random.default_rng(1)
    for name in READERS:
        labels = tables[0].labels
        flipped = np.where(rng.random(labels.shape) < 0.1, 1 - labels, labels)
        header = ["clip_id", *(f"label_{one}" for one in tables[0].classes)]
        lines = [
            ",".join([example, *map(str, row)])
            for example, row in zip(
                tables[0].example_id, flipped.astype(int).tolist(), strict=True
            )
        ]
        write_whole(folder / f"{name}.csv", "\n".join([",".join(header), *lines, ""]))


def measured(verb: str, folder: Path) -> dict[str, float]:
    """CPU seconds and peak memory in MiB of one verb in a process of its own."""
    tables = [str(folder / f"{name}.csv") for name in MODELS]
    words = [verb, *(tables[:1] if verb == "metrics" else tables)]
    if verb == "readers":
        words += ["--sheets", *(str(folder / f"{name}.csv") for name in READERS)]
    command = [sys.executable, "-m", "ultrasound_jax.analysis", *words]
    process = subprocess.Popen(  # noqa: S603 - fixed arguments
        [*command, "--out", str(folder / verb)],
        stdout=subprocess.DEVNULL,
        env=os.environ | dict.fromkeys(_ONE_CORE, "1"),
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{verb} ended with {process.returncode}")
    return {
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_mib": round(used.ru_maxrss / 1024),
    }


def table_of(found: dict[str, Any]) -> str:
    """The passage of `docs/analysis.md`."""
    size, facts = found["size"], found["run"]
    lines = [
        f"{found['rows']:,} rows of {size['patients']:,} patients and "
        f"{size['classes']} classes, 2,000 replicates, one core "
        f"({facts['cpu'].partition(',')[0]}, commit {facts['commit']}, "
        f"{facts['date']}; `{facts['command']}`; all verbs but `metrics` take two such "
        "tables):",
        "",
        "| verb | CPU seconds | peak memory |",
        "|---|---|---|",
        *(
            f"| `{verb}` | {one['cpu_seconds']:.0f} | {one['peak_mib']:,} MiB |"
            for verb, one in found["verbs"].items()
        ),
    ]
    return "\n".join(lines)


def put_into(text: str, passage: str) -> str:
    """The documentation with the passage between its marks."""
    pattern = re.compile(f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit("docs/analysis.md has no place for the passage")
    return pattern.sub(lambda _: f"{_BEGIN}\n{passage}\n{_END}", text)


def measure(size: Size, verbs: Sequence[str]) -> dict[str, Any]:
    """What every verb needs, and by whom that was found."""
    with tempfile.TemporaryDirectory() as place:
        write_inputs(Path(place), size)
        found = {verb: measured(verb, Path(place)) for verb in verbs}
    return {
        "rows": size.rows,
        "size": asdict(size),
        "verbs": found,
        "run": provenance.facts(),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Measures and writes the results and the documentation."""
    parser = cli.Parser(description=__doc__)
    parser.add_argument("--verbs", nargs="+", choices=VERBS, default=VERBS)
    found = measure(Size(), parser.parse_args(argv).verbs)
    text = json.dumps(found, indent=1)
    write_whole(ROOT / "experiments/results/large_tables.json", f"{text}\n")
    docs = ROOT / "docs/analysis.md"
    write_whole(docs, put_into(docs.read_text(encoding="utf-8"), table_of(found)))
    print(table_of(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
