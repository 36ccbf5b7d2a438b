"""Which differences between models survive, as blocks of a document."""

from collections.abc import Mapping, Sequence
from typing import Any

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
from ultrasound_jax.analysis.judge.comparison import (
    MACRO,
    MEASURES,
    macro_first,
)
from ultrasound_jax.analysis.report.comparison_methods import (
    classes_of,
    deciding,
    methods_text,
    several_of,
)
from ultrasound_jax.analysis.report.forest import forest_figure
from ultrasound_jax.analysis.stats._parts.wording import class_word
from ultrasound_jax.analysis.table.units import level_words

INTERVALS = {
    "ci": "bootstrap over patients",
    "clustered_ci": "clustered",
    "delong_ci": "DeLong (ignores patients)",
}
_UNDEFINED = (
    "Not defined: an AUROC without positives or without negatives; a p value or an "
    "interval where these are of one patient only, or where nothing varies, as with "
    "perfect separation; DeLong's, that ignore patients, for the macro value."
)


def page(tree: Mapping[str, Any], facts: Mapping[str, str]) -> list[Block]:
    """A `compare` tree as a document of its own; `facts` stand at its top."""
    table = decisions(tree)
    return [
        Heading(f"Differences to {tree['reference']}", 1),
        Text("Research software: not for diagnosis."),
        Listing([f"{name}: {fact}" for name, fact in facts.items()]),
        Text(
            f"{_whom(tree)}; split {label(tree['split'])}. A difference is the "
            f"model's AUROC minus that of {tree['reference']}. Holm's p, of the "
            "clustered p values, decides what survives; DeLong's, as the paper has it, "
            f"ignores that {several_of(tree)} come in patients."
        ),
        differences(tree),
        *notes(tree),
        picture(tree),
        aurocs(tree),
        *([table] if table.rows else []),
        Heading("How the numbers were made"),
        Text(methods_text(tree)),
    ]


def compared(tree: Mapping[str, Any]) -> list[Block]:
    """What survives of a `compare` tree, as one table and a figure."""
    return [
        Heading("Differences between models"),
        Text(
            f"Reference: {tree['reference']}. {_whom(tree)}. A difference survives, "
            "and is marked better or worse, if its clustered p, adjusted by Holm over "
            f"all {classes_of(tree)} and models, is at most {tree['alpha']}. All tests "
            "are in the appendix."
        ),
        survivors(tree),
        picture(tree),
        *notes(tree),
    ]


def picture(tree: Mapping[str, Any]) -> Picture:
    """The differences with their intervals, a panel a pattern."""
    return Picture(
        "differences",
        forest_figure(tree),
        alt=f"Differences in AUROC to {tree['reference']}, with intervals",
        caption=f"AUROC of the model minus that of {tree['reference']}.",
    )


def notes(tree: Mapping[str, Any]) -> list[Block]:
    """What could not be tested and why; nothing where all was."""
    if not tree["notes"]:
        return []
    return [Listing([f"Note: {note}." for note in tree["notes"]])]


def survivors(tree: Mapping[str, Any]) -> Table:
    """One row a model, one column a pattern: difference, interval and verdict."""
    found = macro_first(tree["differences"])
    rows = {(row["model"], row["class"]): row for row in found}
    models, names = (list(dict.fromkeys(part)) for part in zip(*rows, strict=True))
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
    """Every test of a `compare` tree."""
    table = decisions(tree)
    return [
        Heading("Appendix: all tests"),
        Text(
            f"The plain DeLong and McNemar p take {several_of(tree)} as independent; "
            "they are shown as papers have them and decide nothing."
        ),
        differences(tree),
        *([table] if table.rows else []),
    ]


