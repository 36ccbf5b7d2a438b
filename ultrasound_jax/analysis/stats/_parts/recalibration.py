"""Calibration intercept and slope over patients: is a network sure of the right things?

Weak calibration (Van Calster and others 2016): labels are regressed on the logit of the
scores (Cox 1958). The intercept, with the slope held at 1, is calibration in the large:
above 0, what is sought is more frequent than the scores say, below it is rarer. The
slope is 1 where scores are spread as they should be; below 1 they are too extreme, as
those of an overfitted network are, above 1 too cautious.

Clips of one patient are no independent observations: the variance is the sandwich of
what patients add to the score equations (Liang and Zeger 1986), corrected and referred
to Student's t by effective patients (`spread`), of the labels' side that has fewer.
"""

import math
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy import special

from ultrasound_jax.analysis.stats._parts.spread import (
    FREEDOM,
    effective_patients,
    inflated,
    quantile,
)

EDGE = 1e-6  # scores nearer to 0 or 1 count as this: their logit is infinite
STEPS, STEEPEST = 50, 100.0  # of Newton's method; a slope beyond is a separation
NAMES = ("calibration_intercept", "calibration_slope")


def logistic_line(
    labels: Float[np.ndarray, " n"], scores: Float[np.ndarray, " n"]
) -> list[float] | None:
    """Intercept and slope fitted together, the curve of a reliability diagram.

    The slope is that of `weak_calibration`; None where it is not defined.
    """
    logits = special.logit(np.clip(scores, EDGE, 1 - EDGE))
    if not len(logits) or np.ptp(logits) <= 1e-9:
        return None
    both = np.stack([np.ones(len(labels)), logits], axis=1)
    found = _fit(labels, both, np.zeros(len(labels)))
    return None if found is None else [float(part) for part in found]


def weak_calibration(
    labels: Float[np.ndarray, " n"],
    scores: Float[np.ndarray, " n"],
    patient: Int[np.ndarray, " n"],
) -> dict[str, Any]:
    """`calibration_intercept` and `calibration_slope`, each with `_ci`.

    A number is null where it is not defined: of one class only, a slope of scores that
    are all equal or that separate the classes. An interval is null where positives or
    negatives are worth fewer patients than a test needs (`spread.FREEDOM`). Labels are
    1 or 0.
    """
    logits = special.logit(np.clip(scores, EDGE, 1 - EDGE))
    level = _fit(labels, np.ones((len(labels), 1)), logits)
    both = np.stack([np.ones(len(labels)), logits], axis=1)
    slope = None
    if len(logits) and np.ptp(logits) > 1e-9:
        slope = _fit(labels, both, np.zeros(len(labels)))
    tree: dict[str, Any] = {}
    for name, columns, offset, found in (
        (NAMES[0], both[:, :1], logits, level),
        (NAMES[1], both, np.zeros(len(labels)), slope),
    ):
        tree[name] = None if found is None else float(found[-1])
        tree[f"{name}_ci"] = (
            None
            if found is None
            else _interval(labels, columns, offset, found, patient)
        )
    return tree


def _fit(
    labels: Float[np.ndarray, " n"],
    columns: Float[np.ndarray, "n j"],
    offset: Float[np.ndarray, " n"],
) -> Float[np.ndarray, " j"] | None:
    """The coefficients of a logistic regression, None where they have no end."""
    if not 0 < labels.sum() < len(labels):
        return None
    found = np.zeros(columns.shape[1])
    value = -math.inf
    for _ in range(STEPS):
        linear = columns @ found + offset
        chance = special.expit(linear)
        information = columns.T @ (columns * (chance * (1 - chance))[:, None])
        try:
            step = np.linalg.solve(information, columns.T @ (labels - chance))
        except np.linalg.LinAlgError:
            return None
        # Half a step as long as a whole one leads downhill.
        for _ in range(STEPS):
            fit = _likelihood(labels, columns @ (found + step) + offset)
            if fit >= value - 1e-12:
                break
            step = step / 2
        found, value = found + step, fit
        if np.abs(found).max() > STEEPEST:
            return None
        if np.abs(step).max() < 1e-10 * (1 + np.abs(found).max()):
            return found
    return None


def _likelihood(labels: np.ndarray, linear: np.ndarray) -> float:
    return float(np.sum(labels * linear - np.logaddexp(0.0, linear)))


def _interval(
    labels: Float[np.ndarray, " n"],
    columns: Float[np.ndarray, "n j"],
    offset: Float[np.ndarray, " n"],
    found: Float[np.ndarray, " j"],
    patient: Int[np.ndarray, " n"],
) -> list[float] | None:
    """The interval of the last coefficient."""
    sides = [np.bincount(patient[labels == side]) for side in (1, 0)]
    effective = min(float(effective_patients(side)) for side in sides)
    if 2 * (effective - 1) < FREEDOM:
        return None
    chance = special.expit(columns @ found + offset)
    information = columns.T @ (columns * (chance * (1 - chance))[:, None])
    scores = columns * (labels - chance)[:, None]
    added = np.stack([np.bincount(patient, column) for column in scores.T])
    inverse = np.linalg.inv(information)
    variance = (inverse @ added @ added.T @ inverse)[-1, -1]
    variance *= float(inflated(np.asarray(effective)))
    if variance < 1e-24:
        return None
    reach = float(quantile(effective - 1)) * math.sqrt(variance)
    return [float(found[-1]) - reach, float(found[-1]) + reach]
