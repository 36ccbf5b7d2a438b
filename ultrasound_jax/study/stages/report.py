"""What two stages found: `stages.json`, the sweep of margins, the comparison."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ultrasound_jax.analysis.document import (
    NOT_DEFINED,
    Block,
    Heading,
    Listing,
    Table,
    Text,
    value_text,
)
from ultrasound_jax.analysis.judge.compare_models import compare_models
from ultrasound_jax.analysis.report.comparison_files import write_comparison
from ultrasound_jax.analysis.report.comparison_words import p_text
from ultrasound_jax.analysis.report.markdown import write_markdown
from ultrasound_jax.analysis.table.predictions import Predictions
from ultrasound_jax.analysis.table.splits import OUT_OF_FOLD
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.study.crossval import worth_keeping

MACRO = "macro"
GUARANTEES = {
    False: "Every mask is of a network that neither trained on its case nor was "
    "selected on it. Masks of training cases are of networks that trained on pictures "
    "and masks, never classes, of the judged fold: --strict has others.",
    True: "Every mask is of a network that neither trained on its case nor was "
    "selected on it; masks of cases that train a classifier are of networks that saw "
    "nothing of the fold that it is judged on.",
}


def compare(
    tables: Mapping[str, Predictions], folder: Path, *, replicates: int
) -> dict[str, Any] | None:
    """All against the first, on the cases that all have; None where it stands alone.

    Holm's correction is over classes and models. Writes compare.json, .csv and .md.
    """
    if len(tables) < 2:
        return None
    common = set.intersection(*({*table.example_id} for table in tables.values()))
    same = {
        name: table.rows(np.array([one in common for one in table.example_id]))
        for name, table in tables.items()
    }
    reference = next(iter(tables))
    found = compare_models(same, reference, replicates=replicates)
    most = max(len(table) for table in tables.values())
    facts = {"runs": ", ".join(found["models"])}
    if len(common) < most:
        facts["cases"] = f"the {len(common)} of {most} that every run judges"
    folder.mkdir(parents=True, exist_ok=True)
    write_comparison(folder, found, facts=facts)
    return found | {"cases_compared": len(common)}


def entry(
    found: Mapping[str, Any], table: Predictions, kind: str, margin: int
) -> dict[str, Any]:
    """What is told of a variant."""
    further = [name for name in ("folds",) if name in found["metrics"]]
    kept = worth_keeping(found["metrics"], *further)
    rest = {key: value for key, value in found.items() if key != "metrics"}
    return {"kind": kind, "margin": margin, "cases": len(table)} | rest | kept


def write(
    folder: Path,
    about: Mapping[str, Any],
    variants: Mapping[str, Mapping[str, Any]],
    comparison: Mapping[str, Any] | None,
) -> None:
    """Writes stages.json and stages.md."""
    differences = comparison["differences"] if comparison else []
    tree = {
        **about,
        "variants": dict(variants),
        "reference": comparison["reference"] if comparison else None,
        "cases_compared": comparison["cases_compared"] if comparison else None,
        "differences": differences,
    }
    text = json.dumps(tree, indent=1, allow_nan=False)
    write_whole(folder / "stages.json", f"{text}\n")
    write_markdown(folder / "stages.md", page(tree))


def page(tree: Mapping[str, Any]) -> list[Block]:
    """The tables of `stages.json` as a document."""
    found = tree["found"]
    rows = [_row(name, one, tree) for name, one in tree["variants"].items()]
    header = ["run", "margin", "cases", "whole for nothing", "median box"]
    header += ["macro AUROC", "accuracy", f"AUROC minus {tree['reference']}'s"]
    counts = [
        [name, f"{one['cases']}", f"{one['nothing_found']}"]
        for name, one in found["classes"].items()
    ]
    counts.append(["all", f"{found['cases']}", f"{found['nothing_found']}"])
    told = [f"{key}: {value}" for key, value in tree["asked"].items()]
    return [
        Heading("Two stages", 1),
        Text(
            f"Segmentation: {tree['segmenter']}; classifier: {tree['classifier']}. "
            + GUARANTEES[tree["asked"]["strict"]]
        ),
        Heading("Regions and margins"),
        Table(header, rows, "A margin is in percent of a box's side, at each edge."),
        Text(
            "Differences are paired, over patients, on the cases that every run "
            "judges; p by Holm over all rows. compare/compare.md has the classes."
        ),
        Heading("Where nothing was found"),
        Table(["class", "cases", "nothing found"], counts),
        Text(
            f"Of these {found['nothing_found_though_outlined']} have an outline; on "
            f"{found['found_though_nothing_outlined']} without one something was found."
        ),
        Heading("Settings"),
        Listing(told),
    ]


def _row(name: str, one: Mapping[str, Any], tree: Mapping[str, Any]) -> list[str]:
    level = next(v for v in one[OUT_OF_FOLD].values() if isinstance(v, dict))
    numbers = [
        value_text(level, key) if key in level else NOT_DEFINED
        for key in ("macro_auroc", "accuracy")
    ]
    boxes = one.get("boxes", {})
    sides = [boxes.get(side) for side in ("height", "width")]
    box = " x ".join(f"{side[1]:.0f}" for side in sides if side)
    whole = boxes.get("whole_for_nothing", one.get("unmeasured", 0))
    margin = f"{one['margin']} %" if "_m" in name else ""
    return [
        *(name, margin, f"{one['cases']}", f"{whole}", box),
        *numbers,
        _difference(name, tree["differences"]),
    ]


def _difference(name: str, rows: list[Mapping[str, Any]]) -> str:
    row = next((r for r in rows if (r["model"], r["class"]) == (name, MACRO)), None)
    if row is None:
        return ""
    if row["difference"] is None:
        return NOT_DEFINED
    ends = row["ci"]
    told = f" [{ends[0]:+.3f}, {ends[1]:+.3f}]" if ends else ""
    return f"{row['difference']:+.3f}{told}, p {p_text(row['holm_p'])}"
