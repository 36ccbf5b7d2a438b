"""How often does a reader study find a difference that is not there?

    python experiments/multireader_tests.py

Simulates studies of 3 to 6 readers and 40 and 80 patients and counts how often each
analysis of `stats/_parts/multireader.py` rejects at 5 %: readers without and with help
that is worth nothing to the average reader, and a model against readers who are on
average as good. Writes `experiments/results/multireader_tests.json` and
`docs/figures/multireader_tests.png`; takes about 4 minutes on two cores and needs no
data. `experiments/readme_tables.py` then makes the table in `docs/statistics.md`.

A study is drawn as Roe and Metz have it (Academic Radiology 4, 1997), with clips within
patients: a mark is separation times truth, plus how the patient and the clip look to
all (half of either), to one reader, with one kind of help, and to one reader with one
kind of help; and each reader has an ability of his own, and another with help where
`ability` is above 0. Marks become ratings from 1 to 5. Readers are drawn alike without
and with help, so that without a gap nothing is there to be found.
"""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy import stats

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.stats._parts.clustered import influence
from ultrasound_jax.analysis.stats._parts.multireader import (
    BOTH,
    PATIENTS,
    READERS,
    against_one,
    average,
    between_tests,
    of_readers,
)
from ultrasound_jax.runs import cli, provenance
from ultrasound_jax.runs.files import write_whole

ROOT = Path(__file__).parent.parent
COUNTS = (3, 4, 6)
PATIENT_COUNTS = (40, 80)
SEPARATION, ALPHA = 1.8, 0.05
LOOK, OWN, HELP, REST = 0.5, 0.3, 0.15, 0.35  # variances of marks; see the docstring
READER, ABILITY = 0.15, 0.15  # standard deviations of abilities, of either truth
EDGES = np.array([-0.2, 0.5, 1.1, 1.9])  # between the ratings
HILLIS = "hillis"
ANALYSES = {
    BOTH: ("other readers and patients", "#0072B2", "o"),
    HILLIS: ("the same, as published", "#E69F00", "^"),
    PATIENTS: ("these readers, other patients", "#D55E00", "s"),
    READERS: ("other readers, these patients", "#009E73", "D"),
}


@dataclass(frozen=True)
class Kind:
    """What kind of study is drawn.

    ability: standard deviation of what help does to a reader. gap: how much help adds
    to the separation. standalone: a model is compared with the readers without help.
    """

    readers: int
    patients: int
    ability: float = ABILITY
    gap: float = 0.0
    standalone: bool = False


