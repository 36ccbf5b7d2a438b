"""One number has one interval, whatever seeds, replicates and names do."""

from dataclasses import replace

import numpy as np
import pytest

from tests.analysis.simulated import join, simulate
from tests.conftest import ROOT
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.judge.assess import Wanted, assess
from ultrasound_jax.analysis.judge.comparison import compare
from ultrasound_jax.analysis.judge.run import judge_table
from ultrasound_jax.analysis.stats._parts.intervals import (
    METHOD_OF,
    counted_patients,
    effective_patients,
    mean_interval,
    share_interval,
)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    return join(simulate(rng, 8, split="validation"), simulate(rng, 9))


@pytest.fixture(scope="module")
def tree(table):
    return judge_table(table, replicates=200)["test"]


def test_effective_patients_are_those_with_equally_many_examples():
    assert effective_patients(np.full(7, 12)) == pytest.approx(7)
    half = np.array([29, *[1] * 29])
    assert effective_patients(half) == pytest.approx(58**2 / (29**2 + 29))
    found = counted_patients(half)
    assert found["patients"] == 30 and found["largest_share"] == 0.5


def test_analytic_intervals_do_not_know_replicates_or_seeds(table, tree):
    more = judge_table(table, replicates=400, seed=7)["test"]
    one, other = tree["clip"], more["clip"]
    for name in ("macro_auroc_ci", "macro_sensitivity_ci"):
        assert one[name] == other[name]
    assert one["macro_f1_ci"] != other["macro_f1_ci"]
    assert tree["operating"] == more["operating"]
    assert tree["calibration"] == more["calibration"]
    assert tree["interval"]["methods"] == METHOD_OF


def test_names_and_order_of_patients_change_no_interval(table, tree):
    rng = np.random.default_rng(1)
    names = sorted(set(table.patient_id))
    other = dict(zip(names, rng.permutation(len(names)).tolist(), strict=True))
    renamed = replace(
        table, patient_id=tuple(f"q{other[p]:03}" for p in table.patient_id)
    )
    mixed = renamed.rows(rng.permutation(len(table)))
    again = judge_table(mixed, replicates=200)["test"]["clip"]
    for name, entry in tree["clip"]["classes"].items():
        for key, value in entry.items():
            assert again["classes"][name][key] == pytest.approx(value), key


def test_fewer_than_200_replicates_are_refused(table):
    with pytest.raises(AnalysisError, match="199 replicates .* 200 or more"):
        assess(table, Wanted(replicates=199))
    with pytest.raises(AnalysisError, match="199 replicates"):
        compare({"a": table, "b": table}, "a", replicates=199)


def test_a_constant_and_a_perfect_network_have_intervals_with_a_length(table):
    flat = replace(table, scores=np.full_like(table.scores, 0.5))
    truth = np.nan_to_num(table.labels)
    noise = 0.1 * np.random.default_rng(2).random(truth.shape)
    sure = replace(table, scores=0.1 + 0.7 * truth + noise)
    found = compare({"sure": sure, "flat": flat}, "sure", replicates=200)
    for row in found["differences"]:
        low, high = row["ci"]
        assert low < row["difference"] < high or high - low > 0.1
        assert row["survives"] is None and row["reason"]
    for model in ("sure", "flat"):
        for entry in found["aurocs"][model].values():
            assert entry["ci"][1] - entry["ci"][0] > 0.1


def test_a_share_hardly_changes_with_its_last_miss():
    whole, missed = np.full(9, 12), np.full(9, 12)
    missed[0] = 11
    low = [share_interval(hits, np.full(9, 12))[0] for hits in (whole, missed)]
    assert low[0] == pytest.approx(low[1], abs=0.1)


def test_one_patient_or_nothing_that_varies_has_no_interval():
    assert share_interval(np.array([3, 0]), np.array([9, 0])) is None
    assert share_interval(np.array([30, 1]), np.array([90, 1])) is None
    assert mean_interval(np.full(5, 2.0), np.full(5, 1)) is None


@pytest.mark.shared_data
def test_two_equal_models_of_which_one_patient_has_half_do_not_differ():
    from ultrasound_jax.analysis.table.mask_table import read_table

    folder = ROOT.parent / "shared/faults"
    if not folder.exists():
        pytest.skip("no shared data")
    models = {x: read_table(folder / f"equal_models_{x}.csv") for x in "ab"}
    found = compare(models, "a", replicates=200)
    for row in found["differences"]:
        assert not row["survives"] and row["ci"][0] < 0 < row["ci"][1]
