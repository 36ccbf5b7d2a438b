"""Whether deciding by the scores does more good than harm: net benefit.

Vickers and Elkin (Medical Decision Making 26, 2006): somebody who acts at a probability
of t or more finds one missed finding (1 - t) / t times as bad as one false alarm. Of n
examples,

    net benefit = true positives / n - false positives / n * t / (1 - t)

in true findings per example. Acting on all has the prevalence less (1 - prevalence)
t / (1 - t), acting on none 0. A score is taken for a probability as it is: it is used,
and useful, only as far as it is calibrated.

A net benefit is a mean over examples, so its interval and that of the gain over the
better of all and none are those of means over patients (`intervals.mean_interval`),
threshold by threshold, and end where no table can go: a net benefit is between
-t / (1 - t) and 1, a gain over acting on all between -1 and t / (1 - t). Which of all
and none is better is taken from the table.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Num

from ultrasound_jax.analysis.document import (
    Block,
    Heading,
    Picture,
    Table,
    label,
    value_text,
)
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.stats._parts import intervals
from ultrasound_jax.analysis.stats._parts.benefit_panels import benefit_panels
from ultrasound_jax.analysis.stats._parts.statistic import CsvRow, Option, Tree
from ultrasound_jax.analysis.stats._parts.wording import (
    class_word,
    number_rows,
    patients_text,
    unit_of,
    units_text,
)
from ultrasound_jax.analysis.table.judged import Judged
from ultrasound_jax.analysis.table.predictions import (
    MULTICLASS,
    MULTILABEL,
    Predictions,
)

NAME = "decision_curve"
ORDER = 25
KINDS = (MULTILABEL, MULTICLASS)
SHOWN = (0.1, 0.2, 0.3, 0.5)
CURVE = np.arange(1, 50) / 50  # thresholds that are drawn
OPTIONS = (
    Option(
        name="acting-at",
        type=float,
        default=SHOWN,
        many=True,
        metavar="T",
        help="threshold probabilities of the table of net benefit (0.1 0.2 0.3 0.5)",
    ),
)
METHODS = (
    "Decision curves: net benefit is the share of true positives less the share of "
    "false positives times t / (1 - t), of whoever acts at a probability of t or more "
    "(Vickers and Elkin 2006), beside acting on all and on none. Scores are taken for "
    "probabilities as they are. Intervals are those of means over patients, Student's "
    "t by effective patients, for each threshold by itself, within what is possible; "
    "they do not say which threshold is right, which is a matter of what a missed "
    "finding and a false alarm cost (Vickers and others 2019)."
)
SOURCES = (
    "Vickers AJ, Elkin EB. Decision curve analysis: a novel method for evaluating "
    "prediction models. Medical Decision Making 26, 2006.",
    "Vickers AJ, van Calster B, Steyerberg EW. A simple, step-by-step guide to "
    "interpreting decision curve analysis. Diagnostic and Prognostic Research 3, 2019.",
)
ALL, NONE = "all", "none"


def net_benefits(
    labels: Num[np.ndarray, " n"],
    scores: Num[np.ndarray, " n"],
    patient: Int[np.ndarray, " n"],
    thresholds: Float[np.ndarray, " t"],
) -> tuple[Float[np.ndarray, "p t"], Float[np.ndarray, "p t"], Int[np.ndarray, " p"]]:
    """Each patient's part in the net benefit of acting by scores, and on all.

    Divided by all examples, sums over patients are the net benefits. The last is how
    many examples a patient has. Labels must be known.

    Args:
        labels: 1 or 0.
        scores: probabilities.
        patient: of each example, as a number from 0.
        thresholds: rising, within 0 and 1.
    """
    count, width = int(patient.max()) + 1, len(thresholds) + 1
    # A score acts at the first so many thresholds.
    reached = np.searchsorted(thresholds, scores, side="right")
    place = patient * width + reached
    sides = []
    for side in (1, 0):
        here = np.bincount(place[labels == side], minlength=count * width)
        acting = here.reshape(count, width)[:, ::-1].cumsum(axis=1)[:, ::-1]
        sides.append(acting)
    odds = thresholds / (1 - thresholds)
    by_scores = sides[0][:, 1:] - sides[1][:, 1:] * odds
    on_all = sides[0][:, :1] - sides[1][:, :1] * odds
    return by_scores, on_all, np.bincount(patient, minlength=count)


def compute(
    judged: Judged, options: Mapping[str, Any], drawing: Mapping[str, int]
) -> dict[str, Any]:
    """Net benefit of each class.

        {"classes": {name: {"examples", "positives", "patients",
            "effective_patients", "largest_share",
            "curve": {"threshold", "net_benefit", "low", "high", "all": [numbers]},
            "points": [{"threshold", "net_benefit", "all", "gain", each with _ci,
                        "better" (`all` or `none`), "flagged"}]}}}

    `gain` is over the better of all and none; `flagged` counts the examples acted on.
    A class without a known label has no curve and no points.

    Raises:
        AnalysisError: a threshold that is not within 0 and 1.
    """
    shown = options["acting-at"]
    for threshold in shown:
        if not 0 < threshold < 1:
            raise AnalysisError(
                f"acting at a probability of {threshold:g}; allowed are 0 < T < 1"
            )
    patient = judged.rows.patient_index()
    return {
        "classes": {
            name: _one_class(judged.rows, k, patient, np.array(sorted(set(shown))))
            for k, name in enumerate(judged.rows.classes)
        }
    }


def _one_class(
    table: Predictions,
    k: int,
    patient: Int[np.ndarray, " n"],
    shown: Float[np.ndarray, " t"],
) -> dict[str, Any]:
    known = ~np.isnan(table.labels[:, k])
    labels, scores, owner = (
        table.labels[known, k],
        table.scores[known, k],
        patient[known],
    )
    entry: dict[str, Any] = {
        "examples": int(known.sum()),
        "positives": int((labels == 1).sum()),
        **intervals.counted_patients(np.bincount(owner)),
        "curve": {},
        "points": [],
    }
    if not known.any():
        return entry
    by_scores, on_all, counts = net_benefits(labels, scores, owner, CURVE)
    odds = CURVE / (1 - CURVE)
    ends = [
        _ends(column, counts, -most, 1.0)
        for column, most in zip(by_scores.T, odds.tolist(), strict=True)
    ]
    entry["curve"] = {
        "threshold": CURVE.tolist(),
        "net_benefit": (by_scores.sum(axis=0) / known.sum()).tolist(),
        "low": [pair[0] if pair else None for pair in ends],
        "high": [pair[1] if pair else None for pair in ends],
        "all": (on_all.sum(axis=0) / known.sum()).tolist(),
    }
    by_scores, on_all, counts = net_benefits(labels, scores, owner, shown)
    for place, threshold in enumerate(shown.tolist()):
        own, other = by_scores[:, place], on_all[:, place]
        better = ALL if other.sum() > 0 else NONE
        odds = threshold / (1 - threshold)
        of_benefit, of_gain = (-odds, 1.0), (-1.0, odds) if better == ALL else None
        point = {"threshold": threshold} | _mean("net_benefit", own, counts, of_benefit)
        point |= _mean("all", other, counts, of_benefit) | {"better": better}
        gained = own - other * (better == ALL)
        point |= _mean("gain", gained, counts, of_gain or of_benefit)
        entry["points"].append(point | {"flagged": int((scores >= threshold).sum())})
    return entry


def _mean(
    name: str,
    sums: Float[np.ndarray, " p"],
    counts: Int[np.ndarray, " p"],
    possible: tuple[float, float],
) -> dict[str, Any]:
    value = float(sums.sum() / counts.sum())
    return {name: value, f"{name}_ci": _ends(sums, counts, *possible)}


def _ends(
    sums: Float[np.ndarray, " p"],
    counts: Int[np.ndarray, " p"],
    least: float,
    most: float,
) -> list[float] | None:
    found = intervals.mean_interval(sums, counts)
    return found and [max(found[0], least), min(found[1], most)]


def rows(tree: Tree) -> list[CsvRow]:
    """The numbers of each class at each threshold of the table."""
    return [
        row
        for name, entry in tree[NAME]["classes"].items()
        for point in entry["points"]
        for row in number_rows(
            f"net benefit at {point['threshold']:g}", tree["level"], name, point
        )
    ]


def blocks(tree: Tree) -> Sequence[Block]:
    """Net benefit at the thresholds asked for, and the curves."""
    found, word, unit = tree[NAME]["classes"], class_word(tree), unit_of(tree)
    body = []
    for name, entry in found.items():
        for point in entry["points"]:
            cells = [f"{point['threshold']:g}", value_text(point, "net_benefit")]
            cells += [value_text(point, key) for key in ("all", "gain")]
            cells.append(f"{point['flagged']} of {entry['examples']}")
            body.append([label(name), *cells, patients_text(entry)])
    header = ["acting at", "net benefit", "acting on all", "gain over the better"]
    return [
        Heading(f"Decision curves ({units_text(tree)})", 3),
        Table(
            [word, *header, "acted on", "patients"],
            body,
            caption=f"Net benefit, in true findings per {unit}: the share of true "
            "positives less that of false positives, weighed by t / (1 - t) at a "
            "threshold probability t. Acting on none has 0. The gain is over acting on "
            "all or on none, whichever is better in this table. Value [95 % interval "
            "over patients, of this threshold alone].",
        ),
        Picture(
            "decision_curve",
            benefit_panels(found, unit),
            alt=f"Net benefit against threshold probability, one panel a {word}",
            caption="Decision curves with 95 % intervals over patients at each "
            "threshold. Deciding by the scores helps where its line is above both "
            "others, for whoever would act at that probability.",
        ),
    ]
