"""The search for a classifier's parameters, on training patients alone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from ultrasound_jax.data.examples import ExampleTable
from ultrasound_jax.data.splits import make_manifest
from ultrasound_jax.radiomics.errors import RadiomicsError
from ultrasound_jax.radiomics.learn.classifiers import (
    Classifier,
    Params,
    Splits,
    fitted_scores,
    macro_auroc,
)
from ultrasound_jax.radiomics.learn.selection import select


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    auroc: the mean over the inner folds, None where nothing was searched.
    """

    params: Params
    auroc: float | None
    trials: int


def inner_splits(table: ExampleTable, folds: int, seed: int) -> Splits:
    """Rows to train and to test on, for each of several folds of these patients."""
    manifest = make_manifest(table, test_fraction=0.0, folds=folds, seed=seed)
    parts = [manifest.indices(table, fold) for fold in range(folds)]
    return [(part["train"], part["validation"]) for part in parts]


def tune(
    kind: Classifier,
    values: Float[np.ndarray, "n f"],
    truth: Int[np.ndarray, " n"],
    splits: Splits,
    *,
    classes: int,
    selection: str,
    trials: int,
    seed: int,
    told: Callable[[], object] = lambda: None,
) -> Tuned:
    """The parameters with the highest mean AUROC over the inner folds.

    Features are selected anew in each inner fold, so that no fold is judged by features
    that its own examples helped to choose; the original selects once, before.

    Args:
        kind: of classifier.
        values: features of the training examples, as measured.
        truth: the places of their classes.
        splits: of `inner_splits`.
        classes: how many there are.
        selection: see `select`.
        trials: of Optuna's tree-structured Parzen estimator; 0 takes `kind.start`.
        seed: of the search and of the classifiers.
        told: called after each trial.

    Raises:
        RadiomicsError: no inner fold has examples of several classes.
    """
    if not trials:
        return Tuned(dict(kind.start), None, 0)
    import optuna  # it takes a second, which a run without a search should not wait for

    prepared = []
    for train, test in splits:
        learnt = select(values[train], truth[train], selection)
        prepared.append((learnt(values[train]), truth[train], learnt(values[test])))

    def judged(trial: Any) -> float:
        params = kind.space(trial)
        found = []
        for (inside, known, outside), (_, test) in zip(prepared, splits, strict=True):
            estimator = kind.make(params, seed)
            scores = fitted_scores(estimator, inside, known, outside, classes=classes)
            found.append(macro_auroc(truth[test], scores))
        told()
        defined = [value for value in found if value is not None]
        if not defined:
            raise RadiomicsError(
                f"no inner fold of {len(splits)} has examples of several classes; give "
                "fewer inner folds"
            )
        return float(np.mean(defined))

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed)
    )
    study.optimize(judged, n_trials=trials)
    return Tuned(_asked(kind, study.best_params), float(study.best_value), trials)


def _asked(kind: Classifier, params: Params) -> Params:
    """The parameters as `make` takes them, from what the study names."""
    import optuna

    return kind.space(optuna.trial.FixedTrial(params))
