"""A comparison written down: Markdown, CSV and the tree itself."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ultrasound_jax.analysis.compare import MACRO, MEASURES
from ultrasound_jax.analysis.files import write_whole
from ultrasound_jax.analysis.forest import write_forest_figure

UNITS = {
    "clip": "clips",
    "video_mean": "videos (mean over their clips)",
    "video_max": "videos (maximum over their clips)",
}
_INTERVALS = {
    "ci": "bootstrap over patients",
    "clustered_ci": "clustered",
    "delong_ci": "DeLong (ignores patients)",
}
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
    "replicates_left_out",
)


def write_comparison(
    folder: Path, comparison: Mapping[str, Any], *, facts: Mapping[str, str]
) -> list[Path]:
    """Writes compare.json, .csv, .md and .png into an existing folder.

    `facts` stand at the top of the Markdown (which runs, from where).
    """
    paths = [folder / f"compare.{kind}" for kind in ("json", "csv", "md", "png")]
    tree = json.dumps(comparison, indent=1, allow_nan=False)
    write_whole(paths[0], f"{tree}\n".encode())
    write_whole(paths[1], compare_csv(comparison).encode())
    write_forest_figure(paths[3], comparison)
    text = [f"# Differences to {comparison['reference']}"]
    text.append("Research software: **not for diagnosis**.")
    text += [f"* {name}: {fact}" for name, fact in facts.items()]
    text += ["", compare_table(comparison), f"![Differences]({paths[3].name})"]
    text += [auroc_table(comparison), mcnemar_table(comparison)]
    text.append(methods_text(comparison))
    write_whole(paths[2], ("\n\n".join(t for t in text if t) + "\n").encode())
    return paths


def compare_table(comparison: Mapping[str, Any]) -> str:
    """Returns Markdown: the differences, and what must be known about them."""
    n = comparison["n"]
    unit = UNITS[comparison["level"]]
    lead = (
        f"{n['examples']} {unit} of {n['patients']} patients, split "
        f"{comparison['split']}. A difference is the model's AUROC minus that of "
        f"{comparison['reference']}; in brackets are 95 % intervals by bootstrap over "
        "patients. The p value in the last column but one decides what survives; "
        "DeLong's, as the paper has it, ignores that clips come in patients."
    )
    header = [
        "model",
        "pattern",
        "patients with positives/negatives",
        f"AUROC, {comparison['reference']}",
        "AUROC, model",
        "difference",
        "p DeLong (ignores patients)",
        "p bootstrap",
        "p clustered",
        "p clustered, Holm",
        "survives",
    ]
    rows = []
    for row in comparison["differences"]:
        patients = f"{row['positive_patients']}/{row['negative_patients']}"
        if row["class"] == MACRO:
            patients = str(n["patients"])
        rows.append(
            [
                row["model"],
                f"**{MACRO}**" if row["class"] == MACRO else row["class"],
                patients,
                _number(row["auroc_reference"]),
                _number(row["auroc"]),
                _difference(row),
                "" if row["class"] == MACRO else p_text(row["delong_p"]),
                p_text(row["bootstrap_p"]),
                p_text(row["clustered_p"]),
                p_text(row["holm_p"]),
                verdict(row),
            ]
        )
    notes = "\n".join(f"* {note}" for note in comparison["notes"])
    return "\n\n".join(t for t in (lead, _table(header, rows), notes) if t)


def auroc_table(comparison: Mapping[str, Any]) -> str:
    """Returns each model's AUROCs with three intervals, as Markdown."""
    rows = []
    for model, entries in comparison["aurocs"].items():
        for name, entry in entries.items():
            cells = [_interval(entry[kind]) for kind in _INTERVALS]
            rows.append([model, name, _number(entry["auroc"]), *cells])
    header = ["model", "pattern", "AUROC", *_INTERVALS.values()]
    return "## AUROC of each model, with 95 % intervals\n\n" + _table(header, rows)


