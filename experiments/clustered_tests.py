"""How often do tests find a difference between two models that do not differ?

    python experiments/clustered_tests.py

Simulates studies (`clustered_studies`) of 7 to 60 patients, with about as many clips
each or with one who has half of all, and counts how often each test rejects at
5 %: DeLong as the paper has it; Obuchowski's clustered form with the normal
distribution, with Student's t of as many degrees as the rarer side has patients, less
one, or effective patients, less one; what `analysis compare` uses; the paired bootstrap
over patients and McNemar's of decisions (of fewer studies, for they are slow). Then the
same for models that do differ. Writes `experiments/results/clustered_tests.json` cell
by cell, so that a run that was stopped goes on, `docs/figures/clustered_tests.png` and
the table in `docs/statistics.md`; takes some minutes on one core and needs no data.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import clustered_studies as made
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy import stats

from ultrasound_jax.analysis.stats._parts import bootstrap, delong, paired_bootstrap
from ultrasound_jax.analysis.stats._parts.clustered import Influence, mean_spread
from ultrasound_jax.analysis.stats._parts.mcnemar import mcnemar
from ultrasound_jax.analysis.stats._parts.spread import Spread
from ultrasound_jax.runs import cli, provenance
from ultrasound_jax.runs.files import write_whole

ROOT = Path(__file__).parent.parent
PATIENTS, SIZES = (7, 15, 30, 60), ("alike", "dominant")
SHARES = (0.0, 0.4, 0.8)
GAPS = (0.5, 1.0)
CLASSES = 4  # of the macro
SHARE = 0.4  # of the simulations that do not vary it
HARDER, HARDER_SHARE = 1.6, 0.6
SEPARATION = 1.5  # of the better model, in standard deviations of its own error
ALPHA, REPLICATES, DRAWN = 0.05, 200, 200
TESTS = {
    "delong": ("DeLong, clips independent", "#D55E00", "s"),
    "normal": ("clustered, normal", "#E69F00", "^"),
    "bootstrap": ("bootstrap over patients", "#009E73", "D"),
    "t_patients": ("clustered, t of patients", "#CC79A7", "v"),
    "effective": ("clustered, t of effective patients", "#999999", "x"),
    "clustered": ("what decides", "#0072B2", "o"),
}
DECISIONS = {
    "mcnemar_mid": "McNemar mid-p, clips independent",
    "mcnemar_patients": "McNemar, patients flipped",
}
_SIZES = {"alike": "alike", "dominant": "half are one's"}


def kinds() -> Iterator[tuple[str, made.Kind]]:
    """What is simulated, and its part of the table."""
    alike = (SEPARATION, SEPARATION)
    for sizes in SIZES:
        for patients in PATIENTS[: None if sizes == "alike" else -1]:
            for share in SHARES:
                yield "size", made.Kind(patients, share, alike, sizes)
            rare = made.Kind(patients, SHARE, alike, sizes, log_odds=made.RARE)
            yield "rare", rare
            if sizes == "dominant":
                kind = made.Kind(patients, HARDER_SHARE, alike, sizes, harder=HARDER)
                yield "harder", kind
            macro = made.Kind(patients, SHARE, alike, sizes, classes=CLASSES)
            yield "macro", macro
            for gap in GAPS:
                separations = (SEPARATION, SEPARATION - gap)
                yield "power", made.Kind(patients, SHARE, separations, sizes)


def rejections(kind: made.Kind, studies: int) -> dict[str, Any]:
    """The share of studies in which each test rejects.

    Of those that it tests: `untested` is the share of studies in which few patients
    have so much that `compare` gives no verdict.
    """
    numbers = [kind.patients, round(100 * kind.share), kind.classes]
    numbers += [round(100 * (s + 9)) for s in kind.separations]
    seed = [*numbers, made.SIZES.index(kind.sizes), kind.log_odds == made.RARE]
    rng = np.random.default_rng([*seed, kind.harder > 1])
    drawn = made.draw(rng, kind, studies)
    found = made.influences(drawn)
    spread = mean_spread(found, [1.0, -1.0])
    result: dict[str, Any] = {"difference": float(np.mean(spread.value))}
    p = _clustered(found, spread)
    if kind.classes == 1 and kind.log_odds == made.COMMON and kind.harder == 1:
        p |= _others(drawn)
    for name, values in p.items():
        tested = values[~np.isnan(values)]
        result[name] = float((tested <= ALPHA).mean())
    result["untested"] = float(np.isnan(p["clustered"]).mean())
    worth = [f.effective().min(axis=0) for f in found]
    result["effective_patients"] = float(np.median(np.min(worth, axis=0)))
    return result


def _clustered(found: list[Influence], spread: Spread) -> dict[str, np.ndarray]:
    """The p of each clustered test; NaN where it does not test."""
    fewest = np.min([np.count_nonzero(f.counts, axis=-1) for f in found], axis=(0, 1))
    worth = np.min([f.effective().min(axis=0) for f in found], axis=0)
    plain = np.abs(spread.value) / np.sqrt(np.maximum(_obuchowski(found), 1e-30))
    own = np.abs(spread.value) / np.maximum(spread.error(), 1e-15)
    decided = 2 * stats.t.sf(own, spread.df)
    return {
        "normal": 2 * stats.norm.sf(plain),
        "t_patients": 2 * stats.t.sf(plain, fewest - 1),
        "effective": 2 * stats.t.sf(plain, np.maximum(worth - 1, 1e-3)),
        "clustered": np.where(spread.testable(), decided, np.nan),
    }


def _obuchowski(found: list[Influence]) -> np.ndarray:
    """The paper's variance of the difference of the mean AUROCs."""
    whole, variance = 0.0, 0.0
    patients = np.max(
        [np.count_nonzero(f.counts.sum(axis=0), axis=-1) for f in found], axis=0
    )
    between = patients / (patients - 1)
    for one in found:
        sides = [
            (part[0] - part[1]) / len(found) for part in (one.positive, one.negative)
        ]
        for side, count in zip(
            sides, np.count_nonzero(one.counts, axis=-1), strict=True
        ):
            variance = variance + (count / (count - 1) - between) * (side**2).sum(-1)
            whole = whole + side
    return np.asarray(variance + between * np.sum(np.square(whole), axis=-1))


