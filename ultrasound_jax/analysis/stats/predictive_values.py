"""What a decision is worth where a finding is as common as stated: PPV, NPV, LR+, LR-.

Sensitivity and specificity are the table's, at the decisions that all other numbers
rest on (Youden's thresholds, or the highest score); the prevalence is stated, by the
option `prevalence`, because a collected dataset rarely has that of the patients to
come. Where none is stated it is the table's own, and the page says so. A stated
prevalence is taken for known. `_parts/two_rates.py` has formulas and intervals.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ultrasound_jax.analysis.document import Block, Heading, Table, label, value_text
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.stats._parts.intervals import counted_patients
from ultrasound_jax.analysis.stats._parts.metrics import youden_threshold
from ultrasound_jax.analysis.stats._parts.statistic import CsvRow, Option, Tree
from ultrasound_jax.analysis.stats._parts.two_rates import two_rates
from ultrasound_jax.analysis.stats._parts.wording import (
    class_word,
    number_rows,
    patients_text,
    source_text,
    units_text,
)
from ultrasound_jax.analysis.table.judged import Judged
from ultrasound_jax.analysis.table.predictions import MULTICLASS, MULTILABEL

NAME = "predictive_values"
ORDER = 32
KINDS = (MULTILABEL, MULTICLASS)
OPTIONS = (
    Option(
        name="prevalence",
        type=str,
        default=(),
        many=True,
        metavar="P|CLASS=P",
        help="how common findings are where the network will be used, for predictive "
        "values: one number for all classes, or CLASS=NUMBER (the table's own)",
    ),
)
METHODS = (
    "Predictive values are those of the sensitivity and specificity found here at the "
    "prevalence that the table states, by Bayes' rule. Intervals of likelihood ratios "
    "and predictive values are made of logarithms of likelihood ratios (Simel and "
    "others 1991; Mercaldo and others 2007), from the intervals of both rates over "
    "patients (MOVER, Zou and Donner 2008); the prevalence is taken for known."
)
SOURCES = (
    "Simel DL, Samsa GP, Matchar DB. Likelihood ratios with confidence: sample size "
    "estimation for diagnostic test studies. Journal of Clinical Epidemiology 44, "
    "1991.",
    "Mercaldo ND, Lau KF, Zhou XH. Confidence intervals for predictive values with an "
    "emphasis to case-control studies. Statistics in Medicine 26, 2007.",
    "Zou GY, Donner A. Construction of confidence limits about effect measures: a "
    "general approach. Statistics in Medicine 27, 2008.",
)
STATED, OWN = "stated", "of this table"


def prevalences(words: Sequence[str], classes: Sequence[str]) -> dict[str, float]:
    """What is stated for each class, of `0.1` for all and `NAME=0.1` for one.

    Raises:
        AnalysisError: no such class, one stated twice, or no number within 0 and 1.
    """
    found: dict[str, float] = {}
    for word in words:
        name, equals, cell = word.rpartition("=")
        if equals and name not in classes:
            raise AnalysisError(
                f"prevalence of '{name}': no such class; there are: "
                f"{', '.join(classes)}"
            )
        try:
            value = float(cell)
        except ValueError:
            value = float("nan")
        if not 0 < value < 1:
            raise AnalysisError(
                f"prevalence '{word}'; allowed are P or CLASS=P with 0 < P < 1"
            )
        for one in [name] if equals else classes:
            if one in found:
                raise AnalysisError(f"prevalence of {one} is stated twice")
            found[one] = value
    return found


def compute(
    judged: Judged, options: Mapping[str, Any], drawing: Mapping[str, int]
) -> dict[str, Any]:
    """Likelihood ratios and predictive values of each class.

        {"classes": {name: {"prevalence", "prevalence_from" (`stated` or `of this
            table`), "ppv", "npv", "lr_positive", "lr_negative", each with _ci,
            "hits", "misses", "alarms", "quiet", "patients", "effective_patients",
            "largest_share"}}}

    All but the prevalence is null where an example with a label has no decision.
    """
    table = judged.rows
    stated = prevalences(options["prevalence"], table.classes)
    decisions, _ = judged.decided(youden_threshold)
    patient = table.patient_index()
    count = int(patient.max()) + 1
    classes = {}
    for k, name in enumerate(table.classes):
        labels, decided = table.labels[:, k], decisions[:, k]
        known = ~np.isnan(labels)
        own = float(labels[known].mean()) if known.any() else None
        prevalence = stated.get(name, own)
        entry: dict[str, Any] = {
            "prevalence": prevalence,
            "prevalence_from": STATED if name in stated else OWN,
            **counted_patients(np.bincount(patient[known])),
        }
        cells = {
            "hits": (labels == 1) & (decided == 1),
            "misses": (labels == 1) & (decided == 0),
            "alarms": (labels == 0) & (decided == 1),
            "quiet": (labels == 0) & (decided == 0),
        }
        summed = {
            cell: np.bincount(patient, here, minlength=count)
            for cell, here in cells.items()
        }
        undecided = bool(np.isnan(decided[known]).any())
        for cell, sums in summed.items():
            entry[cell] = None if undecided else int(sums.sum())
        classes[name] = entry | _values(summed, None if undecided else prevalence)
    return {"classes": classes}


def _values(
    summed: Mapping[str, np.ndarray], prevalence: float | None
) -> dict[str, Any]:
    names = ("ppv", "npv", "lr_positive", "lr_negative")
    entry: dict[str, Any] = {n: None for name in names for n in (name, f"{name}_ci")}
    if prevalence is None:
        return entry
    hits, quiet = summed["hits"], summed["quiet"]
    rates = two_rates(hits, hits + summed["misses"], quiet, quiet + summed["alarms"])
    for positive, value, ratio in (
        (True, "ppv", "lr_positive"),
        (False, "npv", "lr_negative"),
    ):
        found = {ratio: rates.likelihood_ratio(positive)}
        # A table without positives, or of nothing else, has no prevalence to go by.
        if 0 < prevalence < 1:
            found[value] = rates.predictive_value(positive, prevalence)
        for name, (number, ends) in found.items():
            entry |= {name: number, f"{name}_ci": None if ends is None else list(ends)}
    return entry


def rows(tree: Tree) -> list[CsvRow]:
    """The numbers of each class."""
    return [
        row
        for name, entry in tree[NAME]["classes"].items()
        for row in number_rows("predictive values", tree["level"], name, entry)
    ]


def blocks(tree: Tree) -> list[Block]:
    """A table of predictive values with the prevalence that they are at."""
    found, word = tree[NAME]["classes"], class_word(tree)
    body = []
    for name, entry in found.items():
        prevalence = entry["prevalence"]
        shown = "not defined" if prevalence is None else f"{prevalence:.3f}"
        cells = [f"{shown}, {entry['prevalence_from']}"]
        cells += [value_text(entry, key) for key in ("ppv", "npv")]
        cells += [value_text(entry, key, 2) for key in ("lr_positive", "lr_negative")]
        counts = [entry[cell] for cell in ("hits", "misses", "alarms", "quiet")]
        made = "" if counts[0] is None else " / ".join(map(str, counts))
        body.append([label(name), *cells, made, patients_text(entry)])
    own = [e for e in found.values() if e["prevalence_from"] == OWN]
    warned = (
        " The table's own prevalence is that of how its examples were collected; "
        "where findings are as common as among the patients to come is another "
        "matter: state it with --prevalence."
    )
    return [
        Heading(f"Predictive values and likelihood ratios ({units_text(tree)})", 3),
        Table(
            [word, "prevalence", "PPV", "NPV", "LR+", "LR−"]
            + ["right / missed / false alarm / rightly nothing", "patients"],
            body,
            caption="Predictive values at the stated prevalence, from sensitivity and "
            "specificity at the decisions of this page: value [95 % interval over "
            f"patients]. {source_text(tree)}" + warned * bool(own),
        ),
    ]
