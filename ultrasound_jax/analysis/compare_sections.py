"""Which differences between models survive, as blocks of a document."""

from collections.abc import Mapping
from typing import Any

from ultrasound_jax.analysis.compare import MEASURES
from ultrasound_jax.analysis.compare_report import UNITS, p_text, verdict
from ultrasound_jax.analysis.document import (
    NOT_DEFINED,
    Block,
    Heading,
    Listing,
    Picture,
    Table,
    Text,
    label,
    value_text,
)
from ultrasound_jax.analysis.forest import forest_figure


def compared(tree: Mapping[str, Any]) -> list[Block]:
    """Returns the tables and the figure of a `compare` tree."""
    n = tree["n"]
    survivors = [
        f"{row['model']}, {label(row['class'])}: {value_text(_delta(row), 'x')}"
        for row in tree["differences"]
        if row["survives"]
    ]
    blocks: list[Block] = [
        Heading("Differences between models"),
        Text(
            f"Reference: {tree['reference']}. {n['examples']} {UNITS[tree['level']]} "
            f"of {n['patients']} patients. A difference survives if its clustered p, "
            f"adjusted by Holm, is at most {tree['alpha']}. The plain DeLong p takes "
            "clips as independent; it is shown as papers have it and decides nothing."
        ),
    ]
    if survivors:
        blocks += [Text("Differences that survive:"), Listing(survivors)]
    else:
        blocks.append(Text("No difference survives."))
    blocks += [
        differences(tree),
        Picture(
            "differences",
            forest_figure(tree),
            alt=f"Differences in AUROC to {tree['reference']}, with intervals",
            caption=f"AUROC of the model minus that of {tree['reference']}.",
        ),
    ]
    if tree["notes"]:
        blocks.append(Listing([f"Note: {note}." for note in tree["notes"]]))
    table = decisions(tree)
    return [*blocks, table] if table.rows else blocks


def differences(tree: Mapping[str, Any]) -> Table:
    """One row a model and pattern: difference, interval and all tests."""
    rows = []
    for row in tree["differences"]:
        of = (row["positive_patients"], row["negative_patients"])
        names = ("delong_p", "clustered_p", "bootstrap_p", "holm_p")
        rows.append(
            [
                row["model"],
                label(row["class"]),
                *(_number(row[name]) for name in ("auroc_reference", "auroc")),
                value_text(_delta(row), "x"),
                *(p_text(row[name]) for name in names),
                verdict(row).replace("*", ""),
                str(tree["n"]["patients"]) if None in of else f"{of[0]} / {of[1]}",
            ]
        )
    return Table(
        [
            "model",
            "pattern",
            "AUROC, reference",
            "AUROC",
            "difference",
            "plain DeLong p",
            "clustered p",
            "bootstrap p",
            "Holm p",
            "survives",
            "patients (with / without)",
        ],
        rows,
        caption=f"Model minus {tree['reference']}, with 95 % intervals of the paired "
        f"bootstrap over {tree['n']['patients']} patients.",
        strong=frozenset(
            i for i, row in enumerate(tree["differences"]) if row["survives"]
        ),
    )


def decisions(tree: Mapping[str, Any]) -> Table:
    """What is decided at the operating points; no rows where there are none."""
    rows = []
    for row in tree["differences"]:
        for measure in MEASURES:
            found = (row["mcnemar"] or {}).get(measure)
            if found is None:
                continue
            rows.append(
                [
                    row["model"],
                    label(row["class"]),
                    "right decisions" if measure == "decisions" else measure,
                    f"{found['share_reference']:.3f}",
                    f"{found['share']:.3f}",
                    f"{found['only_reference_right']} / {found['only_model_right']}",
                    p_text(found["p_mid"]),
                    p_text(found["p_patients"]),
                    p_text(found["holm_p"]),
                ]
            )
    return Table(
        [
            "model",
            "pattern",
            "share of",
            tree["reference"],
            "model",
            "only one right (reference / model)",
            "McNemar mid-p (ignores patients)",
            "p over patients",
            "Holm p",
        ],
        rows,
        caption="Decisions at Youden's thresholds, chosen on other patients: McNemar's "
        "test and a randomisation test that flips whole patients "
        f"({tree['n']['patients']} patients).",
    )


def _delta(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"x": row["difference"], "x_ci": row["ci"]}


def _number(value: float | None) -> str:
    return NOT_DEFINED if value is None else f"{value:.3f}"