def draw(
    rng: np.random.Generator, kind: Kind
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The labels `n`, the ratings `m n`, and whose clips they are.

    Rows are the readers without help and then with it, or the model and the readers.
    """
    patient = np.repeat(np.arange(kind.patients), rng.integers(2, 9, kind.patients))
    labels = (rng.random(len(patient)) < 0.4).astype(float)

    def effect(variance: float, *shape: int) -> np.ndarray:
        """Half the patient's, half the clip's."""
        of_patients = rng.normal(size=(*shape, kind.patients))[..., patient]
        both = of_patients + rng.normal(size=(*shape, len(patient)))
        return math.sqrt(variance / 2) * both

    def ability(spread: float, *shape: int) -> np.ndarray:
        """Of either truth."""
        return spread * rng.normal(size=(*shape, 2))[..., labels.astype(int)]

    tests, readers = (1 if kind.standalone else 2), kind.readers
    separation = np.array([SEPARATION, SEPARATION + kind.gap])[:tests, None, None]
    looks = effect(LOOK)
    marks = (
        separation * labels
        + looks
        + effect(OWN, readers)
        + effect(HELP, tests, 1)
        + effect(REST, tests, readers)
        + ability(READER, readers)
        + ability(kind.ability, tests, readers)
    )
    ratings = np.searchsorted(EDGES, marks).reshape(tests * readers, -1) + 1.0
    if kind.standalone:
        own = as_good(kind.ability) + kind.gap
        model = own * labels + looks + effect(OWN + HELP + REST)
        ratings = np.vstack([model, ratings])
    return labels, ratings, patient


@cache
def as_good(ability: float) -> float:
    """The separation of a model without ratings that is as good as the average reader.

    The readers' expected AUROC is that of ratings, averaged over many readers.
    """
    rng = np.random.default_rng(0)
    spread = math.sqrt(READER**2 + ability**2)
    means = np.array([0.0, SEPARATION]) + spread * rng.normal(size=(200_000, 2))
    below = stats.norm.cdf((EDGES - means[..., None]) / deviation())
    below = np.concatenate([0 * below[..., :1], below, 0 * below[..., :1] + 1], axis=-1)
    share = np.diff(below, axis=-1)
    wins = (share[:, 1] * (below[:, 0, :-1] + share[:, 0] / 2)).sum(axis=1)
    return math.sqrt(2) * deviation() * float(stats.norm.ppf(wins.mean()))


def deviation() -> float:
    """Of the marks of one reader and truth."""
    return math.sqrt(LOOK + OWN + HELP + REST)


def p_values(
    labels: np.ndarray, ratings: np.ndarray, patient: np.ndarray, kind: Kind
) -> dict[str, float | None]:
    """The p of each of ANALYSES in one study."""
    found = influence(labels, ratings, patient)
    compared = against_one if kind.standalone else between_tests
    contrasts = compared(kind.readers)
    p = {name: one.p for name, one in of_readers(found, contrasts).items()}
    # As published: the covariance as it is, and no patients in the freedom.
    errors = contrasts @ found.covariance() @ contrasts.T
    own = float(np.trace(errors)) / len(errors)
    plain = average(contrasts @ found.aurocs, own=own, together=float(errors.mean()))
    return p | {HILLIS: plain[BOTH].p}


def rejections(kind: Kind, repeats: int) -> dict[str, Any]:
    """The share of studies in which each analysis rejects.

    A study with a side of one patient is drawn again and counted as `refused`.
    """
    place = (kind.readers, kind.patients, round(1000 * kind.ability))
    rng = np.random.default_rng([*place, round(1000 * kind.gap), kind.standalone])
    hits, refused, done = dict.fromkeys(ANALYSES, 0), 0, 0
    while done < repeats:
        study = draw(rng, kind)
        try:
            found = p_values(*study, kind)
        except AnalysisError:
            refused += 1
            continue
        done += 1
        for name, p in found.items():
            hits[name] += p is not None and p <= ALPHA
    shares = {name: count / repeats for name, count in hits.items()}
    return vars(kind) | {"refused": refused, "rejected": shares}


def simulate(repeats: int, processes: int) -> dict[str, Any]:
    """Sizes of all kinds of studies, and powers."""
    more: dict[str, dict[str, Any]] = {
        "help": {},
        "fixed": {"ability": 0.0},
        "model": {"standalone": True},
        "power": {"gap": 0.5},
    }
    kinds = {
        part: [
            Kind(readers, patients, **settings)
            for patients in PATIENT_COUNTS
            for readers in COUNTS
        ]
        for part, settings in more.items()
    }
    with ProcessPoolExecutor(processes, mp_context=get_context("fork")) as pool:
        running = {
            part: [pool.submit(rejections, kind, repeats) for kind in chosen]
            for part, chosen in kinds.items()
        }
        parts = {}
        for part, waiting in running.items():
            parts[part] = [one.result() for one in waiting]
            print(f"{part}: done", file=sys.stderr, flush=True)
    return parts


def draw_figure(path: Path, result: dict[str, Any]) -> None:
    """Draws the share of rejections by readers, a row a part, a column of patients."""
    rows = {
        "help": "help that is worth nothing\non average: found",
        "model": "a model as good as the\naverage reader: found",
        "power": "help that adds:\nfound",
    }
    figure = Figure(figsize=(7.5, 8.2), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(rows), len(PATIENT_COUNTS), sharey="row", sharex=True)
    chance = stats.binom.ppf((0.025, 0.975), result["repeats"], ALPHA)
    for above, (part, words) in zip(panels, rows.items(), strict=True):
        above[0].set_ylabel(words)
        for panel, patients in zip(above, PATIENT_COUNTS, strict=True):
            chosen = [row for row in result[part] if row["patients"] == patients]
            if part != "power":
                panel.axhspan(*chance / result["repeats"], color="0.85", zorder=0)
            panel.axhline(ALPHA, color="0.4", linewidth=0.8, linestyle="--")
            for name, (words, colour, marker) in ANALYSES.items():
                panel.plot(
                    [row["readers"] for row in chosen],
                    [row["rejected"][name] for row in chosen],
                    color=colour,
                    marker=marker,
                    markersize=4,
                    linewidth=1.4,
                    label=words,
                )
            panel.set_ylim(0, None)
            panel.set_xticks(COUNTS)
            panel.grid(color="0.92", linewidth=0.6)
    for panel, patients in zip(panels[0], PATIENT_COUNTS, strict=True):
        panel.set_title(f"{patients} patients")
    for panel in panels[-1]:
        panel.set_xlabel("readers")
    handles, names = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the command."""
    parser = cli.Parser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=200, help="studies of a kind")
    parser.add_argument("--processes", type=int, default=2, help="side by side")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "experiments/results/multireader_tests.json"
    )
    parser.add_argument(
        "--figure", type=Path, default=ROOT / "docs/figures/multireader_tests.png"
    )
    given = parser.parse_args(argv)
    return cli.guard(lambda prompt: run(given))


def run(given: argparse.Namespace) -> None:
    """Simulates, writes the results, and draws them."""
    settings = {"repeats": given.repeats, "alpha": ALPHA}
    result = (
        {"run": provenance.facts()}
        | settings
        | simulate(given.repeats, given.processes)
    )
    write_whole(given.out, json.dumps(result, indent=1) + "\n")
    draw_figure(given.figure, result)
    print(f"written: {given.out}, {given.figure}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
