"""How often do tests find a difference between two models that do not differ?

    python experiments/clustered_tests.py

Simulates studies of 7 to 64 patients with about 12 clips each and counts how often each
test rejects at 5 %: DeLong as the paper has it, Obuchowski's clustered form with the
normal distribution and with Student's t (what `analysis compare` uses), and the paired
bootstrap over patients. Then the same for models that do differ. Writes
`experiments/results/clustered_tests.json`, `docs/figures/clustered_tests.png` and the
table in `docs/statistics.md`; takes about 15 minutes on one core and needs no data.

A study: patients differ in how often they show the pattern. Each of two models scores a
clip by the pattern's presence, by what makes the clip look ill to both (half of it the
patient's), and by its own error of variance 1. Of that error a share, the intraclass
correlation (ICC), belongs to the patient: the model likes or dislikes all his clips.
The two models are drawn alike, so that without a gap their AUROCs are truly equal.
"""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy import stats

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.stats._parts import (
    bootstrap,
    clustered,
    delong,
    paired_bootstrap,
)
from ultrasound_jax.analysis.stats._parts.mcnemar import mcnemar
from ultrasound_jax.analysis.stats._parts.metrics import rank
from ultrasound_jax.runs import cli, provenance
from ultrasound_jax.runs.files import write_whole

ROOT = Path(__file__).parent.parent
PATIENTS = (7, 11, 35, 64)
SHARES = (0.0, 0.2, 0.4, 0.6, 0.8)
GAPS = (0.0, 0.25, 0.5, 0.75, 1.0)
POWER_SHARE = 0.4
COMMON, RARE = -0.5, -2.5  # log odds of the pattern in an average patient
SEPARATION = 1.5  # of the better model, in standard deviations of its own error
ALPHA, REPLICATES = 0.05, 400
TESTS = {
    "delong": ("DeLong, clips independent", "#D55E00", "s"),
    "clustered_normal": ("clustered, normal", "#E69F00", "^"),
    "bootstrap": ("bootstrap over patients", "#009E73", "D"),
    "clustered": ("clustered, Student's t", "#0072B2", "o"),
}
DECISIONS = {
    "mcnemar_mid": "McNemar mid-p, clips independent",
    "mcnemar_patients": "McNemar, patients flipped",
}


@dataclass(frozen=True)
class Kind:
    """What kind of study is drawn: see the module's docstring.

    gap: how much less the second model separates. log_odds: of the pattern.
    """

    patients: int
    share: float
    gap: float = 0.0
    log_odds: float = COMMON


