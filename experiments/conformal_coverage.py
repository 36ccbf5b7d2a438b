"""Do prediction sets keep their promise to a new patient?

    python experiments/conformal_coverage.py

Simulates a network and 6 to 64 calibration patients with 1 to 24 clips each, calibrates
sets that promise 90 % in the three ways of `analysis/conformal.py`, and asks five new
patients. Writes `experiments/results/conformal_coverage.json`,
`docs/figures/conformal_coverage.png` and the table in `docs/prediction_sets.md`; takes
about a minute on one core and needs no data.

A patient shows the pattern more or less often, and part of the network's error, the
intraclass correlation (ICC), belongs to the patient. Patients may be alike in how much
of it they have, or those with few clips have more of it, or those with many.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ultrasound_jax.analysis.stats.conformal import (
    WAYS,
    holds,
    limits_of,
)
from ultrasound_jax.runs import provenance
from ultrasound_jax.runs.files import write_whole

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "experiments/results/conformal_coverage.json"
FIGURE = ROOT / "docs/figures/conformal_coverage.png"
PAGE = ROOT / "docs/prediction_sets.md"
MARKS = "<!-- results: conformal_coverage -->", "<!-- end -->"
PATIENTS = (6, 9, 12, 20, 35, 64)
# Name of a column -> ICC, and who has more of the error.
KINDS = {
    "errors are the clip's own": (0.0, "alike"),
    "errors of patients (ICC 0.8)": (0.8, "alike"),
    "ICC 0.8, few clips are harder": (0.8, "few"),
    "ICC 0.8, many clips are harder": (0.8, "many"),
}
MOST_CLIPS = 24
ALPHA, NEW, REPEATS = 0.1, 5, 2000
NAMES = {
    "clip": ("clips as if independent", "#D55E00", "s"),
    "patient": ("a clip of a new patient", "#0072B2", "o"),
    "whole_patient": ("all clips of a new patient", "#009E73", "D"),
}


def draw(
    rng: np.random.Generator, patients: int, share: float, harder: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The labels and scores of clips, and whose they are."""
    counts = rng.integers(1, MOST_CLIPS + 1, patients)
    patient = np.repeat(np.arange(patients), counts)
    often = rng.normal(size=patients)[patient] - 0.5
    labels = (rng.random(len(patient)) < 1 / (1 + np.exp(-often))).astype(float)
    weight = {"alike": MOST_CLIPS / 2, "many": counts, "few": MOST_CLIPS - counts}
    spread = np.sqrt(share) * (0.4 + weight[harder] / (MOST_CLIPS / 2))
    of_patient = rng.normal(size=patients) * spread
    own = np.sqrt(1 - share) * rng.normal(size=len(patient))
    logits = 2.0 * (labels - 0.5) + of_patient[patient] + own
    return labels, 1 / (1 + np.exp(-2 * logits)), patient


def simulate(patients: int, kind: str, repeats: int) -> dict[str, Any]:
    """What new patients get after calibration on as many patients."""
    rng = np.random.default_rng([patients, list(KINDS).index(kind)])
    sums = {way: np.zeros(3) for way in WAYS}
    for _ in range(repeats):
        labels, scores, patient = draw(rng, patients + NEW, *KINDS[kind])
        known = patient < patients
        for way in WAYS:
            limits = limits_of(
                labels[known],
                scores[known],
                patient[known],
                way=way,
                kind="marginal",
                alpha=ALPHA,
            )
            for one in range(patients, patients + NEW):
                rows = patient == one
                sets = holds(scores[rows], limits)
                inside = np.where(labels[rows] == 1, sets[:, 1], sets[:, 0])
                both = sets.all(axis=1).mean()
                sums[way] += (inside.mean(), inside.all(), both)
    tree: dict[str, Any] = {"patients": patients, "kind": kind}
    for way, total in sums.items():
        clip, whole, both = (total / (repeats * NEW)).tolist()
        tree[way] = {"clip": clip, "whole_patient": whole, "both": both}
    return tree


def table(rows: list[dict[str, Any]]) -> str:
    """The Markdown table of the page."""
    lines = [
        "| simulation | calibration patients | "
        + " | ".join(
            f"{what}, {NAMES[way][0]}"
            for way in WAYS
            for what in ("clips covered", "whole patients", "{both}")
        )
        + " |"
    ]
    lines.append("|---|" + "---:|" * 10)
    for row in rows:
        cells = [
            f"{row[way][what]:.3f}"
            for way in WAYS
            for what in ("clip", "whole_patient", "both")
        ]
        lines.append(f"| {row['kind']} | {row['patients']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def with_table(page: str, text: str) -> str:
    """The page with its table replaced."""
    start, end = page.index(MARKS[0]) + len(MARKS[0]), page.index(MARKS[1])
    return f"{page[:start]}\n\n{text}\n\n{page[end:]}"


def write_figure(rows: list[dict[str, Any]]) -> None:
    """Draws what a new patient gets against the number of calibration patients."""
    figure = Figure(figsize=(12.5, 6.2), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, len(KINDS), sharex=True, sharey="row")
    lines = {}
    for column, kind in enumerate(KINDS):
        chosen = [row for row in rows if row["kind"] == kind]
        for place, (what, promise) in enumerate(
            (("clip", "patient"), ("whole_patient", "whole_patient"))
        ):
            panel = panels[place, column]
            panel.axhline(1 - ALPHA, color="0.4", linewidth=1, linestyle="--")
            for way, (name, colour, marker) in NAMES.items():
                kept = "-" if way in (promise, "whole_patient") else ":"
                lines[name] = panel.plot(
                    PATIENTS,
                    [row[way][what] for row in chosen],
                    marker=marker,
                    color=colour,
                    linestyle=kept,
                    markersize=5,
                )[0]
            panel.set_xscale("log")
            panel.set_xticks(PATIENTS, [str(p) for p in PATIENTS])
            panel.minorticks_off()
            panel.grid(color="0.92")
        panels[0, column].set_title(kind, fontsize=10)
        panels[1, column].set_xlabel("calibration patients")
    panels[0, 0].set_ylabel("clips of a new patient\ncovered")
    panels[1, 0].set_ylabel("new patients with\nall clips covered")
    figure.legend(
        lines.values(), lines.keys(), loc="outside lower center", ncols=3, frameon=False
    )
    FIGURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(FIGURE, dpi=150)


def main() -> None:
    """Simulates, and writes results, figure and table."""
    rows = []
    for kind in KINDS:
        for patients in PATIENTS:
            rows.append(simulate(patients, kind, REPEATS))
            print(rows[-1], flush=True)
    tree = {
        "run": provenance.facts(),
        "alpha": ALPHA,
        "repeats": REPEATS,
        "new_patients": NEW,
        "rows": rows,
    }
    write_whole(RESULTS, json.dumps(tree, indent=1) + "\n")
    write_figure(rows)
    write_whole(PAGE, with_table(PAGE.read_text(), table(rows)))


if __name__ == "__main__":
    main()
