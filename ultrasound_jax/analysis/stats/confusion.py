"""Which class is taken for which, where exactly one is true: the confusion matrix.

Decided is the class with the highest score, the first of equals. Accuracy is the share
of right decisions, balanced accuracy the mean over classes of their sensitivity
(Brodersen and others 2010), Cohen's kappa (1960) agreement with the truth beyond
chance. A group of examples whose classes differ has no one truth, and an example that
nobody annotated no known one: they are left out and counted.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from ultrasound_jax.analysis.document import Block, Table, label, rate_text
from ultrasound_jax.analysis.stats._parts import bootstrap
from ultrasound_jax.analysis.stats._parts.intervals import (
    mean_share_interval,
    share_interval,
)
from ultrasound_jax.analysis.stats._parts.resampling import Resampling, estimate, ratio
from ultrasound_jax.analysis.stats._parts.statistic import CsvRow, Tree
from ultrasound_jax.analysis.stats._parts.wording import n_text, number_rows, units_text
from ultrasound_jax.analysis.table.judged import Judged
from ultrasound_jax.analysis.table.predictions import MULTICLASS

NAME = "confusion"
ORDER = 15
KINDS = (MULTICLASS,)
OPTIONS = ()
EVERY_LEVEL = True
HEADLINE = (("balanced_accuracy", "", "balanced accuracy"),)
METHODS = (
    "Accuracy is the share of right decisions, balanced accuracy the mean over classes "
    "of their sensitivity (Brodersen and others 2010), kappa the agreement of "
    "decisions with the truth beyond chance (Cohen 1960)."
)
SOURCES = (
    "Brodersen KH, Ong CS, Stephan KE, Buhmann JM. The balanced accuracy and its "
    "posterior distribution. International Conference on Pattern Recognition, 2010.",
    "Cohen J. A coefficient of agreement for nominal scales. Educational and "
    "Psychological Measurement 20, 1960.",
)
OVERALL = ("accuracy", "balanced_accuracy", "kappa", "macro_f1")
_WORDS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "kappa": "Cohen's kappa",
    "macro_f1": "macro F1",
}


def compute(
    judged: Judged, options: Mapping[str, Any], drawing: Mapping[str, int]
) -> dict[str, Any]:
    """What decisions by the highest score do at one level.

    {"accuracy", "balanced_accuracy", "kappa", each with _ci, "confusion":
     {"classes": [name], "counts": [[examples of a true class by decision]],
      "left_out"}, "classes": {name: {"positive_predictive_value" with _ci}}}
    """
    table, count = judged.rows, len(judged.rows.classes)
    one = np.flatnonzero((table.labels == 1).sum(axis=1) == 1)
    truth, decided = table.labels[one].argmax(axis=1), table.scores[one].argmax(axis=1)
    cells = np.zeros((len(table), count * count))
    cells[one, truth * count + decided] = 1
    patient = bootstrap.numbered(table.patient_index(), table.labels, table.scores)
    resampling = Resampling(patient, **drawing)
    own = resampling.by_patient(cells).T.reshape(count, count, -1)
    sums = resampling.sums(cells).reshape(-1, count, count)
    patients = resampling.contributors(cells.sum(axis=1))
    right, total = np.trace(sums, axis1=1, axis2=2), sums.sum(axis=(1, 2))
    hits = np.diagonal(own).T  # of each class and patient
    tree = _share("accuracy", hits.sum(axis=0), own.sum(axis=(0, 1)))
    tree |= _balanced(hits, own.sum(axis=1))
    tree |= _kappa(sums, right, total, patients)
    tree["confusion"] = {
        "classes": list(table.classes),
        "counts": sums[0].astype(int).tolist(),
        "left_out": len(table) - len(one),
    }
    called = own.sum(axis=0)
    tree["classes"] = {
        name: _share("positive_predictive_value", hits[k], called[k])
        for k, name in enumerate(table.classes)
    }
    return tree


def _share(name: str, hits: np.ndarray, trials: np.ndarray) -> dict[str, Any]:
    """A share of patients' trials and its interval."""
    if not trials.any():
        return {name: None, f"{name}_ci": None}
    value = float(hits.sum() / trials.sum())
    return {
        name: value,
        f"{name}_ci": share_interval(hits, trials),
        f"{name}_of": [int(hits.sum()), int(trials.sum())],
    }


def _balanced(
    hits: Float[np.ndarray, "k p"], trials: Float[np.ndarray, "k p"]
) -> dict[str, Any]:
    """The mean sensitivity of the classes that the table has."""
    name, used = "balanced_accuracy", trials.any(axis=1)
    if not used.any():
        return {name: None, f"{name}_ci": None}
    shares = hits[used].sum(axis=1) / trials[used].sum(axis=1)
    ends = mean_share_interval(hits[used], trials[used])
    return {name: float(shares.mean()), f"{name}_ci": ends}


def _kappa(
    sums: Float[np.ndarray, "r k k"],
    right: Float[np.ndarray, " r"],
    total: Float[np.ndarray, " r"],
    patients: int,
) -> dict[str, Any]:
    """Cohen's kappa; no interval where nothing is ever wrong."""
    chance = (sums.sum(axis=1) * sums.sum(axis=2)).sum(axis=1)
    # In whole numbers, so that "chance explains everything" is met exactly.
    values = ratio(total * right - chance, total**2 - chance)
    entry = estimate("kappa", values, patients=patients)
    return entry | ({"kappa_ci": None} if entry["kappa"] == 1 else {})


def rows(tree: Tree) -> list[CsvRow]:
    """The counts of the matrices; all else is in the levels."""
    found = []
    for level, entry in tree["levels"].items():
        names = entry[NAME]["classes"]
        for name, counts in zip(names, entry[NAME]["counts"], strict=True):
            decided = {f"decided {k}": n for k, n in zip(names, counts, strict=True)}
            found += number_rows(NAME, level, name, decided)
    return found


def blocks(tree: Tree) -> list[Block]:
    """The numbers of all classes, and the matrix, at every level."""
    overall = Table(
        ["by", *_WORDS.values()],
        [
            [units_text(tree, name), *(rate_text(level, n) for n in OVERALL)]
            for name, level in tree["levels"].items()
        ],
        caption="Decisions by the highest score: value [95 % interval].",
    )
    return [overall, *(_matrix(tree, level) for level in tree["levels"])]


def _matrix(tree: Tree, name: str) -> Table:
    level = tree["levels"][name]
    found = level[NAME]
    body = [
        [
            label(truth),
            *map(str, counts),
            str(sum(counts)),
            rate_text(level["classes"][truth], "sensitivity"),
        ]
        for truth, counts in zip(found["classes"], found["counts"], strict=True)
    ]
    precision = [
        rate_text(level["classes"][truth], "positive_predictive_value")
        for truth in found["classes"]
    ]
    body.append(["PPV", *precision, "", ""])
    left = found["left_out"]
    return Table(
        ["true class"]
        + [f"decided {label(name)}" for name in found["classes"]]
        + ["all", "sensitivity"],
        body,
        caption=f"Confusion matrix by {units_text(tree, name)}: "
        f"{n_text(level, tree, name)}."
        + f" {left} are left out: they are of no one known class."
        * bool(left),
    )
