"""One number has one interval, whatever seeds, replicates and names do."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from tests.analysis.simulated import join, simulate
from tests.analysis.test_multiclass import simulated as several_classes
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
    mean_share_interval,
    share_interval,
)
from ultrasound_jax.analysis.stats._parts.spread import of_ratios
from ultrasound_jax.analysis.table.predictions import Predictions


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


def numbers_with_an_interval(tree):
    """The names of all numbers of a tree that have an interval beside them."""
    if isinstance(tree, list):
        return {name for one in tree for name in numbers_with_an_interval(one)}
    if not isinstance(tree, dict):
        return set()
    own = {key.removesuffix("_ci") for key in tree if key.endswith("_ci")}
    return own.union(*(numbers_with_an_interval(one) for one in tree.values()))


def test_every_interval_has_its_method_named(table):
    several = several_classes()
    found = [assess(table, Wanted(replicates=200))]
    found.append(assess(several, Wanted(replicates=200)))
    names = {name.removeprefix("macro_") for name in numbers_with_an_interval(found)}
    assert {"net_benefit", "ppv", "lr_negative", "kappa", "whole_patients"} <= names
    assert names - set(METHOD_OF) == set()


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
    found = [share_interval(hits, np.full(9, 12)) for hits in (whole, missed)]
    low = [ends[0] for ends in found if ends is not None]
    assert low[0] == pytest.approx(low[1], abs=0.1)


def test_the_mean_over_classes_is_not_less_sure_than_its_classes_are():
    rng = np.random.default_rng(5)
    trials = rng.integers(1, 9, (4, 12))
    hits = rng.binomial(trials, 0.75)
    whole = mean_share_interval(hits, trials)
    alone = [share_interval(*each) for each in zip(hits, trials, strict=True)]
    assert whole is not None and None not in alone
    widths = [ends[1] - ends[0] for ends in alone if ends is not None]
    assert whole[1] - whole[0] < min(widths)
    # One class of two patients does not make the other three unknown.
    trials[0] = [9, 9] + [0] * 10
    hits[0] = [8, 7] + [0] * 10
    found = mean_share_interval(hits, trials)
    assert found is not None and 0.3 < found[0] < found[1] < 0.97
    one = mean_share_interval(hits[1:2], trials[1:2])
    assert one == pytest.approx(share_interval(hits[1], trials[1]))


def test_a_mean_over_classes_holds_the_truth_whether_they_err_together_or_not():
    rng = np.random.default_rng(6)
    truth, repeats = 0.8, 400
    for shared in (0.0, 1.0):
        sizes = rng.integers(1, 7, (repeats, 4, 9))
        errs = np.sqrt(shared) * rng.normal(size=(repeats, 1, 9))
        errs = errs + np.sqrt(1 - shared) * rng.normal(size=(repeats, 4, 9))
        chance = norm.sf((norm.isf(truth) - np.sqrt(0.5) * errs) / np.sqrt(0.5))
        low, high = of_ratios(rng.binomial(sizes, chance), sizes).bounded()
        assert 0.935 < np.mean((low <= truth) & (truth <= high)) < 1
        assert np.mean(high - low) < 0.45


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
    read = {x: read_table(folder / f"equal_models_{x}.csv") for x in "ab"}
    models = {x: table for x, table in read.items() if isinstance(table, Predictions)}
    found = compare(models, "a", replicates=200)
    for row in found["differences"]:
        assert not row["survives"] and row["ci"][0] < 0 < row["ci"][1]
