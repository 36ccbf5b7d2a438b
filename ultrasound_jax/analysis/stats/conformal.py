"""Prediction sets with a promised coverage, for one pattern at a time.

Split conformal prediction (Vovk et al. 2005; Papadopoulos et al. 2002): instead of one
answer a clip gets the set of answers that calibration patients do not speak against:
{absent}, {present}, {both} where the network cannot tell, or {} where neither answer
fits. A label's nonconformity is the probability that the network gives to the other
label. A label is in the set if its nonconformity is at most a limit, the conformal
quantile of the calibration clips' own labels.

The promise holds for exchangeable examples. Clips of one patient are not, so there are
three ways to count:

* `clip`: every calibration clip for itself, as most papers do; with clustered clips the
  promise is too bold.
* `patient`: each calibration patient weighs the same, shared among the patient's clips,
  and the new patient adds one weight at infinity (hierarchical conformal prediction;
  Lee, Barber and Willett 2023; Dunn, Wasserman and Ramdas 2023). Promise: a clip drawn
  from a new patient is covered with the wanted probability. It is the subsampling of
  one clip a patient, averaged over all draws.
* `whole_patient`: each calibration patient counts with the worst clip. Promise: all
  clips of a new patient are covered together with the wanted probability.

With K calibration patients the latter two need K >= 1/alpha - 1 (9 for 90 %); with
fewer the limit is infinite and every set is {both}: true, useless, and said so.
`marginal` limits serve both labels; `by_class` ones (Mondrian; Vovk 2012) are
calibrated for each label alone, so that the rare positives are covered as well.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from ultrasound_jax.analysis.document import Block
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.stats._parts import bootstrap, conformal_tables
from ultrasound_jax.analysis.stats._parts.intervals import counted_patients
from ultrasound_jax.analysis.stats._parts.resampling import (
    Resampling,
    estimate,
    ratio,
)
from ultrasound_jax.analysis.stats._parts.statistic import CsvRow, Option, Tree
from ultrasound_jax.analysis.stats._parts.wording import number_rows
from ultrasound_jax.analysis.table.judged import Judged
from ultrasound_jax.analysis.table.predictions import MULTILABEL, Predictions

ALPHA = 0.1
WAYS = ("clip", "patient", "whole_patient")
LIMITS = ("marginal", "by_class")
SETS = ("none", "absent", "present", "both")
NAME = "conformal"
ORDER = 50
KINDS = (MULTILABEL,)
OPTIONS = (
    Option(
        name="alpha",
        type=float,
        default=ALPHA,
        help="share of examples that prediction sets may miss (0.1)",
    ),
)
METHODS = (
    "Prediction sets: split conformal prediction for each class (Vovk and others "
    "2005). Examples of a patient are not exchangeable, so besides the plain limits "
    "there are some that give each calibration patient the same weight (Lee, Barber "
    "and Willett 2023; Dunn and others 2023), and cover an example of a new patient, "
    "and some from each patient's worst example, which cover all of a new patient's "
    "examples together. In cross-validation a fold's limits come from the other folds, "
    "whose networks are alike but not the same, so that the promise is kept "
    "approximately."
)
SOURCES = (
    "Dunn R, Wasserman L, Ramdas A. Distribution-free prediction sets for two-layer "
    "hierarchical models. Journal of the American Statistical Association 118, 2023.",
    "Lee Y, Barber RF, Willett R. Distribution-free inference with hierarchical data. "
    "arXiv:2306.06342, 2023.",
    "Vovk V, Gammerman A, Shafer G. Algorithmic learning in a random world. Springer, "
    "2005.",
)
# Floats such as 0.9 x 10 must not fall above the whole number that they stand for.
_SLACK = 1e-9


def nonconformity(
    labels: Num[np.ndarray, " n"], scores: Num[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """The probability that each score gives to the other label."""
    return np.where(labels == 1, 1.0 - scores, scores)


def conformal_limit(
    values: Num[np.ndarray, " n"],
    patient: Int[np.ndarray, " n"],
    way: str,
    alpha: float = ALPHA,
) -> float:
    """The conformal quantile of nonconformities; inf where they are too few.

    Raises:
        AnalysisError: another way, or an alpha that is not between 0 and 1.
    """
    if way not in WAYS:
        raise AnalysisError(f"way '{way}'; allowed are {', '.join(WAYS)}")
    _check(alpha)
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    _, member, counts = np.unique(patient, return_inverse=True, return_counts=True)
    if way == "whole_patient":  # the last of a patient in this order is the worst
        worst = np.zeros(len(counts), ordered.dtype)
        worst[member[order]] = ordered
        ordered, weights = np.sort(worst), np.ones(len(worst))
    elif way == "patient":
        weights = 1.0 / counts[member[order]]
    else:
        weights = np.ones(len(ordered))
    # The weights of as many as count, and of the new one, infinitely far away: 1.
    count = len(ordered) if way == "clip" else len(counts)
    needed = (count + 1) * (1 - alpha) - _SLACK
    reached = np.flatnonzero(np.cumsum(weights) >= needed)
    return float(ordered[reached[0]]) if len(reached) else float("inf")


def _check(alpha: float) -> None:
    if not 0 < alpha < 1:
        raise AnalysisError(f"alpha {alpha}; allowed are 0 < alpha < 1")


def limits_of(
    labels: Num[np.ndarray, " n"],
    scores: Num[np.ndarray, " n"],
    patient: Int[np.ndarray, " n"],
    *,
    way: str,
    kind: str,
    alpha: float = ALPHA,
) -> tuple[float, float]:
    """The limits of the labels absent and present, from rows with a label.

    Raises:
        AnalysisError: another kind, or see `conformal_limit`.
    """
    if kind not in LIMITS:
        raise AnalysisError(f"kind '{kind}'; allowed are {', '.join(LIMITS)}")
    strange = nonconformity(labels, scores)
    chosen = [labels == 0, labels == 1]
    if kind == "marginal":
        chosen = [~np.isnan(labels.astype(float))]
    found = [
        conformal_limit(strange[rows], patient[rows], way, alpha) for rows in chosen
    ]
    return found[0], found[-1]


def holds(
    scores: Num[np.ndarray, " n"], limits: tuple[float, float]
) -> Bool[np.ndarray, "n 2"]:
    """Whether absent and present are in the set of each score."""
    return np.stack([scores <= limits[0], 1.0 - scores <= limits[1]], axis=1)


def conform(
    judged: Judged,
    alpha: float = ALPHA,
    *,
    replicates: int = bootstrap.REPLICATES,
    seed: int = 0,
) -> dict[str, Any]:
    """How prediction sets calibrated on the references do on judged rows.

        {"alpha", "calibrated_on", "patients_needed", "classes": {name: {kind: {way:
            {"limits_by_fold": {fold: [absent, present]}, "useless": bool, "examples",
             "patients", "effective_patients", "largest_share",
             "calibration_patients": fewest over folds and labels,
             "coverage": of clips, "patient_coverage": mean over patients of the share
             of their clips covered, "whole_patients": share of patients all of whose
             clips are covered, "coverage_positive", "coverage_negative", and the
             shares of sets "none", "absent", "present", "both", each with _ci}}}}}

    An infinite limit is null. `useless` says that every set holds both answers. Without
    reference rows, `classes` is empty.

    Raises:
        AnalysisError: an alpha that is not between 0 and 1.
    """
    _check(alpha)
    tree: dict[str, Any] = {
        "alpha": alpha,
        "calibrated_on": judged.source or None,
        "optimistic": judged.optimistic,
        "patients_needed": int(np.ceil(1 / alpha - 1 - _SLACK)),
        "classes": {},
    }
    if not judged.references:
        return tree
    resampling = Resampling(
        judged.rows.patient_index(), replicates=replicates, seed=seed
    )
    patients = {fold: rows.patient_index() for fold, rows in judged.references.items()}
    for k, name in enumerate(judged.rows.classes):
        tree["classes"][name] = {
            kind: {
                way: _assess(judged, k, kind, way, alpha, resampling, patients)
                for way in WAYS
            }
            for kind in LIMITS
        }
    return tree


def _assess(
    judged: Judged,
    k: int,
    kind: str,
    way: str,
    alpha: float,
    resampling: Resampling,
    patients: Mapping[int, np.ndarray],
) -> dict[str, Any]:
    sets = np.zeros((len(judged.rows), 2), bool)
    limits: dict[str, list[float | None]] = {}
    calibration = []
    for fold, reference in judged.references.items():
        labels, patient = reference.labels[:, k], patients[fold]
        found = limits_of(
            labels, reference.scores[:, k], patient, way=way, kind=kind, alpha=alpha
        )
        here = judged.rows.fold == fold
        sets[here] = holds(judged.rows.scores[here, k], found)
        limits[str(fold)] = [None if np.isinf(x) else x for x in found]
        sides = ([labels == 0, labels == 1]) if kind == "by_class" else [labels >= 0]
        calibration += [len(np.unique(patient[rows])) for rows in sides]
    labels = judged.rows.labels[:, k]
    entry = coverage(labels, sets, resampling)
    useless = entry["examples"] > 0 and entry["both"] == 1
    return {
        "limits_by_fold": limits,
        "useless": bool(useless),
        "calibration_patients": min(calibration),
        **entry,
    }


def coverage(
    labels: Float[np.ndarray, " n"],
    sets: Bool[np.ndarray, "n 2"],
    resampling: Resampling,
) -> Mapping[str, Any]:
    """How often sets hold the truth and how large they are, with intervals."""
    known, present = ~np.isnan(labels), labels == 1
    covered = known & np.where(present, sets[:, 1], sets[:, 0])
    size = sets[:, 0] + 2 * sets[:, 1]  # the place in SETS
    shares = [known & (size == m) for m in range(len(SETS))]
    columns = np.stack(
        [known, covered, present, covered & present, known & ~present]
        + [covered & ~present, *shares],
        axis=1,
    )
    sums = resampling.sums(columns)
    counted = counted_patients(resampling.by_patient(known[:, None])[:, 0])
    patients = counted["patients"]
    entry: dict[str, Any] = {"examples": int(known.sum())} | counted

    def share(name: str, above: np.ndarray, below: np.ndarray, carriers: int) -> None:
        entry.update(
            estimate(name, ratio(above, below), patients=carriers, kind="share")
        )

    share("coverage", sums[:, 1], sums[:, 0], patients)
    own = resampling.by_patient(columns)[:, :2]
    judged = (own[:, 0] > 0).astype(float)
    for name, value in (
        ("patient_coverage", np.nan_to_num(ratio(own[:, 1], own[:, 0]))),
        ("whole_patients", judged * (own[:, 0] == own[:, 1])),
    ):
        drawn = resampling.drawn @ np.stack([value, judged], axis=1)
        share(name, drawn[:, 0], drawn[:, 1], patients)
    for name, place in (("coverage_positive", 2), ("coverage_negative", 4)):
        carriers = resampling.contributors(columns[:, place])
        share(name, sums[:, place + 1], sums[:, place], carriers)
    for name, column in zip(SETS, sums[:, 6:].T, strict=True):
        share(name, column, sums[:, 0], patients)
    return entry


def compute(
    judged: Judged, options: Mapping[str, Any], drawing: Mapping[str, int]
) -> dict[str, Any]:
    """`conform` of the judged rows."""
    return conform(judged, options["alpha"], **drawing)


def rows(tree: Tree) -> list[CsvRow]:
    """The coverage and the sets of each class, kind of limits and way to count."""
    return [
        row
        for name, kinds in tree[NAME]["classes"].items()
        for kind, ways in kinds.items()
        for way, entry in ways.items()
        for row in number_rows(f"conformal: {kind}, {way}", tree["level"], name, entry)
    ]


def blocks(tree: Tree) -> Sequence[Block]:
    """Coverage and size of prediction sets, for each promise."""
    return conformal_tables.blocks(tree)


def overview(
    trees: Mapping[str, Tree], tables: Mapping[str, Predictions]
) -> Sequence[Block]:
    """What answers the prediction sets of several models give."""
    return conformal_tables.overview(trees)
