"""Folds' own values, against scikit-learn fold by fold."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.analysis.simulated import CLASSES, join, simulate, without_positives
from ultrasound_jax.analysis.document import Table
from ultrasound_jax.analysis.stats import by_fold
from ultrasound_jax.analysis.stats._parts.intervals import auroc_interval
from ultrasound_jax.analysis.table.judged import judge

DRAWING = {"replicates": 10, "seed": 0}


@pytest.fixture(scope="module")
def folds():
    rng = np.random.default_rng(1)
    return join(*(simulate(rng, 10, split="validation", fold=f) for f in range(3)))


def computed(table):
    return by_fold.compute(judge(table), {}, DRAWING)


def test_each_fold_has_its_own_auroc_of_its_own_patients(folds):
    tree = computed(folds)
    assert list(tree["folds"]) == ["0", "1", "2"]
    for fold, entry in tree["folds"].items():
        rows = folds.rows(folds.fold == int(fold))
        assert entry["patients"] == 10 and entry["examples"] == len(rows)
        values = []
        for k, name in enumerate(CLASSES):
            known = ~np.isnan(rows.labels[:, k])
            value = roc_auc_score(rows.labels[known, k], rows.scores[known, k])
            own = entry["classes"][name]
            assert own["auroc"] == pytest.approx(value)
            assert own["auroc_ci"] == pytest.approx(
                auroc_interval(
                    rows.labels[:, k], rows.scores[:, k], rows.patient_index()
                )
            )
            assert own["positives"] == (rows.labels[:, k] == 1).sum()
            values.append(value)
        assert entry["macro"]["auroc"] == pytest.approx(np.mean(values))
        low, high = entry["macro"]["auroc_ci"]
        assert low < np.mean(values) < high


def test_the_mean_over_folds_is_their_mean_and_surer_than_a_fold(folds):
    tree = computed(folds)
    for name in CLASSES:
        own = [entry["classes"][name]["auroc"] for entry in tree["folds"].values()]
        found = tree["mean"][name]
        assert found["auroc"] == pytest.approx(np.mean(own)) and found["folds"] == 3
        assert (found["lowest"], found["highest"]) == (min(own), max(own))
        widths = [
            np.ptp(entry["classes"][name]["auroc_ci"])
            for entry in tree["folds"].values()
        ]
        assert np.ptp(found["auroc_ci"]) < min(widths)


def test_a_fold_without_positives_is_left_out_of_the_mean_and_counted(folds):
    rows = folds.rows(folds.fold == 1)
    less = without_positives(rows, 3, "validation")
    rest = folds.rows(folds.fold != 1)
    tree = computed(join(rest, less))
    assert tree["folds"]["1"]["classes"]["pleural_effusion"]["auroc"] is None
    assert tree["folds"]["1"]["macro"]["classes"] == 3
    assert tree["mean"]["pleural_effusion"]["folds"] == 2


def test_a_table_of_one_fold_says_nothing():
    rng = np.random.default_rng(2)
    table = join(simulate(rng, 6, split="validation"), simulate(rng, 6))
    tree = computed(table)
    assert tree == {"folds": {}, "mean": {}}
    view = {"by_fold": tree, "level": "clip"}
    assert by_fold.blocks(view) == [] and by_fold.rows(view) == []


def test_a_report_says_that_the_spread_is_not_the_interval(folds):
    view = {
        "by_fold": computed(folds),
        "level": "clip",
        "units": ["clip", "video"],
        "kind": "multilabel",
    }
    _, shown = by_fold.blocks(view)
    assert isinstance(shown, Table)
    assert [row[0] for row in shown.rows] == [
        *(f"fold {f}" for f in range(3)),
        "mean of folds",
    ]
    assert "is not the interval" in shown.caption
    parts = {row["part"] for row in by_fold.rows(view)}
    assert parts == {"fold 0", "fold 1", "fold 2", "mean of folds"}


def test_scores_of_folds_on_other_scales_spoil_the_pool_and_not_the_folds(folds):
    moved = folds.scores.copy()
    moved[folds.fold == 1] /= 10
    tree = computed(replace(folds, scores=moved))
    for name, entry in computed(folds)["mean"].items():
        assert tree["mean"][name]["auroc"] == pytest.approx(entry["auroc"])