def draw(
    rng: np.random.Generator, kind: Kind
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The labels `n`, the scores of two models `2 n`, and whose clips they are."""
    patient = np.repeat(
        np.arange(kind.patients), rng.integers(6, 19, size=kind.patients)
    )

    def of_patients() -> np.ndarray:
        return rng.normal(size=kind.patients)[patient]

    def of_clips() -> np.ndarray:
        return rng.normal(size=len(patient))

    labels = rng.random(len(patient)) < 1 / (1 + np.exp(-kind.log_odds - of_patients()))
    both = 0.5 * (of_patients() + of_clips())
    scores = [
        separation * labels
        + both
        + np.sqrt(kind.share) * of_patients()
        + np.sqrt(1 - kind.share) * of_clips()
        for separation in (SEPARATION, SEPARATION - kind.gap)
    ]
    return labels.astype(float), np.stack(scores), patient


def p_values(
    labels: np.ndarray, scores: np.ndarray, patient: np.ndarray, seed: int
) -> dict[str, float | None]:
    """The p of each of TESTS and DECISIONS in one study.

    Both models decide at the same threshold, midway between the better one's means.
    """
    found = clustered.influence(labels, scores, patient)
    covariance = found.covariance()
    drawn = bootstrap.draw_patients(
        int(patient.max()) + 1, replicates=REPLICATES, seed=seed
    )
    samples = paired_bootstrap.aurocs(
        labels[:, None], scores[:, :, None], patient, drawn
    )
    right = (scores > SEPARATION / 2) == (labels == 1)
    decided = mcnemar(right[0], right[1], patient)
    return {
        "delong": delong.delong_test(labels, scores[0], scores[1]).p,
        "clustered_normal": delong.difference(found.aurocs, covariance).p,
        "bootstrap": paired_bootstrap.p_value(samples[0, :, 0] - samples[1, :, 0]),
        "clustered": delong.difference(found.aurocs, covariance, found.df()).p,
        "mcnemar_mid": decided.p_mid,
        "mcnemar_patients": decided.p_patients,
    }


def rejections(kind: Kind, repeats: int) -> dict[str, Any]:
    """The share of studies in which each test rejects.

    A study that a test refuses, for lack of patients on a side, is drawn again and
    counted as `refused`.
    """
    numbers = (kind.patients, *(round(100 * v) for v in (kind.share, kind.gap)))
    rng = np.random.default_rng([*numbers, kind.log_odds == RARE])
    hits, refused, done = dict.fromkeys((*TESTS, *DECISIONS), 0), 0, 0
    while done < repeats:
        study = draw(rng, kind)
        try:
            found = p_values(*study, seed=done)
        except AnalysisError:
            refused += 1
            continue
        done += 1
        for name, p in found.items():
            hits[name] += p is not None and p <= ALPHA
    shares = {name: count / repeats for name, count in hits.items()}
    return {"patients": kind.patients, "icc": kind.share, "refused": refused} | shares


def true_difference(gap: float) -> float:
    """The AUROC that a gap costs, from one very large study."""
    if gap == 0:
        return 0.0  # drawn alike
    kind = Kind(patients=20000, share=POWER_SHARE, gap=gap)
    labels, scores, _ = draw(np.random.default_rng(1), kind)
    first, second = (float(rank(labels, row)[0][0]) for row in scores)
    return first - second


def simulate(repeats: int) -> dict[str, Any]:
    """The sizes, sizes for a rare pattern, and powers."""
    result: dict[str, list[dict[str, Any]]] = {"size": [], "rare": [], "power": []}
    for patients in PATIENTS:
        for share in SHARES:
            result["size"].append(rejections(Kind(patients, share), repeats))
        rare = Kind(patients, POWER_SHARE, log_odds=RARE)
        result["rare"].append(rejections(rare, repeats))
        for gap in GAPS:
            found = rejections(Kind(patients, POWER_SHARE, gap), repeats)
            found |= {"gap": gap, "difference": true_difference(gap)}
            result["power"].append(found)
        print(f"{patients} patients: done", file=sys.stderr, flush=True)
    return result


def draw_figure(path: Path, result: dict[str, Any]) -> None:
    """Draws sizes above powers, a column for each number of patients."""
    figure = Figure(figsize=(11, 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, len(PATIENTS), sharey="row")
    chance = stats.binom.ppf((0.025, 0.975), result["repeats"], ALPHA)
    for column, patients in enumerate(PATIENTS):
        above, below = panels[0, column], panels[1, column]
        above.axhspan(*chance / result["repeats"], color="0.85", zorder=0)
        above.axhline(ALPHA, color="0.4", linewidth=0.8, linestyle="--")
        _lines(above, result["size"], patients, "icc")
        above.set(title=f"{patients} patients", xlabel="ICC of a model's error")
        _lines(below, result["power"], patients, "difference")
        below.axhline(ALPHA, color="0.4", linewidth=0.8, linestyle="--")
        below.set(xlabel="true difference in AUROC", ylim=(0, 1.02))
    highest = max(row[name] for row in result["size"] for name in TESTS)
    panels[0, 0].set_ylim(0, 1.08 * highest)
    panels[0, 0].set_ylabel("false findings\n(no true difference; 5 % wanted)")
    panels[1, 0].set_ylabel(f"findings\n(ICC {POWER_SHARE})")
    handles, names = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=4, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


def _lines(panel: Axes, rows: list[dict[str, Any]], patients: int, x: str) -> None:
    chosen = [row for row in rows if row["patients"] == patients]
    for name, (label, colour, marker) in TESTS.items():
        panel.plot(
            [row[x] for row in chosen],
            [row[name] for row in chosen],
            color=colour,
            marker=marker,
            markersize=4,
            linewidth=1.4,
            label=label,
        )
    panel.grid(color="0.92", linewidth=0.6)


def fill(text: str, result: dict[str, Any]) -> str:
    """The text of `docs/statistics.md` with its table made anew."""
    pattern = r"(<!-- results: clustered_tests -->\n).*?(<!-- end -->)"
    text, count = re.subn(
        pattern, lambda m: f"{m[1]}{table(result)}\n{m[2]}", text, flags=re.DOTALL
    )
    if count != 1:
        raise ValueError(f"docs/statistics.md has {count} places for the table")
    return text


def table(result: dict[str, Any]) -> str:
    """The false findings and findings, in percent, as Markdown."""
    names = (*(label for label, _, _ in TESTS.values()), *DECISIONS.values())
    lines = [["what is simulated", "patients", *names]]
    for part, values, words in (
        ("size", (0.0, 0.4, 0.8), "no difference, ICC {icc}"),
        ("rare", (POWER_SHARE,), "no difference, ICC {icc}, rare pattern"),
        ("power", (POWER_SHARE,), "difference {difference:.3f}, ICC {icc}"),
    ):
        for row in result[part]:
            if row["icc"] not in values or row.get("gap") in (GAPS[0], *GAPS[1::2]):
                continue
            cells = [f"{100 * row[name]:.1f}" for name in (*TESTS, *DECISIONS)]
            lines.append([words.format(**row), str(row["patients"]), *cells])
    lines.insert(1, ["---"] * len(lines[0]))
    run = result["run"]
    note = (
        f"Percent of {result['repeats']} studies in which a test rejects at 5 %: "
        f"`{run['command']}` at commit {run['commit']}, {run['date']}."
    )
    rows = ["| " + " | ".join(row) + " |" for row in lines]
    return "\n".join([*rows, "", note, "", fewest(result)])


def fewest(result: dict[str, Any]) -> str:
    """What the fewest patients mean, in words."""
    patients = PATIENTS[0]

    def span(part: str, name: str) -> str:
        found = [r[name] for r in result[part] if r["patients"] == patients]
        ends = dict.fromkeys(f"{100 * end(found):.0f}" for end in (min, max))
        return " to ".join(ends) + " %"

    found = {r["gap"]: r for r in result["power"] if r["patients"] == patients}
    powers = " and ".join(
        f"{100 * found[gap]['clustered']:.0f} % (a true difference of "
        f"{found[gap]['difference']:.2f})"
        for gap in GAPS[2::2]
    )
    return (
        f"With {patients} patients and no difference, DeLong rejects in "
        f"{span('size', 'delong')} of studies, the bootstrap in "
        f"{span('size', 'bootstrap')}, the clustered test in "
        f"{span('size', 'clustered')}, or {span('rare', 'clustered')} for a rare "
        "pattern, which few of them have. What that costs: the clustered test finds "
        f"what is there in {powers}."
    )


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the command."""
    parser = cli.Parser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=2000, help="studies of a kind")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "experiments/results/clustered_tests.json"
    )
    parser.add_argument(
        "--figure", type=Path, default=ROOT / "docs/figures/clustered_tests.png"
    )
    parser.add_argument("--docs", type=Path, default=ROOT / "docs/statistics.md")
    parser.add_argument(
        "--drawn", action="store_true", help="figure and table anew, from the results"
    )
    given = parser.parse_args(argv)
    return cli.guard(lambda prompt: run(given))


def run(given: argparse.Namespace) -> None:
    """Simulates, writes the results, draws them, and fills in the table."""
    if given.drawn:
        result = json.loads(given.out.read_text())
    else:
        settings = {"repeats": given.repeats, "replicates": REPLICATES, "alpha": ALPHA}
        result = {"run": provenance.facts()} | settings | simulate(given.repeats)
        write_whole(given.out, json.dumps(result, indent=1) + "\n")
    draw_figure(given.figure, result)
    write_whole(given.docs, fill(given.docs.read_text(), result))
    print(f"written: {given.out}, {given.figure}, {given.docs}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
