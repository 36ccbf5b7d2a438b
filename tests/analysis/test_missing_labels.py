"""What unknown labels could make of the numbers, against trying all of them."""

from itertools import product

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.analysis.simulated import join, simulate
from ultrasound_jax.analysis.document import Table
from ultrasound_jax.analysis.stats import missing_labels
from ultrasound_jax.analysis.stats.missing_labels import auroc_bounds
from ultrasound_jax.analysis.table.judged import judge

DRAWING = {"replicates": 10, "seed": 0}


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    parts = [simulate(rng, 15, split=s, unknown=0.04) for s in ("validation", "test")]
    return join(*parts)


def computed(table):
    return missing_labels.compute(judge(table), {}, DRAWING)["classes"]


@pytest.mark.parametrize("seed", range(5))
def test_bounds_are_those_of_all_ways_to_fill_labels_in(seed):
    rng = np.random.default_rng(seed)
    labels = rng.choice([0.0, 1.0, np.nan], size=14, p=(0.4, 0.2, 0.4))
    scores = np.round(rng.random(14), 1)  # with ties
    unknown = np.flatnonzero(np.isnan(labels))
    found = []
    for values in product((0, 1), repeat=len(unknown)):
        filled = labels.copy()
        filled[unknown] = values
        if len(set(filled.tolist())) == 2:
            found.append(roc_auc_score(filled, scores))
    assert auroc_bounds(labels, scores) == pytest.approx((min(found), max(found)))


def test_rates_are_lowest_and_highest_over_all_ways():
    rng = np.random.default_rng(1)
    labels = rng.choice([0.0, 1.0, np.nan], size=12, p=(0.4, 0.3, 0.3))
    decided = (rng.random(12) < 0.5).astype(float)
    unknown = np.flatnonzero(np.isnan(labels))
    ways = []
    for values in product((0, 1), repeat=len(unknown)):
        filled = labels.copy()
        filled[unknown] = values
        ways.append([(decided[filled == side] == side).mean() for side in (1, 0)])
    lowest, highest = np.min(ways, axis=0), np.max(ways, axis=0)
    bounds = missing_labels._rates(labels, decided)
    assert bounds["sensitivity"] == pytest.approx((lowest[0], highest[0]))
    assert bounds["specificity"] == pytest.approx((lowest[1], highest[1]))


def test_filled_in_numbers_are_those_of_a_filled_in_table(table):
    test = table.of_split("test")
    for name, entry in computed(table).items():
        k = test.classes.index(name)
        labels, scores = test.labels[:, k], test.scores[:, k]
        unknown = np.isnan(labels)
        assert entry["unknown"] == unknown.sum()
        known = roc_auc_score(labels[~unknown], scores[~unknown])
        assert entry["auroc"] == pytest.approx(known)
        for key, value in (("auroc_absent", 0), ("auroc_present", 1)):
            filled = np.where(unknown, value, labels)
            assert entry[key] == pytest.approx(roc_auc_score(filled, scores))
            assert entry[f"{key}_ci"][0] < entry[key] < entry[f"{key}_ci"][1]
        low, high = entry["auroc_bounds"]
        filled = [entry["auroc_absent"], entry["auroc_present"]]
        assert low <= min(filled) and max(filled) <= high


def test_classes_without_unknown_labels_are_not_told_of():
    rng = np.random.default_rng(2)
    parts = [simulate(rng, 8, split=s, unknown=0.0) for s in ("validation", "test")]
    found = computed(join(*parts))
    assert found == {}
    assert missing_labels.blocks({"missing_labels": {"classes": found}}) == []


def test_a_class_of_one_side_however_filled_has_no_bounds():
    assert auroc_bounds(np.zeros(4), np.arange(4.0)) is None
    assert auroc_bounds(np.array([0, np.nan]), np.array([0.2, 0.7])) == (1.0, 1.0)


def test_a_report_has_a_row_a_class_and_the_csv_both_ends(table):
    tree = {
        "missing_labels": {"classes": computed(table)},
        "level": "clip",
        "units": ["clip", "video"],
        "kind": "multilabel",
    }
    _, shown = missing_labels.blocks(tree)
    assert isinstance(shown, Table)
    assert len(shown.rows) == len(tree["missing_labels"]["classes"])
    metrics = {row["metric"] for row in missing_labels.rows(tree)}
    assert {"lowest auroc", "highest specificity", "unknown"} <= metrics
