"""What a threshold does: sensitivity, specificity and predictive values at a point."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Num

from ultrasound_jax.analysis.document import Block, Heading, Table, label, rate_text
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.stats._parts import bootstrap
from ultrasound_jax.analysis.stats._parts.intervals import (
    counted_patients,
    share_interval,
)
from ultrasound_jax.analysis.stats._parts.metrics import (
    roc_points,
    youden_threshold,
)
from ultrasound_jax.analysis.stats._parts.statistic import CsvRow, Option, Tree
from ultrasound_jax.analysis.stats._parts.wording import (
    class_word,
    folds_text,
    number_rows,
    patients_text,
    source_text,
    threshold_text,
    units_text,
)
from ultrasound_jax.analysis.table.judged import (
    Choose,
    Judged,
    threshold_entry,
)
from ultrasound_jax.analysis.table.predictions import MULTILABEL, Predictions

SENSITIVITIES = (0.90, 0.95)
YOUDEN = "youden"
NAME = "operating"
ORDER = 30
KINDS = (MULTILABEL,)
OPTIONS = (
    Option(
        name="sensitivity",
        type=float,
        default=SENSITIVITIES,
        many=True,
        metavar="S",
        help="sensitivities that thresholds aim at (0.9 0.95)",
    ),
)
METHODS = (
    "A threshold for a fixed sensitivity is the highest that reaches it where it is "
    "chosen."
)
SOURCES = ()
# Number -> which of (hits, misses, alarms, quiet) are above and below the line.
RATES = {
    "sensitivity": ((0,), (0, 1)),
    "specificity": ((3,), (2, 3)),
    "positive_predictive_value": ((0,), (0, 2)),
    "negative_predictive_value": ((3,), (1, 3)),
    "flagged": ((0, 2), (0, 1, 2, 3)),
}
RATE_NAMES = {
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "positive_predictive_value": "PPV",
    "negative_predictive_value": "NPV",
    "flagged": "share flagged",
}


def _name(wanted: float) -> str:
    """Two digits, or as many as tell it from others."""
    short = f"{wanted:.2f}"
    return f"sensitivity {short if float(short) == wanted else repr(wanted)}"


def threshold_at_sensitivity(
    labels: Num[np.ndarray, " n"], scores: Num[np.ndarray, " n"], wanted: float
) -> float | None:
    """The highest threshold with at least the wanted sensitivity.

    It lies midway between the lowest score counted as positive and the next lower one.
    None where the class lacks positives or negatives.

    Raises:
        AnalysisError: a sensitivity that is not above 0 and at most 1.
    """
    if not 0 < wanted <= 1:
        raise AnalysisError(f"sensitivity {wanted}; allowed are 0 < sensitivity <= 1")
    points = roc_points(labels, scores)
    if not points.defined():
        return None
    needed = np.ceil(wanted * points.true[-1] - 1e-9)
    return points.threshold(int(np.argmax(points.true >= needed)))


def operate(
    judged: Judged, sensitivities: Sequence[float] = SENSITIVITIES
) -> dict[str, Any]:
    """The judged rows' rates at Youden's point and at fixed sensitivities.

        {"thresholds_from": "validation", "optimistic": false, "points": {point:
            {name: {"threshold", each of RATES with _ci, "hits", "misses", "alarms",
                    "quiet", "patients", "effective_patients", "largest_share"}}}}

    A point is chosen on the reference rows of `judged`, so the sensitivity reached on
    new patients may be another than the one aimed at. Intervals take thresholds for
    fixed. Thresholds that are given stand for Youden's; there are then no others.
    """
    points: dict[str, Choose] = {
        _name(wanted): partial(threshold_at_sensitivity, wanted=wanted)
        for wanted in sensitivities
    }
    content = (judged.rows.labels, judged.rows.scores)
    patient = bootstrap.numbered(judged.rows.patient_index(), *content)
    tree: dict[str, Any] = {
        "thresholds_from": judged.source or None,
        "optimistic": judged.optimistic,
        "points": {},
    }
    youden, at_youden = judged.decided(youden_threshold)
    found = {YOUDEN: (youden, at_youden or judged.limits(youden_threshold))}
    for point, choose in points.items():
        limits = judged.limits(choose)
        found[point] = judged.decisions(limits), limits
    for point, (decisions, limits) in found.items():
        tree["points"][point] = {
            name: threshold_entry(limits, k)
            | rates(judged.rows, decisions[:, k], k, patient)
            for k, name in enumerate(judged.rows.classes)
        }
    return tree


def rates(
    table: Predictions,
    decisions: Float[np.ndarray, " n"],
    k: int,
    patient: Int[np.ndarray, " n"],
) -> dict[str, Any]:
    """The rates of class `k` and the counts that they are made of.

    All are null where any annotated example has no decision.
    """
    labels = table.labels[:, k]
    known = ~np.isnan(labels)
    judged = counted_patients(np.bincount(patient[known]))
    if np.isnan(decisions[known]).any():
        nothing = {name: None for r in RATES for name in (r, f"{r}_ci")}
        return nothing | dict.fromkeys(("hits", "misses", "alarms", "quiet")) | judged
    present, flagged = labels == 1, decisions == 1
    cells = np.stack(
        [present & flagged, present & ~flagged, ~present & flagged, ~present & ~flagged]
    )
    own = np.stack([np.bincount(patient, cell) for cell in cells & known])
    entry: dict[str, Any] = {}
    for name, (above, below) in RATES.items():
        hits, trials = own[list(above)].sum(axis=0), own[list(below)].sum(axis=0)
        some = bool(trials.any())
        entry[name] = float(hits.sum() / trials.sum()) if some else None
        entry[f"{name}_ci"] = share_interval(hits, trials) if some else None
        entry[f"{name}_of"] = [int(hits.sum()), int(trials.sum())]
    counts = zip(("hits", "misses", "alarms", "quiet"), own.sum(axis=1), strict=True)
    return entry | {name: int(count) for name, count in counts} | judged


def compute(
    judged: Judged, options: Mapping[str, Any], drawing: Mapping[str, int]
) -> dict[str, Any]:
    """`operate` of the judged rows."""
    return operate(judged, options["sensitivity"])


def rows(tree: Tree) -> list[CsvRow]:
    """The rates of each point and class."""
    return [
        row
        for point, classes in tree[NAME]["points"].items()
        for name, entry in classes.items()
        for row in number_rows(f"operating: {point}", tree["level"], name, entry)
    ]


def blocks(tree: Tree) -> list[Block]:
    """Rates at Youden's point and at thresholds for fixed sensitivities."""
    found = tree[NAME]["points"]
    body = [
        [
            "Youden" if point == YOUDEN else point,
            label(name),
            threshold_text(entry),
            *(rate_text(entry, rate) for rate in RATES),
            patients_text(entry),
        ]
        for point, classes in found.items()
        for name, entry in classes.items()
    ]
    return [
        Heading(f"Operating points ({units_text(tree)})", 3),
        Table(
            ["point", class_word(tree), "threshold", *RATE_NAMES.values(), "patients"],
            body,
            caption="A fixed sensitivity is what is aimed at where thresholds are "
            f"chosen; what new patients get is in the table. {source_text(tree)}"
            + folds_text(found[YOUDEN]),
        ),
    ]
