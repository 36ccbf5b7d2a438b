import importlib.util
import sys

import numpy as np
import optuna
import pytest
from sklearn.metrics import roc_auc_score

from ultrasound_jax.radiomics import RadiomicsError
from ultrasound_jax.radiomics.learn.classifiers import (
    CLASSIFIERS,
    classifier,
    fitted_scores,
    macro_auroc,
)
from ultrasound_jax.radiomics.learn.selection import select
from ultrasound_jax.radiomics.learn.tuning import tune

RNG = np.random.default_rng(1)
TRUTH = np.arange(90) % 3
VALUES = RNG.normal(size=(90, 4)) + 2 * np.eye(3, 4)[TRUTH]
SPLITS = [
    (np.flatnonzero(np.arange(90) // 30 != k), np.flatnonzero(np.arange(90) // 30 == k))
    for k in range(3)
]
INSTALLED = [
    name
    for name in CLASSIFIERS
    if name != "xgboost" or importlib.util.find_spec("xgboost")
]


def scores_of(name, train, truth, test, classes, params=None):
    kind = classifier(name)
    return fitted_scores(
        kind.make(params or kind.start, 0),
        train,
        truth,
        test,
        classes=classes,
        splits=SPLITS if kind.calibrated and len(train) == 90 else None,
    )


@pytest.mark.parametrize("name", INSTALLED)
def test_every_classifier_learns_and_gives_probabilities(name):
    found = scores_of(name, VALUES, TRUTH, VALUES, 3)
    assert found.shape == (90, 3) and ((found >= 0) & (found <= 1)).all()
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert macro_auroc(TRUTH, found) > 0.9


@pytest.mark.parametrize("name", INSTALLED)
def test_what_is_searched_can_be_made(name):
    kind = classifier(name)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(3):
        params = kind.space(study.ask())
        # A tree less, as this is not about being good.
        few = {k: 5 for k in ("max_iter", "n_estimators") if k in params}
        assert scores_of(name, VALUES, TRUTH, VALUES, 3, params | few).shape == (90, 3)


@pytest.mark.parametrize("name", INSTALLED)
def test_the_same_seed_gives_the_same_scores(name):
    one, other = (scores_of(name, VALUES, TRUTH, VALUES, 3) for _ in range(2))
    assert (one == other).all()


def test_a_class_that_is_not_trained_on_gets_the_lowest_score():
    some = TRUTH != 1
    found = scores_of("boosting", VALUES[some], TRUTH[some], VALUES, 3)
    assert (found[:, 1] == 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_training_on_one_class_is_refused():
    with pytest.raises(RadiomicsError, match="of one class"):
        scores_of("forest", VALUES[:30], np.zeros(30, int), VALUES, 3)


def test_a_classifier_that_there_is_not_is_named():
    with pytest.raises(RadiomicsError, match="'tree'; there are boosting, xgboost"):
        classifier("tree")


def test_a_library_that_is_missing_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(RadiomicsError, match=r"ultrasound-jax\[radiomics\]"):
        classifier("xgboost").make({}, 0)


def test_the_auroc_of_two_classes_is_that_of_the_second():
    truth, scores = TRUTH[TRUTH < 2], RNG.random((60, 2))
    assert macro_auroc(truth, scores) == roc_auc_score(truth == 1, scores[:, 1])


def test_the_auroc_of_several_classes_is_their_mean_without_missing_ones():
    scores = RNG.random((90, 4))
    each = [roc_auc_score(TRUTH == k, scores[:, k]) for k in range(3)]
    assert macro_auroc(TRUTH, scores) == pytest.approx(np.mean(each))
    assert macro_auroc(np.zeros(5, int), scores[:5]) is None


def test_a_search_is_repeatable_and_within_its_ranges():
    def search():
        return tune(
            classifier("svm"),
            VALUES,
            TRUTH,
            SPLITS,
            classes=3,
            selection="none",
            trials=2,
            seed=42,
        )

    found = search()
    assert found == search() and found.trials == 2 and 0.5 < found.auroc <= 1
    assert 0.1 <= found.params["C"] <= 10
    assert found.params["kernel"] in ("linear", "rbf")


def test_without_trials_nothing_is_searched():
    kind = classifier("boosting")
    found = tune(
        kind, VALUES, TRUTH, [], classes=3, selection="none", trials=0, seed=42
    )
    assert (found.params, found.auroc, found.trials) == (dict(kind.start), None, 0)


def test_a_search_is_not_deceived_by_features_that_were_chosen_with_all_examples():
    rng = np.random.default_rng(3)
    noise, truth = rng.normal(size=(60, 400)), np.arange(60) % 2
    parts = np.split(rng.permutation(60), 3)
    splits = [(np.setdiff1d(np.arange(60), part), part) for part in parts]
    search = dict(classes=2, trials=1, seed=0)
    chosen = select(noise, truth)(noise)
    fooled = tune(classifier("svm"), chosen, truth, splits, selection="none", **search)
    honest = tune(classifier("svm"), noise, truth, splits, selection="lasso", **search)
    assert fooled.auroc > 0.85 > 0.7 > honest.auroc
