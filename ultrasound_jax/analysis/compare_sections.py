"""Which differences between models survive, as blocks of a document."""

from collections.abc import Mapping
from typing import Any

from ultrasound_jax.analysis.compare import MACRO, MEASURES
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
)
from ultrasound_jax.analysis.forest import forest_figure


def compared(tree: Mapping[str, Any]) -> list[Block]:
    """Returns what survives of a `compare` tree, as one table and a figure."""
    n = tree["n"]
    blocks: list[Block] = [
        Heading("Differences between models"),
        Text(
            f"Reference: {tree['reference']}. {n['examples']} {UNITS[tree['level']]} "
            f"of {n['patients']} patients. A difference survives, and is marked better "
            "or worse, if its clustered p, adjusted by Holm over all patterns and "
            f"models, is at most {tree['alpha']}. All tests are in the appendix."
        ),
        survivors(tree),
        Picture(
            "differences",
            forest_figure(tree),
            alt=f"Differences in AUROC to {tree['reference']}, with intervals",
            caption=f"AUROC of the model minus that of {tree['reference']}.",
        ),
    ]
    if tree["notes"]:
        blocks.append(Listing([f"Note: {note}." for note in tree["notes"]]))
    return blocks


def survivors(tree: Mapping[str, Any]) -> Table:
    """One row a model, one column a pattern: difference, interval and verdict."""
    rows = {(row["model"], row["class"]): row for row in tree["differences"]}
    models = list(dict.fromkeys(model for model, _ in rows))
    names = [MACRO, *(n for n in dict.fromkeys(n for _, n in rows) if n != MACRO)]
    return Table(
        ["model", *map(label, names)],
        [[model, *(_verdict(rows[model, name]) for name in names)] for model in models],
        caption=f"AUROC minus that of {tree['reference']}, with 95 % intervals of the "
        f"paired bootstrap over {tree['n']['patients']} patients.",
    )


def _verdict(row: Mapping[str, Any]) -> str:
    if row["survives"] is None:
        return f"{_delta_text(row)}; {verdict(row)}"
    if not row["survives"]:
        return _delta_text(row)
    return (
        f"{_delta_text(row)} ▲ better"
        if row["difference"] > 0
        else (f"{_delta_text(row)} ▼ worse")
    )


def appendix(tree: Mapping[str, Any]) -> list[Block]:
    """Returns every test of a `compare` tree."""
    table = decisions(tree)
    return [
        Heading("Appendix: all tests"),
        Text(
            "The plain DeLong and McNemar p take clips as independent; they are shown "
            "as papers have them and decide nothing."
        ),
        differences(tree),
        *([table] if table.rows else []),
    ]


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
                _delta_text(row),
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


def _delta_text(row: Mapping[str, Any]) -> str:
    """Writes a difference with its sign, and its interval."""
    if row["difference"] is None:
        return NOT_DEFINED
    text = f"{row['difference']:+.3f}"
    if row["ci"] is None:
        return f"{text} [{NOT_DEFINED}]"
    return f"{text} [{row['ci'][0]:+.3f}, {row['ci'][1]:+.3f}]"


def _number(value: float | None) -> str:
    return NOT_DEFINED if value is None else f"{value:.3f}"
