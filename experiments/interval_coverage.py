"""How often do 95 % intervals hold the truth, and on which side do they miss it?

    python experiments/interval_coverage.py

Simulates studies (`clustered_studies`) over patients, AUROC, intraclass correlation and
sizes of patients, for one AUROC, the mean over four classes, the difference to a model
that errs twice as often, and a share such as sensitivity. Compared are value and
Student's t with as many degrees of freedom as patients less one (`plain`), the same on
the logit scale (`logit`), and what `analysis` shows (`chosen`, of `spread`). Writes
`experiments/results/interval_coverage.json` cell by cell, so that a run that was
stopped goes on, and the table in `docs/statistics.md`.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import clustered_studies as made
import numpy as np
from scipy import special

from ultrasound_jax.analysis.stats._parts.clustered import Influence, mean_spread
from ultrasound_jax.analysis.stats._parts.spread import (
    Many,
    Spread,
    of_ratio,
    quantile,
)
from ultrasound_jax.runs import cli, provenance
from ultrasound_jax.runs.files import write_whole

ROOT = Path(__file__).parent.parent
PATIENTS = (7, 9, 15, 30, 60)
AUROCS = (0.7, 0.9, 0.96, 0.99)
SHARES = (0.0, 0.4, 0.8)
SIZES = ("alike", "dominant")
CLASSES = 4
MEASURES = ("auroc", "macro", "difference", "share")
WAYS = ("plain", "logit", "chosen")
Ends = tuple[Many, Many]


def cells() -> Iterator[tuple[str, int, float, float]]:
    """Sizes, patients, AUROC and ICC of what is simulated."""
    for sizes in SIZES:
        for patients in PATIENTS[: None if sizes == "alike" else -1]:
            for auroc in AUROCS:
                for share in SHARES:
                    yield sizes, patients, auroc, share


def simulate(
    sizes: str, patients: int, auroc: float, share: float, studies: int
) -> dict[str, Any]:
    """Coverage, misses and widths of every measure and way in one cell."""
    worse = max(0.5, 2 * auroc - 1)
    kind = made.Kind(
        patients=patients,
        share=share,
        separations=(made.separation(auroc), made.separation(worse)),
        sizes=sizes,
        classes=CLASSES,
    )
    numbers = [patients, *(round(100 * v) for v in (auroc, share))]
    rng = np.random.default_rng([*numbers, SIZES.index(sizes)])
    found = made.influences(made.draw(rng, kind, studies))
    hits, trials = made.shares(rng, kind, auroc, studies)
    fewest = np.min([_carrying(f) for f in found], axis=0)
    row: dict[str, Any] = {
        "sizes": sizes,
        "patients": patients,
        "true": auroc,
        "icc": share,
    }
    for measure, spread, carrying, truth in (
        ("auroc", found[0].spread([1.0, 0.0]), _carrying(found[0]), None),
        ("macro", mean_spread(found, [1.0, 0.0]), fewest, None),
        ("difference", found[0].spread([1.0, -1.0]), _carrying(found[0]), None),
        ("share", of_ratio(hits, trials), np.full(studies, patients), auroc),
    ):
        # What is estimated counts pairs within a patient, too: the mean of all studies.
        truth = float(np.mean(spread.value)) if truth is None else truth
        row[measure] = _ways(spread, carrying - 1.0, truth, measure != "difference")
    return row


def _carrying(found: Influence) -> np.ndarray:
    """The patients of the side that has fewer."""
    return np.count_nonzero(found.counts, axis=-1).min(axis=0)


def _ways(
    spread: Spread, patients: np.ndarray, truth: float, bounded: bool
) -> dict[str, Any]:
    reach = quantile(patients) * np.sqrt(np.maximum(spread.variance, 0))
    plain = spread.value - reach, spread.value + reach
    ways: dict[str, Ends] = {"plain": plain}
    if bounded:
        ways["plain"] = np.clip(plain[0], 0, 1), np.clip(plain[1], 0, 1)
        ways["logit"] = _logit(spread, patients)
        ways["chosen"] = spread.bounded()
    else:
        ways["chosen"] = spread.plain()
    known = spread.known()
    result: dict[str, Any] = {"truth": truth, "without": float(1 - known.mean())}
    for name, ends in ways.items():
        low, high = map(np.asarray, ends)
        # One that is not defined, or has no length, is shown and holds nothing.
        held = np.asarray((low <= truth) & (truth <= high))
        result[name] = {
            "covered": float(held[known].mean()),
            "below": float((high[known] < truth).mean()),
            "above": float((low[known] > truth).mean()),
            "width": float(np.nanmean(high[known] - low[known])),
        }
    return result


def _logit(spread: Spread, df: np.ndarray) -> Ends:
    """Student's t on the logit scale; at 0 and 1, where there is none, the value."""
    value, inner = spread.value, (spread.value > 0) & (spread.value < 1)
    safe = np.where(inner, value, 0.5)
    reach = quantile(df) * np.sqrt(np.maximum(spread.variance, 0)) / (safe - safe**2)
    ends = (special.expit(special.logit(safe) + sign * reach) for sign in (-1, 1))
    low, high = (np.where(inner, end, value) for end in ends)
    return low, high


