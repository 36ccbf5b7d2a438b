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
from ultrasound_jax.analysis.report import mask_comparison_section as masks
from ultrasound_jax.analysis.report.comparison_methods import methods_text
from ultrasound_jax.analysis.report.comparison_words import (
    classes_of,
    deciding,
    delta_text,
    measure_of,
    p_text,
    several_of,
    verdict,
    whom,
)
from ultrasound_jax.analysis.report.forest import forest_figure
from ultrasound_jax.analysis.report.margin_section import margin_blocks
from ultrasound_jax.analysis.stats._parts.wording import (
    class_word,
    patients_text,
    patients_words,
)
from ultrasound_jax.analysis.table.mask_table import MASKS

INTERVALS = {
    "ci": "over patients",
    "delong_ci": "DeLong (ignores patients)",
}
_UNDEFINED = (
    "Not defined: an AUROC without positives or without negatives; an interval where "
    "these are of one patient only, or of one who has nearly all; a p value there and "
    "where nothing varies, as with perfect separation; DeLong's, that ignore patients, "
    "for the macro value."
)


def page(tree: Mapping[str, Any], facts: Mapping[str, str]) -> list[Block]:
    """A `compare` tree as a document of its own; `facts` stand at its top."""
    measure = measure_of(tree)
    ignored = ""
    if tree["kind"] != MASKS:
        ignored = (
            "; DeLong's, as the paper has it, ignores that "
            f"{several_of(tree)} come in patients"
        )
    return [
        Heading(f"Differences to {tree['reference']}", 1),
        Text("Research software: not for diagnosis."),
        Listing([f"{name}: {fact}" for name, fact in facts.items()]),
        Text(
            f"{whom(tree)}; split {label(tree['split'])}. A difference is the "
            f"model's {measure} minus that of {tree['reference']}. Holm's p, of the "
            f"clustered p values, decides what survives{ignored}."
        ),
        differences(tree),
        *margin_blocks(tree),
        *notes(tree),
        picture(tree),
        *further(tree),
        Heading("How the numbers were made"),
        Text(methods_text(tree)),
    ]


def further(tree: Mapping[str, Any]) -> list[Block]:
    """What each model has by itself, and what is decided at operating points."""
    if tree["kind"] == MASKS:
        more = masks.further(tree)
        return [masks.dice(tree), *([more] if more else [])]
    table = decisions(tree)
    return [aurocs(tree), *([table] if table.rows else [])]


def compared(tree: Mapping[str, Any]) -> list[Block]:
    """What survives of a `compare` tree, as one table and a figure."""
    return [
        Heading("Differences between models"),
        Text(
            f"Reference: {tree['reference']}. {whom(tree)}. A difference survives, "
            "and is marked better or worse, if its clustered p, adjusted by Holm over "
            f"all {classes_of(tree)} and models, is at most {tree['alpha']}. All tests "
            "are in the appendix."
        ),
        survivors(tree),
        *margin_blocks(tree),
        picture(tree),
        *notes(tree),
    ]


def picture(tree: Mapping[str, Any]) -> Picture:
    """The differences with their intervals, a panel a pattern."""
    return Picture(
        "differences",
        forest_figure(tree),
        alt=f"Differences in {measure_of(tree)} to {tree['reference']}, with intervals",
        caption=f"The model's {measure_of(tree)} minus that of {tree['reference']}.",
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
        caption=f"Difference in {measure_of(tree)} to {tree['reference']}, with the "
        "95 % intervals of the test that decides, of "
        f"{patients_words(tree['n'])}.",
    )


def _verdict(row: Mapping[str, Any]) -> str:
    if row["survives"] is None:
        return f"{delta_text(row)}; {verdict(row)}"
    if not row["survives"]:
        return delta_text(row)
    return (
        f"{delta_text(row)} ▲ better"
        if row["difference"] > 0
        else (f"{delta_text(row)} ▼ worse")
    )


def appendix(tree: Mapping[str, Any]) -> list[Block]:
    """Every test of a `compare` tree."""
    heading = Heading("Appendix: all tests")
    if tree["kind"] == MASKS:
        more = masks.further(tree)
        return [heading, differences(tree), *([more] if more else [])]
    table = decisions(tree)
    return [
        heading,
        Text(
            f"The plain DeLong and McNemar p take {several_of(tree)} as independent; "
            "they are shown as papers have them and decide nothing."
        ),
        differences(tree),
        *([table] if table.rows else []),
    ]


def differences(tree: Mapping[str, Any]) -> Table:
    """One row a model and class: difference, interval and all tests."""
    if tree["kind"] == MASKS:
        return masks.differences(tree)
    rows, found = [], macro_first(tree["differences"])
    for row in found:
        names = ("delong_p", "clustered_p", "bootstrap_p", "holm_p")
        rows.append(
            [
                row["model"],
                label(row["class"]),
                *(
                    _auroc_text(tree["aurocs"][model][row["class"]])
                    for model in (tree["reference"], row["model"])
                ),
                delta_text(row),
                *(p_text(row[name]) for name in names),
                verdict(row),
                _patients(tree, row),
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
        caption=f"Model minus {tree['reference']}, with the 95 % intervals of the "
        f"clustered test, of {patients_words(tree['n'])}. Patients with and without a "
        "finding come with what those of the rarer side count for (effective), and the "
        f"share of a side that one of them has at most (largest). {_UNDEFINED}",
        strong=frozenset(i for i, row in enumerate(found) if row["survives"]),
    )


def _patients(tree: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """How many patients a row rests on, and for how many they count."""
    of = (row["positive_patients"], row["negative_patients"])
    if None in of:
        return patients_text(tree["n"])
    worth, most = row.get("effective_patients"), row.get("largest_share")
    text = f"{of[0]} / {of[1]}"
    if worth is None or most is None:
        return text
    return f"{text} (effective: {worth:.1f}; largest: {100 * most:.0f} %)"


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
        f"that flips whole patients, of {patients_words(tree['n'])}. "
        "Shares have 95 % intervals over patients.",
    )


def aurocs(tree: Mapping[str, Any]) -> Table:
    """Each model's AUROCs with their intervals, DeLong's beside them."""
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
        caption="AUROC of each model with 95 % intervals, of "
        f"{patients_words(tree['n'])}. {_UNDEFINED}",
    )


def _auroc_text(entry: Mapping[str, Any]) -> str:
    return value_text({"auroc": entry["auroc"], "auroc_ci": entry["ci"]}, "auroc")


def _number(value: float | None) -> str:
    return NOT_DEFINED if value is None else f"{value:.3f}"


def _interval(ends: Sequence[float] | None) -> str:
    return NOT_DEFINED if ends is None else f"[{ends[0]:.3f}, {ends[1]:.3f}]"