def mcnemar_table(comparison: Mapping[str, Any]) -> str:
    """Returns the table of decisions at the operating points; empty without any."""
    rows = []
    for row in comparison["differences"]:
        for measure in MEASURES:
            found = (row["mcnemar"] or {}).get(measure)
            if found is None:
                continue
            rows.append(
                [
                    row["model"],
                    row["class"],
                    "right decisions" if measure == "decisions" else measure,
                    f"{found['share_reference']:.3f}",
                    f"{found['share']:.3f}",
                    f"{found['only_reference_right']}/{found['only_model_right']}",
                    p_text(found["p_exact"]),
                    p_text(found["p_mid"]),
                    p_text(found["p_patients"]),
                    p_text(found["holm_p"]),
                ]
            )
    if not rows:
        return ""
    header = [
        "model",
        "pattern",
        "share of",
        comparison["reference"],
        "model",
        "only one right (reference/model)",
        "p exact (ignores patients)",
        "p mid-p (ignores patients)",
        "p patients",
        "p patients, Holm",
    ]
    return "## At the operating points: McNemar\n\n" + _table(header, rows)


def methods_text(comparison: Mapping[str, Any]) -> str:
    """Returns how the numbers were made, with the sources."""
    interval, families = comparison["interval"], comparison["families"]
    return (
        "## How the numbers were made\n\n"
        f"Intervals and p bootstrap: {interval['method']}, {interval['replicates']} "
        f"replicates, seed {interval['seed']}; p inverts the interval. DeLong: DeLong "
        "et al. 1988 by the midranks of Sun and Xu 2014; clips are taken for "
        "independent, as in the paper. Clustered: Obuchowski 1997, referred to "
        "Student's t with one less than the patients of the rarer side. Holm 1979 over "
        f"{families['classes']['comparisons']} comparisons of patterns and models; the "
        f"{families['macro']['comparisons']} macro values are a family of their own. A "
        f"difference survives if this p is at most {comparison['alpha']}. McNemar: "
        "exact and mid-p, and a randomisation test that flips whole patients; "
        "thresholds are Youden's, chosen on other patients. Surviving is not "
        "importance, and not surviving is not equality: read the interval."
    )


def compare_csv(comparison: Mapping[str, Any]) -> str:
    """Returns the rows as CSV: COLUMNS, then McNemar's; empty is not defined."""
    kinds = ("share_reference", "share", "p_exact", "p_mid", "p_patients", "holm_p")
    more = [(measure, kind) for measure in MEASURES for kind in kinds]
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow([*COLUMNS, *(f"mcnemar_{m}_{k}" for m, k in more)])
    for row in comparison["differences"]:
        flat = dict(row)
        for name in ("ci", "clustered_ci"):
            flat[f"{name}_low"], flat[f"{name}_high"] = row[name] or (None, None)
        found = row["mcnemar"] or {}
        cells = [flat[name] for name in COLUMNS]
        cells += [found.get(m, {}).get(k) for m, k in more]
        table.writerow(["" if cell is None else cell for cell in cells])
    return out.getvalue()


def verdict(row: Mapping[str, Any]) -> str:
    """Returns yes, no, or why neither."""
    if row["survives"] is None:
        return f"not tested: {row['reason']}"
    if not row["survives"]:
        return "no"
    return "**yes, better**" if row["difference"] > 0 else "**yes, worse**"


def p_text(p: float | None) -> str:
    """Writes a p value as tables do."""
    if p is None:
        return "not defined"
    if p < 0.001:
        return "< 0.001"
    return f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def _difference(row: Mapping[str, Any]) -> str:
    if row["difference"] is None:
        return "not defined"
    text = f"{row['difference']:+.3f}"
    if row["ci"] is None:
        return f"{text} [not defined]"
    return f"{text} [{row['ci'][0]:+.3f}, {row['ci'][1]:+.3f}]"


def _interval(ends: Sequence[float] | None) -> str:
    return "not defined" if ends is None else f"[{ends[0]:.3f}, {ends[1]:.3f}]"


def _number(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.3f}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |"
        for line in lines
    )