def differences(tree: Mapping[str, Any]) -> Table:
    """One row a model and pattern: difference, interval and all tests."""
    rows, found = [], macro_first(tree["differences"])
    for row in found:
        of = (row["positive_patients"], row["negative_patients"])
        names = ("delong_p", "clustered_p", "bootstrap_p", "holm_p")
        rows.append(
            [
                row["model"],
                label(row["class"]),
                *(
                    _auroc_text(tree["aurocs"][model][row["class"]])
                    for model in (tree["reference"], row["model"])
                ),
                _delta_text(row),
                *(p_text(row[name]) for name in names),
                verdict(row),
                str(tree["n"]["patients"]) if None in of else f"{of[0]} / {of[1]}",
            ]
        )
    return Table(
        [
            "model",
            class_word(tree),
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
        f"bootstrap over {tree['n']['patients']} patients. {_UNDEFINED}",
        strong=frozenset(i for i, row in enumerate(found) if row["survives"]),
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
                    value_text(found, "share_reference"),
                    value_text(found, "share"),
                    f"{found['only_reference_right']} / {found['only_model_right']}",
                    p_text(found["p_exact"]),
                    p_text(found["p_mid"]),
                    p_text(found["p_patients"]),
                    p_text(found["holm_p"]),
                ]
            )
    return Table(
        [
            "model",
            class_word(tree),
            "share of",
            tree["reference"],
            "model",
            "only one right (reference / model)",
            "exact p (ignores patients)",
            "mid-p (ignores patients)",
            "p over patients",
            "Holm p",
        ],
        rows,
        caption=f"Decisions {deciding(tree)}: McNemar's test and a randomisation test "
        f"that flips whole patients ({tree['n']['patients']} patients). "
        "Shares have 95 % intervals of the bootstrap over patients.",
    )


def aurocs(tree: Mapping[str, Any]) -> Table:
    """Each model's AUROCs with three intervals."""
    rows = [
        [
            model,
            label(name),
            _number(entry["auroc"]),
            *(_interval(entry[kind]) for kind in INTERVALS),
        ]
        for model, entries in tree["aurocs"].items()
        for name, entry in sorted(entries.items(), key=lambda item: item[0] != MACRO)
    ]
    return Table(
        ["model", class_word(tree), "AUROC", *INTERVALS.values()],
        rows,
        caption=f"AUROC of each model with 95 % intervals ({tree['n']['patients']} "
        f"patients). {_UNDEFINED}",
    )


def _whom(tree: Mapping[str, Any]) -> str:
    n = tree["n"]
    what = level_words(tree["level"], tuple(tree["units"]))
    return f"{n['examples']} {what}; {n['patients']} patients"


def verdict(row: Mapping[str, Any]) -> str:
    """The verdict in words: yes, no, or why neither."""
    if row["survives"] is None:
        return f"not tested: {row['reason']}"
    if not row["survives"]:
        return "no"
    return "yes, better" if row["difference"] > 0 else "yes, worse"


def p_text(p: float | None) -> str:
    """Writes a p value as tables do."""
    if p is None:
        return NOT_DEFINED
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _delta_text(row: Mapping[str, Any]) -> str:
    """Writes a difference with its sign, and its interval."""
    if row["difference"] is None:
        return NOT_DEFINED
    text = _signed(row["difference"])
    if row["ci"] is None:
        return f"{text} [{NOT_DEFINED}]"
    return f"{text} [{_signed(row['ci'][0])}, {_signed(row['ci'][1])}]"


def _signed(value: float) -> str:
    # The sum makes of -0.0 a plain zero.
    return f"{round(value, 3) + 0.0:+.3f}"


def _auroc_text(entry: Mapping[str, Any]) -> str:
    return value_text({"auroc": entry["auroc"], "auroc_ci": entry["ci"]}, "auroc")


def _number(value: float | None) -> str:
    return NOT_DEFINED if value is None else f"{value:.3f}"


def _interval(ends: Sequence[float] | None) -> str:
    return NOT_DEFINED if ends is None else f"[{ends[0]:.3f}, {ends[1]:.3f}]"
