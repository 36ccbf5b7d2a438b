"""The tree of metrics.json."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as reference

from tests.analysis.simulated import CLASSES, join, simulate, without_positives
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.judge.run import (
    judge_table,
    write_metrics,
    youden_thresholds,
)
from ultrasound_jax.analysis.stats._parts.metrics import (
    METRICS,
    youden_threshold,
)
from ultrasound_jax.analysis.table.levels import at_level

LEVELS = ("clip", "video_mean", "video_max")


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    return join(simulate(rng, 15, split="validation"), simulate(rng, 20))


@pytest.fixture(scope="module")
def tree(table):
    return judge_table(table, replicates=200)


@pytest.fixture(scope="module")
def folds():
    rng = np.random.default_rng(1)
    return join(*(simulate(rng, 8, split="validation", fold=f) for f in range(3)))


def test_numbers_are_those_of_scikit_learn_at_the_validation_thresholds(table, tree):
    for level in LEVELS:
        test = at_level(table.of_split("test"), level)
        validation = at_level(table.of_split("validation"), level)
        for k, name in enumerate(CLASSES):
            entry = tree["test"][level]["classes"][name]
            known = ~np.isnan(test.labels[:, k])
            truth, marks = test.labels[known, k], test.scores[known, k]
            threshold = youden_threshold(
                validation.labels[:, k], validation.scores[:, k]
            )
            assert entry["threshold"] == threshold
            hard = marks >= threshold
            area = reference.roc_auc_score(truth, marks)
            assert entry["auroc"] == pytest.approx(area)
            assert entry["f1"] == pytest.approx(reference.f1_score(truth, hard))
            assert entry["positives"] == truth.sum()
            assert entry["positives"] + entry["negatives"] + entry["unknown"] == len(
                test
            )


def test_macro_values_are_means_over_classes_and_have_intervals(tree):
    for split in ("test", "validation"):
        for level in LEVELS:
            entry = tree[split][level]
            for metric in METRICS:
                values = [entry["classes"][name][metric] for name in CLASSES]
                assert entry[f"macro_{metric}"] == pytest.approx(np.mean(values))
                low, high = entry[f"macro_{metric}_ci"]
                assert 0 <= low < entry[f"macro_{metric}"] < high <= 1
                assert entry["macro_classes"][metric] == 4


def test_counts_of_examples_videos_and_patients_are_given(table, tree):
    test = table.of_split("test")
    videos = len(set(test.video_id))
    counts = {"examples": len(test), "videos": videos, "patients": 20}
    sizes = np.unique(test.patient_id, return_counts=True)[1]
    worth = {
        "effective_patients": pytest.approx(len(test) ** 2 / (sizes**2).sum()),
        "largest_share": sizes.max() / len(test),
    }
    assert tree["test"]["clip"]["n"] == counts | worth
    assert tree["test"]["video_max"]["n"]["examples"] == videos
    positive = {
        p
        for p, label in zip(test.patient_id, test.labels[:, 1], strict=True)
        if label == 1
    }
    entry = tree["test"]["clip"]["classes"]["b_line"]
    assert entry["positive_patients"] == len(positive)


def test_a_class_without_positives_is_null_and_left_out_of_macro_values(
    tmp_path, table, tree
):
    found = judge_table(without_positives(table, 3), replicates=200)
    entry = found["test"]["clip"]["classes"]["pleural_effusion"]
    for metric in ("auroc", "average_precision", "f1", "sensitivity"):
        assert entry[metric] is None and entry[f"{metric}_ci"] is None
    assert entry["specificity"] is not None
    assert found["test"]["clip"]["macro_classes"]["auroc"] == 3
    others = [tree["test"]["clip"]["classes"][name]["auroc"] for name in CLASSES[:3]]
    assert found["test"]["clip"]["macro_auroc"] == pytest.approx(np.mean(others))
    write_metrics(tmp_path / "metrics.json", found)
    assert "NaN" not in (tmp_path / "metrics.json").read_text()
    assert json.loads((tmp_path / "metrics.json").read_text()) == found


def test_a_class_missing_in_validation_has_no_threshold_but_is_ranked(table):
    found = judge_table(without_positives(table, 0, "validation"), replicates=200)
    entry = found["test"]["clip"]["classes"]["a_line"]
    assert entry["threshold"] is None
    assert entry["f1"] is None and entry["specificity_ci"] is None
    assert entry["auroc"] is not None and entry["auroc_ci"] is not None


def test_positives_of_one_patient_give_a_value_without_an_interval(table):
    test = table.of_split("test")
    labels = test.labels.copy()
    one = np.array([p == test.patient_id[0] for p in test.patient_id])
    labels[:, 2] = one
    found = judge_table(
        join(table.of_split("validation"), replace(test, labels=labels)), replicates=200
    )
    entry = found["test"]["clip"]["classes"]["consolidation"]
    assert entry["auroc"] is not None and entry["auroc_ci"] is None
    assert entry["replicates_left_out"] > 5  # about (19/20)^20 of 50
    assert found["test"]["clip"]["macro_auroc_ci"] is None


def test_the_same_seed_gives_the_same_numbers(table, tree):
    assert judge_table(table, replicates=200) == tree
    assert judge_table(table, replicates=200, seed=1) != tree


def test_new_data_are_judged_with_given_thresholds(table, tree):
    test = table.of_split("test")
    given = youden_thresholds(table.of_split("validation"))
    found = judge_table(test, thresholds=given, replicates=200)
    assert found["test"]["thresholds_from"] == "given"
    assert found["test"]["clip"] == tree["test"]["clip"]
    with pytest.raises(AnalysisError, match="no threshold given for class a_line"):
        judge_table(test, thresholds={"clip": {}})


def test_a_run_that_has_no_thresholds_gives_none(table):
    found = judge_table(table.of_split("test"), thresholds={}, replicates=200)["test"]
    entry = found["clip"]["classes"]["a_line"]
    assert found["thresholds_from"] is None and not found["optimistic"]
    assert entry["threshold"] is None and entry["f1"] is None
    assert entry["auroc"] is not None


def test_thresholds_of_a_split_that_is_not_there_are_refused(table):
    with pytest.raises(AnalysisError, match="no predictions of split 'validation'"):
        judge_table(table.of_split("test"))


def test_several_folds_are_not_evaluated_as_one(folds):
    with pytest.raises(AnalysisError, match="folds 0, 1, 2 cannot be evaluated"):
        judge_table(folds)


def test_a_folds_threshold_comes_from_the_other_folds(folds):
    tree = judge_table(folds, pooled=True, replicates=200)["out_of_fold"]
    for level in LEVELS:
        table = at_level(folds, level)
        decided = np.zeros(len(table), bool)
        for fold in range(3):
            here = table.fold == fold
            threshold = youden_threshold(table.labels[~here, 0], table.scores[~here, 0])
            entry = tree[level]["classes"]["a_line"]
            assert entry["threshold_by_fold"][str(fold)] == threshold
            decided[here] = table.scores[here, 0] >= threshold
        known = ~np.isnan(table.labels[:, 0])
        expected = reference.f1_score(table.labels[known, 0], decided[known])
        assert entry["f1"] == pytest.approx(expected)


def test_rows_named_out_of_fold_are_preferred_and_test_rows_ignored(folds):
    named = replace(folds, split=("out_of_fold",) * len(folds))
    other = simulate(np.random.default_rng(4), 5, split="validation", fold=0)
    test = simulate(np.random.default_rng(5), 5, split="test", fold=0)
    expected = judge_table(folds, pooled=True, replicates=200)
    found = judge_table(join(named, other, test), pooled=True, replicates=200)
    for level in LEVELS:
        assert found["out_of_fold"][level] == expected["out_of_fold"][level]


def test_cross_validation_that_leaks_is_refused(folds):
    with pytest.raises(AnalysisError, match="one fold"):
        judge_table(folds.rows(folds.fold == 0), pooled=True)
    leaking = replace(folds, patient_id=("same",) * len(folds))
    with pytest.raises(AnalysisError, match="patient 'same' is in split validation"):
        judge_table(leaking, pooled=True)
