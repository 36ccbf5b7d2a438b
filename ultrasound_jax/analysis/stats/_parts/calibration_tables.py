"""The tables of calibration, of one model and of several."""

from collections.abc import Mapping

from ultrasound_jax.analysis.document import (
    Block,
    Heading,
    Picture,
    Table,
    label,
    value_text,
)
from ultrasound_jax.analysis.stats._parts.reliability_panels import reliability
from ultrasound_jax.analysis.stats._parts.statistic import Tree
from ultrasound_jax.analysis.stats._parts.wording import (
    class_word,
    patients_text,
    unit_of,
    units_text,
)
from ultrasound_jax.analysis.table.units import plural


def blocks(tree: Tree) -> list[Block]:
    """Brier score with its terms, both calibration errors, the reliability diagram."""
    found, word = tree["calibration"], class_word(tree)
    unit = plural(unit_of(tree))
    names = {
        "brier": "Brier score",
        "reliability": "reliability",
        "resolution": "resolution",
        "uncertainty": "uncertainty",
        "ece_equal_mass": "ECE, equal mass",
        "ece_equal_width": "ECE, equal width",
        "score_minus_rate": "mean score − rate",
        "calibration_intercept": "calibration intercept",
        "calibration_slope": "calibration slope",
    }
    macro = [
        value_text(found, f"macro_{name}") if f"macro_{name}" in found else ""
        for name in names
    ]
    body = [["macro", *macro, ""]]
    for name, entry in found["classes"].items():
        of = f"{entry['examples']} / {patients_text(entry)}"
        body.append([label(name), *(value_text(entry, n) for n in names), of])
    return [
        Heading(f"Calibration ({units_text(tree)})", 3),
        Table(
            [word, *names.values(), "examples / patients"],
            body,
            caption=f"Calibration over at most {found['bins']} bins. Brier = "
            "reliability − resolution + uncertainty; lower is better but for "
            "resolution. ECE: expected calibration error, which noise only ever "
            "raises, so that it has no interval. A calibrated network has intercept 0 "
            "and slope 1; a slope below 1 means scores that are too extreme.",
            strong=frozenset([0]),
        ),
        Picture(
            "reliability",
            reliability(tree),
            alt="Reliability diagram",
            caption="Observed rate against mean score in a bin for every four patients "
            "(two to five, each patient weighing the same), with 95 % intervals over "
            f"patients; hollow where none is defined. The curve is fitted: logistic, "
            f"with the calibration slope. Below, how many {unit} have each score: with "
            "the finding upwards, without it downwards.",
        ),
    ]


def overview(trees: Mapping[str, Tree]) -> list[Block]:
    """Brier score and calibration errors (ECE) of every model."""
    names = ("brier", "ece_equal_mass", "ece_equal_width")
    body = []
    for name, tree in trees.items():
        found = tree["calibration"]
        most = max(found["classes"].values(), key=lambda entry: entry["patients"])
        values = [value_text(found, f"macro_{m}") for m in names]
        body.append([name, *values, patients_text(most)])
    return [
        Heading("Calibration"),
        Table(
            [
                "model",
                "macro Brier score",
                "macro ECE, equal mass",
                "macro ECE, equal width",
                "patients",
            ],
            body,
            caption="Lower is better. ECE is the expected calibration error, in bins "
            "of equal mass or equal width. Each class and the reliability diagrams are "
            "in the models' sections.",
        ),
    ]
