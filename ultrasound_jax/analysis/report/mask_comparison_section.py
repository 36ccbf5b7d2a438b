"""Which differences in Dice and other figures survive, as tables."""

from collections.abc import Mapping
from typing import Any

from ultrasound_jax.analysis.document import Table, label, value_text
from ultrasound_jax.analysis.judge.comparison import MACRO, macro_first
from ultrasound_jax.analysis.report.comparison_words import (
    delta_text,
    p_text,
    verdict,
)
from ultrasound_jax.analysis.stats._parts.mask_words import figure_text, figure_words
from ultrasound_jax.analysis.stats._parts.wording import (
    patients_text,
    patients_words,
)


def differences(tree: Mapping[str, Any]) -> Table:
    """One row a model and class: difference, interval and both tests."""
    found, rows = macro_first(tree["differences"]), []
    for row in found:
        pair = (tree["reference"], row["model"])
        own = [value_text(tree["dice"][m][row["class"]], "mean_dice") for m in pair]
        tests = [p_text(row[n]) for n in ("clustered_p", "bootstrap_p", "holm_p")]
        rows.append(
            [row["model"], label(row["class"]), *own, delta_text(row), *tests]
            + [verdict(row), patients_text(row)]
        )
    return Table(
        ["model", "class", "mean Dice, reference", "mean Dice", "difference"]
        + ["clustered p", "bootstrap p", "Holm p", "survives", "patients"],
        rows,
        caption=f"Model minus {tree['reference']}, with the 95 % intervals of the "
        f"clustered test, of {patients_words(tree['n'])}.",
        strong=frozenset(i for i, row in enumerate(found) if row["survives"]),
    )


def dice(tree: Mapping[str, Any]) -> Table:
    """Each model's mean Dice, the macro first."""
    names = sorted(next(iter(tree["dice"].values())), key=lambda name: name != MACRO)
    return Table(
        ["model", *map(label, names)],
        [
            [model, *(value_text(of[name], "mean_dice") for name in names)]
            for model, of in tree["dice"].items()
        ],
        caption="Mean Dice of each model with its 95 % interval over patients.",
    )


def further(tree: Mapping[str, Any]) -> Table | None:
    """One row a model, figure and class; None where all tables have Dice alone."""
    found, rows = tree.get("further", []), []
    for row in found:
        key, name = row["measure"], row["class"]
        pair = (tree["reference"], row["model"])
        own = [figure_text(tree["measures"][model][name], key) for model in pair]
        tests = [p_text(row[n]) for n in ("clustered_p", "bootstrap_p", "holm_p")]
        judged = dict(row)
        if row["survives"]:  # the verdict's words go by the sign
            judged["difference"] = 1 if row["better"] else -1
        rows.append(
            [row["model"], figure_words(key), label(name), *own, delta_text(row)]
            + [*tests, verdict(judged), patients_text(row)]
        )
    if not rows:
        return None
    return Table(
        ["model", "figure", "class", "reference", "model's", "difference"]
        + ["clustered p", "bootstrap p", "Holm p", "survives", "patients"],
        rows,
        caption=f"Model minus {tree['reference']}, as of Dice; Holm's p is over all "
        "rows of this table. Distances are those of all examples with a structure, a "
        "miss being as far as its picture's diagonal; of rates and distances less is "
        "better.",
        strong=frozenset(i for i, row in enumerate(found) if row["survives"]),
    )
