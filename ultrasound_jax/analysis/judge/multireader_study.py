"""AUROC of readers' ratings, without and with help and beside models: one tree.

    {"alpha", "readers": [name], "models": [name], "aided": bool,
     "comparisons": how many Holm's p are over,
     "classes": {name: {"examples", "positives", "patients", "left_out", "reason",
        "aurocs": [{"rater", "how", "auroc", "auroc_ci"}],
        "averages": [{"how", "auroc", "auroc_ci"}],
        "comparisons": [{"first", "second", "difference", "holm_p", "survives",
            "analyses": {"both" | "patients" | "readers": {"ci", "p", "df"}}}]}}}

`how` is WITHOUT, WITH or MODEL. Examples that somebody did not rate, or whose label is
not known, are left out of a class and counted; a class in which nothing can be compared
has a `reason`. What decides is `both`, whose conclusion is about other readers and
other patients; its p are adjusted by Holm over all classes and comparisons.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.judge.comparison import ALPHA
from ultrasound_jax.analysis.judge.ratings import Ratings
from ultrasound_jax.analysis.stats._parts import intervals
from ultrasound_jax.analysis.stats._parts.clustered import Influence, influence
from ultrasound_jax.analysis.stats._parts.difference import Difference
from ultrasound_jax.analysis.stats._parts.metrics import number
from ultrasound_jax.analysis.stats._parts.multiplicity import holm
from ultrasound_jax.analysis.stats._parts.multireader import BOTH, of_readers
from ultrasound_jax.analysis.table.predictions import Predictions

WITHOUT, WITH, MODEL = "without help", "with help", "model"
AVERAGE = "average reader"


def rated_study(
    rows: Predictions, ratings: Ratings, models: Mapping[str, Float[np.ndarray, "n k"]]
) -> dict[str, Any]:
    """The tree at the top of this file.

    Args:
        rows: whose labels and patients are judged.
        ratings: in the order of `rows`.
        models: name of a model -> its scores, in the same order.
    """
    patient = rows.patient_index()
    classes = {
        name: _one_class(rows.labels[:, k], k, ratings, models, patient)
        for k, name in enumerate(rows.classes)
    }
    rest = [row for entry in classes.values() for row in entry["comparisons"]]
    p = np.array([row["analyses"][BOTH]["p"] for row in rest], float)
    for row, adjusted in zip(rest, holm(p), strict=True):
        row["holm_p"] = number(adjusted)
        row["survives"] = None if np.isnan(adjusted) else bool(adjusted <= ALPHA)
    return {
        "alpha": ALPHA,
        "readers": list(ratings.readers),
        "models": list(models),
        "aided": ratings.aided is not None,
        "comparisons": int((~np.isnan(p)).sum()),
        "classes": classes,
    }


def _one_class(
    labels: Float[np.ndarray, " n"],
    k: int,
    ratings: Ratings,
    models: Mapping[str, Float[np.ndarray, "n k"]],
    patient: np.ndarray,
) -> dict[str, Any]:
    groups = [(WITHOUT, ratings.readers, ratings.without[:, :, k])]
    if ratings.aided is not None:
        groups.append((WITH, ratings.readers, ratings.aided[:, :, k]))
    if models:
        scores = np.stack([score[:, k] for score in models.values()])
        groups.append((MODEL, tuple(models), scores))
    marks = np.concatenate([rows for _, _, rows in groups])
    whole = ~np.isnan(labels) & ~np.isnan(marks).any(axis=0)
    entry: dict[str, Any] = {
        "examples": int(whole.sum()),
        "positives": int((labels[whole] == 1).sum()),
        **intervals.counted_patients(np.bincount(patient[whole])),
        "left_out": int((~whole).sum()),
        "reason": "",
        "aurocs": [],
        "averages": [],
        "comparisons": [],
    }
    try:
        part = influence(labels[whole], marks[:, whole], patient[whole])
    except (AnalysisError, ValueError) as error:
        entry["reason"] = str(error) if whole.any() else "nobody rated any of it"
        return entry
    raters = [(how, name) for how, names, _ in groups for name in names]
    places = {one: place for place, one in enumerate(raters)}
    for place, (how, name) in enumerate(raters):
        alone = part.spread(np.eye(len(raters))[place].tolist())
        entry["aurocs"].append(
            {
                "rater": name,
                "how": how,
                "auroc": float(part.aurocs[place]),
                "auroc_ci": intervals.bounded_interval(alone),
            }
        )
    for how, _, _ in groups:
        if how != MODEL:
            contrasts = _contrasts(places, ratings.readers, {how: 1.0})
            entry["averages"].append({"how": how} | _average(part, contrasts))
    pairs = [({WITH: 1.0, WITHOUT: -1.0}, f"{AVERAGE}, {WITH}")]
    if ratings.aided is None:
        pairs = []
    for second, words in (
        *pairs,
        *(({(MODEL, name): 1.0, WITHOUT: -1.0}, name) for name in models),
    ):
        found = of_readers(part, _contrasts(places, ratings.readers, second))
        row: dict[str, Any] = {"first": f"{AVERAGE}, {WITHOUT}", "second": words}
        row |= {"difference": found[BOTH].value}
        row["analyses"] = {name: _analysis(one) for name, one in found.items()}
        entry["comparisons"].append(row)
    return entry


def _contrasts(
    places: Mapping[tuple[str, str], int],
    readers: tuple[str, ...],
    weights: Mapping[Any, float],
) -> Float[np.ndarray, "r s"]:
    """A row a reader: his own marks, or those of one model, with these weights."""
    rows = np.zeros((len(readers), len(places)))
    for j, reader in enumerate(readers):
        for of, weight in weights.items():
            key = of if isinstance(of, tuple) else (of, reader)
            rows[j, places[key]] += weight
    return rows


def _average(part: Influence, contrasts: Float[np.ndarray, "r s"]) -> dict[str, Any]:
    found = of_readers(part, contrasts)[BOTH]
    ends = None
    if found.low is not None and found.high is not None:
        ends = [max(found.low, 0.0), min(found.high, 1.0)]
    return {"auroc": found.value, "auroc_ci": ends}


def _analysis(found: Difference) -> dict[str, Any]:
    ends = None if found.low is None else [found.low, found.high]
    df = found.df if np.isfinite(found.df) else None
    return {"ci": ends, "p": found.p, "df": df}
