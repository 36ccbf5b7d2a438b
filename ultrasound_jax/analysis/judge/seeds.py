"""Runs that differ in their seed only: how much training alone moves the numbers.

The interval of a run is about patients: another sample of them. A seed is another
matter: the same data, trained anew. Several runs' spread says how much of a number is
the luck of one training; it is no interval of anything, and says nothing of patients.
Runs of several folds are no seeds (they are judged on other patients), and runs whose
configurations differ in anything else are refused.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.judge.pairing import of_scores, pair
from ultrasound_jax.analysis.stats._parts import intervals
from ultrasound_jax.analysis.stats._parts.clustered import influence, mean_spread
from ultrasound_jax.analysis.table.inputs import Run

SEED, FOLD = "seed", "data.fold"
MACRO = "macro"


def seeds_of(runs: Sequence[Run]) -> dict[str, int]:
    """Each run's seed.

    Raises:
        AnalysisError: fewer than two runs, a run without configuration, a seed twice,
            folds, or another difference in the configurations.
    """
    if len(runs) < 2:
        raise AnalysisError(f"{len(runs)} runs; a spread over seeds needs two or more")
    settings = {one.name: _settings(one) for one in runs}
    first, *others = settings
    for other in others:
        _check(settings[first], first, settings[other], other)
    seeds = {name: found[SEED] for name, found in settings.items()}
    for name, seed in seeds.items():
        same = [other for other in seeds if seeds[other] == seed]
        if len(same) > 1:
            raise AnalysisError(
                f"runs '{same[0]}' and '{same[1]}' have the same seed {seed}: their "
                f"difference is not one of seeds"
            )
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise AnalysisError(f"run '{name}' has the seed {seed!r}, no whole number")
    return seeds


def _settings(one: Run) -> dict[str, Any]:
    found = one.read_json("config.json")
    if not isinstance(found, dict) or SEED not in found:
        raise AnalysisError(
            f"run '{one.name}' has no config.json with a seed, so that nobody can tell "
            "whether only the seed differs"
        )
    return dict(_flat(found))


def _flat(tree: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    found = []
    for key, value in tree.items():
        name = f"{above}{key}"
        if isinstance(value, dict) and value:
            found += _flat(value, f"{name}.")
        else:
            found.append((name, value))
    return found


def _check(
    first: Mapping[str, Any], one: str, second: Mapping[str, Any], other: str
) -> None:
    names = sorted(set(first) | set(second))
    unlike = [n for n in names if first.get(n) != second.get(n) and n != SEED]
    if FOLD in unlike:
        raise AnalysisError(
            f"runs '{one}' and '{other}' are of folds {first.get(FOLD)} and "
            f"{second.get(FOLD)}: folds are judged on other patients and are no seeds"
        )
    if unlike:
        name = unlike[0]
        values = " and ".join(
            json.dumps(found[name]) if name in found else "nothing"
            for found in (first, second)
        )
        more = f" (and {len(unlike) - 1} more)" if len(unlike) > 1 else ""
        raise AnalysisError(
            f"runs '{one}' and '{other}' differ in config.{name}: {values}{more}; "
            "allowed is a difference in config.seed only"
        )


def over_seeds(
    runs: Sequence[Run], split: str, levels: Sequence[str]
) -> dict[str, Any]:
    """The spread of AUROC over seeds, beside the patients' interval.

        {"seeds": {run: seed}, "split", "levels": {level: {name or "macro": {"mean",
            "mean_ci", "sd", "lowest", "highest", "values": {run: AUROC}, "patients",
            "effective_patients", "largest_share"}}}}

    `mean_ci` is over patients, of the mean AUROC of these very networks: their
    covariance is in it (`clustered.Influence`). `sd` is over seeds. A class without an
    AUROC is null in all of these.

    Raises:
        AnalysisError: see `seeds_of`; masks, or runs judged on other examples.
    """
    seeds = seeds_of(runs)
    tables = {one.name: of_scores(one.predictions, one.name) for one in runs}
    tree: dict[str, Any] = {"seeds": seeds, "split": split, "levels": {}}
    for level in levels:
        paired = pair(tables, runs[0].name, split=split, level=level)
        found, parts = {}, []
        weights = [1 / len(runs)] * len(runs)
        for k, name in enumerate(paired.table.classes):
            labels = paired.table.labels[:, k]
            try:
                part = influence(labels, paired.scores[:, :, k], paired.patient)
            except AnalysisError:  # one class, or a side of one patient
                found[name] = _nothing()
                continue
            parts.append(part)
            known = ~np.isnan(labels)
            found[name] = _spread(paired.models, part.aurocs) | {
                "mean_ci": intervals.bounded_interval(part.spread(weights)),
                **intervals.counted_patients(np.bincount(paired.patient[known])),
            }
        whole = _nothing()
        if parts:
            values = np.mean([part.aurocs for part in parts], axis=0)
            whole = _spread(paired.models, values) | {
                "mean_ci": intervals.bounded_interval(mean_spread(parts, weights)),
                **intervals.counted_patients(np.bincount(paired.patient)),
            }
        tree["levels"][level] = {MACRO: whole} | found
    return tree


def _nothing() -> dict[str, Any]:
    names = ("mean", "mean_ci", "sd", "lowest", "highest", "patients") + (
        "effective_patients",
        "largest_share",
    )
    return dict.fromkeys(names) | {"values": {}}


def _spread(models: Sequence[str], aurocs: np.ndarray) -> dict[str, Any]:
    return {
        "mean": float(aurocs.mean()),
        "sd": float(aurocs.std(ddof=1)),
        "lowest": float(aurocs.min()),
        "highest": float(aurocs.max()),
        "values": dict(zip(models, map(float, aurocs), strict=True)),
    }
