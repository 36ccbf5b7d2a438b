"""What is told of maps and regions: verdict, numbers beside chance, classes."""

from collections.abc import Mapping
from typing import Any

from ultrasound_jax.analysis.document import (
    Block,
    Heading,
    Picture,
    Table,
    Text,
    label,
    value_text,
)
from ultrasound_jax.analysis.judge.comparison import ALPHA
from ultrasound_jax.analysis.judge.map_agreement import MEASURES, NULLS, THRESHOLD
from ultrasound_jax.analysis.judge.map_verdict import BETTER, NO_BETTER, WORDS
from ultrasound_jax.analysis.report.comparison_words import delta_text, p_text
from ultrasound_jax.analysis.report.map_figure import OWN, map_figure
from ultrasound_jax.analysis.stats._parts.wording import patients_text, patients_words


def map_sections(tree: Mapping[str, Any]) -> list[Block]:
    """The blocks of one tree of `judge_maps`."""
    words = f"{tree['n']['examples']} images, {patients_words(tree['n'])}"
    figure = map_figure(tree)
    return [
        Heading("Verdict"),
        Text(tree["verdict"]),
        Heading("Agreement beside chance"),
        _means(tree, words),
        Picture("nulls", figure, "Each number beside those of chance", ""),
        Heading("Tests"),
        _tests(tree),
        Text(
            f"A map's area is where it is at least {100 * THRESHOLD:.0f} % of its "
            "largest value; a map that is nowhere above zero has none, and misses. "
            "Differences are of each image, their p of Student's t over effective "
            "patients, adjusted by Holm for all tests of the table; "
            f"{100 * ALPHA:.0f} % decides. Maps are {BETTER} only if they beat every "
            "null."
        ),
    ]


def class_section(trees: Mapping[str, Mapping[str, Any]]) -> list[Block]:
    """The same numbers by class, where there are several."""
    if len(trees) < 2:
        return []
    rows = []
    for name, tree in trees.items():
        cells = [value_text(tree["measures"][m], "mean") for m in MEASURES]
        verdict = BETTER if tree["better"] else NO_BETTER
        images = str(tree["n"]["examples"])
        rows.append([label(name), images, patients_text(tree["n"]), *cells, verdict])
    header = ["class", "images", "patients", *(WORDS[m] for m in MEASURES), "verdict"]
    told = "By the class that an image is of; each class has its own tests and verdict."
    return [Heading("By class"), Table(header, rows, caption=told)]


def _means(tree: Mapping[str, Any], words: str) -> Table:
    named = {OWN: tree["measures"]}
    named |= {WORDS[null]: tree["nulls"][null] for null in NULLS}
    rows = [
        [name, *(value_text(of[m], "mean") for m in MEASURES)]
        for name, of in named.items()
    ]
    return Table(
        ["", *(WORDS[m] for m in MEASURES)],
        rows,
        caption=f"Means over {words}, with 95 % intervals over patients.",
        strong=frozenset({0}),
    )


def _tests(tree: Mapping[str, Any]) -> Table:
    rows = []
    for test in tree["tests"]:
        said = {True: "yes", False: "no", None: "not tested"}[test["beats"]]
        if test["reason"]:
            said = f"{said} ({test['reason']})"
        rows.append(
            [WORDS[test["null"]], WORDS[test["measure"]], delta_text(test)]
            + [p_text(test["p"]), p_text(test["holm_p"]), said]
        )
    return Table(
        ["null", "measure", "map minus null", "p", "Holm p", "beaten"],
        rows,
        strong=frozenset(i for i, test in enumerate(tree["tests"]) if test["beats"]),
    )