def table(result: dict[str, Any]) -> str:
    """Coverage in percent, over ICC from the lowest to the highest, as Markdown."""
    head = ["patients", "AUROC or share", *(f"{m}" for m in _WORDS.values())]
    lines = [["clips", *head], ["---"] * (len(head) + 1)]
    for sizes in SIZES:
        for patients in PATIENTS:
            for auroc in AUROCS:
                rows = [
                    r
                    for r in result["rows"]
                    if (r["sizes"], r["patients"], r["true"])
                    == (sizes, patients, auroc)
                ]
                if not rows:
                    continue
                cells = [_cell(rows, measure) for measure in MEASURES]
                lines.append([_SIZES[sizes], str(patients), f"{auroc:g}", *cells])
    run = result["run"]
    note = (
        f"Percent of {result['studies']} studies whose 95 % interval holds the truth, "
        "from the lowest to the highest over ICC 0, 0.4 and 0.8: plain → "
        f"shown; in brackets the shown one's mean width at ICC 0.4. `{run['command']}` "
        f"at commit {run['commit']}, {run['date']}."
    )
    return "\n".join([*("| " + " | ".join(line) + " |" for line in lines), "", note])


def fill(text: str, result: dict[str, Any]) -> str:
    """The text of `docs/statistics.md` with its table made anew."""
    pattern = r"(<!-- results: interval_coverage -->\n).*?(<!-- end -->)"
    text, count = re.subn(
        pattern, lambda m: f"{m[1]}{table(result)}\n{m[2]}", text, flags=re.DOTALL
    )
    if count != 1:
        raise ValueError(f"docs/statistics.md has {count} places for the table")
    return text


_WORDS = {
    "auroc": "AUROC",
    "macro": "macro over 4 classes",
    "difference": "difference",
    "share": "share (sensitivity)",
}
_SIZES = {"alike": "alike", "dominant": "half are one patient's"}


def _cell(rows: list[dict[str, Any]], measure: str) -> str:
    def span(way: str) -> str:
        found = [100 * r[measure][way]["covered"] for r in rows]
        return f"{min(found):.0f}–{max(found):.0f}"

    widths = {r["icc"]: r[measure]["chosen"]["width"] for r in rows}
    return f"{span('plain')} → {span('chosen')} ({widths[SHARES[1]]:.2f})"


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the command."""
    parser = cli.Parser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--studies", type=int, default=1000, help="of each cell")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "experiments/results/interval_coverage.json"
    )
    parser.add_argument("--docs", type=Path, default=ROOT / "docs/statistics.md")
    given = parser.parse_args(argv)
    return cli.guard(lambda prompt: run(given))


def run(given: argparse.Namespace) -> None:
    """Simulates what the file lacks, writing after every cell."""
    result = json.loads(given.out.read_text()) if given.out.exists() else {}
    run, commit = result.get("run", {}), provenance.commit().rstrip("+")
    # What was written already is a change of the tree, but none of the code.
    known = (run.get("commit", "").rstrip("+"), result.get("studies"))
    if known != (commit, given.studies):
        result = {"run": provenance.facts(), "studies": given.studies, "rows": []}
    done = {(r["sizes"], r["patients"], r["true"], r["icc"]) for r in result["rows"]}
    for cell in cells():
        if cell in done:
            continue
        result["rows"].append(simulate(*cell, given.studies))
        write_whole(given.out, json.dumps(result, indent=1) + "\n")
        print(" ".join(map(str, cell)), file=sys.stderr, flush=True)
    write_whole(given.docs, fill(given.docs.read_text(), result))


if __name__ == "__main__":
    sys.exit(main())
