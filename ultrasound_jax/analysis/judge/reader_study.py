"""Agreement of every pair of raters, and of all readers together."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.judge.readers import (
    NETWORK,
    READER,
    Rater,
)
from ultrasound_jax.analysis.stats._parts import bootstrap
from ultrasound_jax.analysis.stats._parts.agreement import (
    agree,
    fleiss_measures,
)
from ultrasound_jax.analysis.stats._parts.level import counted
from ultrasound_jax.analysis.stats._parts.resampling import Resampling
from ultrasound_jax.analysis.table.predictions import Predictions


def study(
    rows: Predictions,
    raters: Sequence[Rater],
    *,
    replicates: int = bootstrap.REPLICATES,
    seed: int = 0,
) -> dict[str, Any]:
    """Compares raters on the same examples.

        {"n": {"examples", "videos", "patients"}, "interval": {...},
         "raters": [{"name", "kind", "patterns": {name: {"positives", "negatives",
           "unknown"}}}],
         "pairs": [{"first", "second", "first_kind", "second_kind",
           "patterns": {name: entry of `agreement.agree`}}],
         "fleiss": {group: {name: entry of `agreement.fleiss_measures`}}}

    A rater is not compared with those whose labels are in its own. The groups of
    Fleiss' kappa are the readers, and the readers with the (last) network.

    Args:
        rows: whose examples and patients the labels are of.
        raters: with labels in the order of `rows`.
        replicates: of the bootstrap over patients.
        seed: of the same.

    Raises:
        AnalysisError: fewer than two raters, labels of another shape, or too few
            replicates (see `bootstrap.check_replicates`).
    """
    bootstrap.check_replicates(replicates)
    if len(raters) < 2:
        raise AnalysisError(f"{len(raters)} raters; agreement needs two or more")
    for rater in raters:
        if rater.labels.shape != rows.labels.shape:
            raise AnalysisError(
                f"labels of '{rater.name}' are {rater.labels.shape}, not "
                f"{rows.labels.shape}"
            )
    resampling = Resampling(rows.patient_index(), replicates=replicates, seed=seed)
    pairs = [
        {
            "first": one.name,
            "second": other.name,
            "first_kind": one.kind,
            "second_kind": other.kind,
            "patterns": {
                name: agree(one.labels[:, k], other.labels[:, k], resampling)
                for k, name in enumerate(rows.classes)
            },
        }
        for one, other in combinations(raters, 2)
        if one.independent_of(other)
    ]
    return {
        "n": counted(rows),
        "interval": {
            "level": 0.95,
            "method": "percentile bootstrap over patients",
            "replicates": replicates,
            "seed": seed,
        },
        "raters": [_describe(rater, rows.classes) for rater in raters],
        "pairs": pairs,
        "fleiss": _together(raters, rows.classes, resampling),
    }


def _describe(rater: Rater, classes: Sequence[str]) -> Mapping[str, Any]:
    return {
        "name": rater.name,
        "kind": rater.kind,
        "patterns": {
            name: {
                "positives": int((rater.labels[:, k] == 1).sum()),
                "negatives": int((rater.labels[:, k] == 0).sum()),
                "unknown": int(np.isnan(rater.labels[:, k]).sum()),
            }
            for k, name in enumerate(classes)
        },
    }


def _together(
    raters: Sequence[Rater], classes: Sequence[str], resampling: Resampling
) -> dict[str, Any]:
    readers = [rater for rater in raters if rater.kind == READER]
    networks = [rater for rater in raters if rater.kind == NETWORK]
    groups = {}
    if len(readers) > 1:
        groups[f"{len(readers)} readers"] = readers
    if readers and networks:
        groups[f"{len(readers)} readers and {networks[-1].name}"] = [
            *readers,
            networks[-1],
        ]
    return {
        group: {
            name: fleiss_measures(
                np.stack([one.labels[:, k] for one in members], axis=1), resampling
            )
            for k, name in enumerate(classes)
        }
        for group, members in groups.items()
    }
