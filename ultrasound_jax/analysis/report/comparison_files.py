"""The files of a comparison: the tree itself, its rows as CSV, its page."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ultrasound_jax.analysis.judge.comparison import MEASURES
from ultrasound_jax.analysis.report.comparison_section import page
from ultrasound_jax.analysis.report.markdown import write_markdown
from ultrasound_jax.analysis.table.mask_table import MASKS
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.runs.spreadsheet import people_csv

COLUMNS = (
    "model",
    "class",
    "auroc_reference",
    "auroc",
    "difference",
    "ci_low",
    "ci_high",
    "clustered_ci_low",
    "clustered_ci_high",
    "delong_p",
    "clustered_p",
    "clustered_df",
    "bootstrap_p",
    "holm_p",
    "survives",
    "reason",
    "positives",
    "negatives",
    "positive_patients",
    "negative_patients",
    "effective_patients",
    "largest_share",
    "replicates_left_out",
)
MASK_COLUMNS = (
    ("model", "class", "dice_reference", "dice", "difference", "ci_low", "ci_high")
    + ("clustered_ci_low", "clustered_ci_high", "clustered_p", "clustered_df")
    + ("bootstrap_p", "holm_p", "survives", "reason", "patients")
    + ("effective_patients", "largest_share")
)
# Where a margin was stated.
MARGIN_COLUMNS = ("verdict", "p", "holm_p", "holds")
_PARTS = ("", "_ci_low", "_ci_high")


def write_comparison(
    folder: Path, comparison: Mapping[str, Any], *, facts: Mapping[str, str]
) -> list[Path]:
    """Writes compare.json, .csv and .md (its figure beside it) into a folder.

    `facts` stand at the top of the Markdown (which runs, from where).
    """
    paths = [folder / f"compare.{kind}" for kind in ("json", "csv", "md")]
    tree = json.dumps(comparison, indent=1, allow_nan=False)
    write_whole(paths[0], f"{tree}\n".encode())
    write_whole(paths[1], compare_csv(comparison).encode())
    write_markdown(paths[2], page(comparison, facts))
    return paths


def compare_csv(comparison: Mapping[str, Any]) -> str:
    """The rows as CSV: COLUMNS, McNemar's, a margin's; empty is not defined.

    Of masks, MASK_COLUMNS.
    """
    columns, measures = COLUMNS, MEASURES
    if comparison["kind"] == MASKS:
        columns, measures = MASK_COLUMNS, ()
    shares = [f"share{of}{part}" for of in ("_reference", "") for part in _PARTS]
    kinds = (*shares, "p_exact", "p_mid", "p_patients", "holm_p")
    more = [(measure, kind) for measure in measures for kind in kinds]
    asked = MARGIN_COLUMNS if "margin" in comparison else ()
    header = [*columns, *(f"mcnemar_{m}_{k}" for m, k in more)]
    table: list[list[Any]] = [[*header, *(f"non_inferiority_{name}" for name in asked)]]
    for row in comparison["differences"]:
        flat = dict(row)
        for name in ("ci", "clustered_ci"):
            flat[f"{name}_low"], flat[f"{name}_high"] = row[name] or (None, None)
        cells = [flat[name] for name in columns]
        found = {m: _flat(entry) for m, entry in (row.get("mcnemar") or {}).items()}
        cells += [found.get(m, {}).get(k) for m, k in more]
        cells += [row["non_inferiority"][name] for name in asked]
        table.append(["" if cell is None else cell for cell in cells])
    return people_csv(table)


def _flat(entry: Mapping[str, Any]) -> dict[str, Any]:
    flat = dict(entry)
    for name in ("share_reference_ci", "share_ci"):
        flat[f"{name}_low"], flat[f"{name}_high"] = entry[name] or (None, None)
    return flat