def _others(drawn: made.Studies) -> dict[str, np.ndarray]:
    """The p of DeLong's, McNemar's and the bootstrap's test, one study at a time.

    Both models decide at the same threshold, midway between the better one's means.
    """
    patient, count = drawn.patient, min(DRAWN, drawn.labels.shape[1])
    p = {name: np.full(count, np.nan) for name in ("delong", "bootstrap", *DECISIONS)}
    replicates = bootstrap.draw_patients(
        int(patient.max()) + 1, replicates=REPLICATES, seed=1
    )
    for study in range(count):
        labels, scores = drawn.labels[0, study], drawn.scores[0, :, study]
        if min(labels.sum(), len(labels) - labels.sum()) >= 2:
            p["delong"][study] = delong.delong_test(labels, *scores).p
        right = (scores > SEPARATION / 2) == (labels == 1)
        decided = mcnemar(right[0], right[1], patient)
        p["mcnemar_mid"][study] = decided.p_mid
        p["mcnemar_patients"][study] = decided.p_patients
        samples = paired_bootstrap.aurocs(
            labels[:, None], scores[:, :, None], patient, replicates
        )
        found = paired_bootstrap.p_value(samples[0, :, 0] - samples[1, :, 0])
        p["bootstrap"][study] = np.nan if found is None else found
    return p


