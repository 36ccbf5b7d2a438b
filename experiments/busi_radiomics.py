"""BUSI's lesions, benign or malignant, by radiomics of the true masks.

    python experiments/busi_radiomics.py --manual_dir ../shared/data

Folds are of near-duplicate groups. Images that are measured and folds that are done are
not done again, so the command goes on where it was interrupted. Writes
`experiments/results/busi_radiomics.json` after each classifier.
"""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ultrasound_jax.radiomics import RadiomicsError
from ultrasound_jax.radiomics.classify import main as classify
from ultrasound_jax.runs import cli, provenance
from ultrasound_jax.runs.files import read_json, write_whole
from ultrasound_jax.study.crossval import LONG

ROOT = Path(__file__).parent.parent
INNER, REPLICATES = 5, 2000
RUNS = {
    "boosting": [],
    "svm": ["--classifier", "svm"],
    "forest": ["--classifier", "forest"],
    "boosting, the original's threshold": ["--selection", "lasso_original"],
}


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the command."""
    parser = cli.Parser(description=__doc__)
    parser.add_argument("--manual_dir", required=True, help="holds the dataset's files")
    parser.add_argument("--data_dir", default="", help="of built datasets")
    parser.add_argument("--workdir", type=Path, default=Path("runs/busi_radiomics"))
    parser.add_argument("--trials", type=int, default=10, help="of each search")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "experiments/results/busi_radiomics.json"
    )
    given = parser.parse_args(argv)

    def work(prompt: object) -> None:
        found: dict[str, Any] = {"run": provenance.facts()}
        for name, words in RUNS.items():
            start = time.monotonic()
            found[name] = _judged(name, words, given)
            found[name]["minutes"] = round((time.monotonic() - start) / 60, 1)
            write_whole(given.out, json.dumps(found, indent=1) + "\n")
        print(f"written: {given.out}", file=sys.stderr)

    return cli.guard(work)


def _judged(name: str, words: Sequence[str], given: Any) -> dict[str, Any]:
    """What is worth keeping of a run's metrics."""
    folder = given.workdir / name.replace(", ", "-").replace(" ", "_").replace("'", "")
    common = ["busi", "--classes", "benign", "malignant", "--workdir", str(folder)]
    common += ["--manual_dir", given.manual_dir, "--data_dir", given.data_dir]
    common += ["--cache", str(given.workdir / "features.jsonl")]
    common += ["--trials", str(given.trials), "--inner", str(INNER)]
    common += ["--replicates", str(REPLICATES)]
    if classify([*common, *words]):
        raise RadiomicsError(f"the run '{name}' failed, as is said above")
    metrics = read_json(folder / "metrics.json")
    pooled = {k: v for k, v in metrics["out_of_fold"].items() if k not in LONG}
    kept = {name: metrics[name] for name in ("folds", "left_out", "run")}
    return {"options": [*words], "out_of_fold": pooled} | kept


if __name__ == "__main__":
    sys.exit(main())
