"""Operating points and where their thresholds come from."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as reference

from tests.analysis.simulated import CLASSES, join, simulate, without_positives
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.stats.operating import (
    YOUDEN,
    operate,
    threshold_at_sensitivity,
)
from ultrasound_jax.analysis.table.judged import (
    default_split,
    judge,
)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    return join(simulate(rng, 20, split="validation"), simulate(rng, 20))


@pytest.fixture(scope="module")
def folds():
    rng = np.random.default_rng(1)
    return join(*(simulate(rng, 8, split="validation", fold=f) for f in range(3)))


@pytest.mark.parametrize(
    ("wanted", "threshold"), [(0.5, 0.75), (0.75, 0.45), (0.76, 0.2), (1.0, 0.2)]
)
def test_the_threshold_is_the_highest_that_is_sensitive_enough(wanted, threshold):
    labels = np.array([1, 1, 0, 1, 0, 1, 0])
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.3, 0.3, 0.1])
    found = threshold_at_sensitivity(labels, scores, wanted)
    assert found == pytest.approx(threshold)


def test_a_sensitivity_is_reached_exactly_in_spite_of_rounding():
    labels, scores = np.array([1] * 10 + [0]), np.arange(11) / 20 + 0.3
    threshold = threshold_at_sensitivity(labels, scores[::-1], 0.9)
    assert threshold is not None
    assert (scores[::-1][:10] >= threshold).sum() == 9


def test_without_positives_there_is_no_threshold_and_0_is_refused():
    assert threshold_at_sensitivity(np.zeros(3), np.arange(3) / 3, 0.9) is None
    for wanted in (0.0, 1.1):
        with pytest.raises(AnalysisError, match="allowed are 0 < sensitivity"):
            threshold_at_sensitivity(np.ones(3), np.ones(3), wanted)


def test_points_of_sensitivities_that_round_alike_are_kept_apart(table):
    wanted = (0.9, 0.99, 0.995, 0.999)
    points = operate(judge(table), wanted)["points"]
    names = [f"sensitivity {text}" for text in ("0.90", "0.99", "0.995", "0.999")]
    assert list(points) == [YOUDEN, *names]


def test_patients_who_choose_and_are_judged_are_refused(table):
    ids = tuple(p.replace("validation", "test") for p in table.patient_id)
    leaking = replace(table, patient_id=ids)
    with pytest.raises(AnalysisError, match="'test0_p0' is in split 'validation' and"):
        judge(leaking)
    assert judge(leaking, optimistic=True).optimistic
    assert not judge(table, optimistic=True).optimistic


def test_thresholds_of_validation_patients_judge_test_patients(table):
    tree = operate(judge(table), (0.9,))
    assert tree["thresholds_from"] == "validation" and not tree["optimistic"]
    test, validation = table.of_split("test"), table.of_split("validation")
    for k, name in enumerate(CLASSES):
        entry = tree["points"]["sensitivity 0.90"][name]
        assert entry["threshold"] == threshold_at_sensitivity(
            validation.labels[:, k], validation.scores[:, k], 0.9
        )
        known = ~np.isnan(test.labels[:, k])
        truth, hard = test.labels[known, k], test.scores[known, k] >= entry["threshold"]
        quiet, alarms, misses, hits = reference.confusion_matrix(truth, hard).ravel()
        assert [entry[c] for c in ("hits", "misses", "alarms", "quiet")] == [
            hits,
            misses,
            alarms,
            quiet,
        ]
        assert entry["sensitivity"] == pytest.approx(hits / (hits + misses))
        precision = reference.precision_score(truth, hard)
        assert entry["positive_predictive_value"] == pytest.approx(precision)
        low, high = entry["negative_predictive_value_ci"]
        assert low < entry["negative_predictive_value"] < high
        assert entry["flagged"] == pytest.approx(hard.mean())


def test_nothing_is_chosen_on_the_test_split_unless_asked_for(table):
    alone = table.of_split("test")
    tree = operate(judge(alone))
    entry = tree["points"][YOUDEN]["a_line"]
    assert entry["threshold"] is None and entry["sensitivity"] is None
    assert tree["thresholds_from"] is None
    tree = operate(judge(alone, optimistic=True))
    assert tree["optimistic"] and tree["thresholds_from"] == "test"
    assert tree["points"]["sensitivity 0.95"]["a_line"]["sensitivity"] >= 0.95
    assert not judge(table, optimistic=True).optimistic


def test_in_cross_validation_the_other_folds_choose(folds):
    found = judge(folds)
    assert found.split == "out_of_fold" and found.source == "other folds"
    for fold, reference_rows in found.references.items():
        assert fold not in reference_rows.fold
        own = set(folds.rows(folds.fold == fold).patient_id)
        assert not own & set(reference_rows.patient_id)
    entry = operate(found, (0.9,))["points"][YOUDEN]["a_line"]
    assert entry["threshold"] is None and len(entry["threshold_by_fold"]) == 3


def test_a_class_without_positives_among_the_references_has_no_rates(table):
    found = operate(judge(without_positives(table, 3, "validation")))
    entry = found["points"][YOUDEN]["pleural_effusion"]
    assert entry["sensitivity"] is None and entry["hits"] is None
    assert found["points"][YOUDEN]["a_line"]["sensitivity"] is not None


def test_folds_with_test_splits_of_their_own_are_refused():
    rng = np.random.default_rng(2)
    both = join(*(simulate(rng, 3, fold=fold) for fold in range(2)))
    assert default_split(both) == "test"
    with pytest.raises(AnalysisError, match="folds 0, 1 cannot be judged together"):
        judge(both)
