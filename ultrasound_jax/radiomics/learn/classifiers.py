"""Classifiers of feature vectors, what is searched of each, and their scores.

Ranges are the original's. `boosting` is scikit-learn's, in which a tree's share of the
examples, a split's least gain and an L1 penalty do not exist; `min_child_weight` is
there the least number of examples in a leaf.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from ultrasound_jax.radiomics.errors import RadiomicsError

if TYPE_CHECKING:  # it takes a second to import
    from optuna import Trial

Params = dict[str, Any]
Splits = Sequence[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Classifier:
    """One kind of classifier.

    space: draws parameters of a trial.
    start: parameters without a search.
    make: the estimator of parameters and a seed.
    calibrated: its scores are no probabilities until they are calibrated.
    """

    name: str
    space: Callable[[Any], Params]
    start: Mapping[str, Any]
    make: Callable[[Mapping[str, Any], int], Any]
    calibrated: bool = False


def _boosting_space(trial: "Trial") -> Params:
    return {
        "max_iter": trial.suggest_int("max_iter", 50, 500),
        "max_depth": trial.suggest_int("max_depth", 3, 10),
        "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.3, log=True),
        "max_features": trial.suggest_float("max_features", 0.6, 1.0),
        "min_samples_leaf": trial.suggest_int("min_samples_leaf", 1, 10),
        "l2_regularization": trial.suggest_float("l2_regularization", 0.0, 10.0),
    }


def _boosting(params: Mapping[str, Any], seed: int) -> Any:
    fixed: Params = {"early_stopping": False, "random_state": seed}
    return HistGradientBoostingClassifier(**fixed, **params)


def _xgboost_space(trial: "Trial") -> Params:
    return {
        "n_estimators": trial.suggest_int("n_estimators", 50, 500),
        "max_depth": trial.suggest_int("max_depth", 3, 10),
        "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.3, log=True),
        "subsample": trial.suggest_float("subsample", 0.6, 1.0),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.6, 1.0),
        "gamma": trial.suggest_float("gamma", 0.0, 5.0),
        "min_child_weight": trial.suggest_int("min_child_weight", 1, 10),
        "reg_alpha": trial.suggest_float("reg_alpha", 0.0, 10.0),
        "reg_lambda": trial.suggest_float("reg_lambda", 0.0, 10.0),
    }


def _xgboost(params: Mapping[str, Any], seed: int) -> Any:
    try:
        library = importlib.import_module("xgboost")
    except ImportError as error:
        raise RadiomicsError(
            "classifier xgboost is not installed: pip install "
            "'ultrasound-jax[radiomics]' (xgboost-cpu), or take boosting"
        ) from error
    return library.XGBClassifier(random_state=seed, n_jobs=1, **params)


def _forest_space(trial: "Trial") -> Params:
    return {
        "n_estimators": trial.suggest_int("n_estimators", 50, 500),
        "max_depth": trial.suggest_int("max_depth", 3, 20),
        "min_samples_split": trial.suggest_int("min_samples_split", 2, 10),
        "min_samples_leaf": trial.suggest_int("min_samples_leaf", 1, 5),
        "max_features": trial.suggest_categorical("max_features", ["sqrt", "log2"]),
    }


def _forest(params: Mapping[str, Any], seed: int) -> Any:
    return RandomForestClassifier(random_state=seed, **params)


def _svm_space(trial: "Trial") -> Params:
    return {
        "C": trial.suggest_float("C", 0.1, 10.0, log=True),
        "kernel": trial.suggest_categorical("kernel", ["linear", "rbf"]),
        "gamma": trial.suggest_float("gamma", 1e-4, 1.0, log=True),
    }


def _svm(params: Mapping[str, Any], seed: int) -> Any:
    return SVC(random_state=seed, **params)


CLASSIFIERS = {
    one.name: one
    for one in (
        Classifier(
            "boosting",
            _boosting_space,
            {"max_iter": 100, "max_depth": 6, "min_samples_leaf": 5},
            _boosting,
        ),
        Classifier(
            "xgboost", _xgboost_space, {"n_estimators": 100, "max_depth": 6}, _xgboost
        ),
        Classifier("forest", _forest_space, {"n_estimators": 300}, _forest),
        Classifier(
            "svm", _svm_space, {"C": 1.0, "gamma": "scale"}, _svm, calibrated=True
        ),
    )
}


def classifier(name: str) -> Classifier:
    """The classifier of that name.

    Raises:
        RadiomicsError: there is none.
    """
    if name not in CLASSIFIERS:
        known = ", ".join(CLASSIFIERS)
        raise RadiomicsError(f"no classifier is called {name!r}; there are {known}")
    return CLASSIFIERS[name]


def fitted_scores(
    estimator: Any,
    train: Float[np.ndarray, "n f"],
    truth: Int[np.ndarray, " n"],
    test: Float[np.ndarray, "m f"],
    *,
    classes: int,
    splits: Splits | None = None,
) -> Float[np.ndarray, "m k"]:
    """Trains and scores; a class that no training example has gets the lowest score.

    Args:
        estimator: untrained.
        train: features of the training examples.
        truth: their classes' places.
        test: features of the examples to score.
        classes: how many there are.
        splits: of the training examples, to calibrate an estimator that gives no
            probabilities; without, its scores rank and no more.

    Raises:
        RadiomicsError: the training examples are of one class.
    """
    present, place = np.unique(truth, return_inverse=True)
    if len(present) < 2:
        raise RadiomicsError(
            "the training examples of a fold are of one class; give fewer folds or "
            "rarer classes together"
        )
    if splits is not None:
        given: Params = {"cv": list(splits), "ensemble": False}
        estimator = CalibratedClassifierCV(estimator, **given)
    # On a few hundred rows threads wait for each other longer than they work.
    with threadpool_limits(limits=1):
        return _scores(estimator.fit(train, place), test, present, classes)


def _scores(
    estimator: Any,
    test: Float[np.ndarray, "m f"],
    present: Int[np.ndarray, " p"],
    classes: int,
) -> Float[np.ndarray, "m k"]:
    """What a trained estimator says, in the columns of the classes that it knows."""
    if hasattr(estimator, "predict_proba"):
        found, lowest = np.asarray(estimator.predict_proba(test), np.float64), 0.0
    else:
        found = np.asarray(estimator.decision_function(test), np.float64)
        if found.ndim == 1:
            found = np.stack([-found, found], axis=1)
        lowest = float(found.min())
    scores = np.full((len(test), classes), lowest)
    scores[:, present] = found
    return scores


def macro_auroc(
    truth: Int[np.ndarray, " n"], scores: Float[np.ndarray, "n k"]
) -> float | None:
    """The mean AUROC of each class against the rest, of two classes that of the second.

    Classes that all or none of the examples have are left out; None if that is all.
    """
    places = range(1, 2) if scores.shape[1] == 2 else range(scores.shape[1])
    found = [
        float(roc_auc_score(truth == k, scores[:, k]))
        for k in places
        if 0 < (truth == k).sum() < len(truth)
    ]
    return float(np.mean(found)) if found else None