def draw_figure(path: Path, result: dict[str, Any]) -> None:
    """Draws false findings, a row for each kind of sizes, a column a number."""
    figure = Figure(figsize=(11, 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(SIZES), len(PATIENTS), sharex=True, sharey="row")
    chance = stats.binom.ppf((0.025, 0.975), result["studies"], ALPHA)
    for line, sizes in enumerate(SIZES):
        for column, patients in enumerate(PATIENTS):
            panel = panels[line, column]
            panel.axhspan(*chance / result["studies"], color="0.85", zorder=0)
            panel.axhline(ALPHA, color="0.4", linewidth=0.8, linestyle="--")
            rows = [
                row
                for row in result["rows"]
                if (row["part"], row["sizes"], row["patients"])
                == ("size", sizes, patients)
            ]
            if not rows:
                panel.set_axis_off()
                continue
            _lines(panel, rows)
            panel.set(title=f"{patients} patients, {_SIZES[sizes]}")
        panels[line, 0].set_ylabel("false findings (5 % wanted)")
        panels[line, 0].set_ylim(0, 0.4)
    for panel in panels[-1]:
        panel.set_xlabel("ICC of a model's error")
    handles, names = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


def _lines(panel: Axes, rows: list[dict[str, Any]]) -> None:
    for name, (label, colour, marker) in TESTS.items():
        panel.plot(
            [row["share"] for row in rows],
            [row[name] for row in rows],
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
    lines = [["what is simulated", "clips", "patients (worth)", *names, "no verdict"]]
    lines.append(["---"] * len(lines[0]))
    words = {
        "size": "no difference, ICC {share}",
        "rare": "no difference, rare pattern",
        "harder": "no difference, his errors are 1.6 times as large",
        "macro": "no difference, macro of 4",
        "power": "difference {difference:.2f}",
    }
    for part, text in words.items():
        for row in result["rows"]:
            if row["part"] != part:
                continue
            cells = [
                f"{100 * row[name]:.1f}" if name in row else ""
                for name in (*TESTS, *DECISIONS, "untested")
            ]
            worth = f"{row['patients']} ({row['effective_patients']:.1f})"
            lines.append([text.format(**row), _SIZES[row["sizes"]], worth, *cells])
    run = result["run"]
    note = (
        f"Percent of {result['studies']} studies ({DRAWN} for DeLong's, McNemar's and "
        f"the bootstrap's tests) in which a test rejects at 5 %; ICC {SHARE} where "
        "none is told. Worth: effective patients of the rarer side, the median. No "
        "verdict: studies in which few patients have too much for a test. "
        f"`{run['command']}` at commit {run['commit']}, {run['date']}."
    )
    rows = ["| " + " | ".join(row) + " |" for row in lines]
    return "\n".join([*rows, "", note])


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the command."""
    parser = cli.Parser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--studies", type=int, default=1000, help="of a kind")
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
    """Simulates what the file lacks, draws it, and fills in the table."""
    result = json.loads(given.out.read_text()) if given.out.exists() else {}
    if not given.drawn:
        _simulate(given, result)
        result = json.loads(given.out.read_text())
    draw_figure(given.figure, result)
    write_whole(given.docs, fill(given.docs.read_text(), result))
    print(f"written: {given.out}, {given.figure}, {given.docs}", file=sys.stderr)


def _simulate(given: argparse.Namespace, result: dict[str, Any]) -> None:
    run, settings = result.get("run", {}), {"studies": given.studies, "alpha": ALPHA}
    known = (run.get("commit", "").rstrip("+"), result.get("studies"))
    # What was written already is a change of the tree, but none of the code.
    if known != (provenance.commit().rstrip("+"), given.studies):
        result = {"run": provenance.facts()} | settings | {"rows": []}
    done = len(result["rows"])
    for part, kind in list(kinds())[done:]:
        facts = {k: v for k, v in asdict(kind).items() if k != "separations"}
        row = {"part": part} | facts | rejections(kind, given.studies)
        result["rows"].append(row)
        write_whole(given.out, json.dumps(result, indent=1) + "\n")
        print(part, kind, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
