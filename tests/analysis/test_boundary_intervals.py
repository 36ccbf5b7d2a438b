"""Intervals where no replicate differs: perfect separation and shares of 0 and 1."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tests.analysis.simulated import CLASSES, join, simulate
from ultrasound_jax.analysis.judge.comparison import (
    MACRO,
    compare,
)
from ultrasound_jax.analysis.judge.run import judge_table
from ultrasound_jax.analysis.stats._parts import boundary_intervals
from ultrasound_jax.analysis.stats._parts.intervals import (
    auroc_interval,
    share_interval,
)
from ultrasound_jax.analysis.stats._parts.metrics import auroc
from ultrasound_jax.analysis.stats._parts.resampling import estimate


@pytest.fixture(scope="module")
def perfect():
    """A study whose scores say the truth, with a little noise."""
    rng = np.random.default_rng(0)
    table = join(simulate(rng, 10, split="validation"), simulate(rng, 12))
    noise = 0.1 * rng.random(table.scores.shape)
    return replace(table, scores=0.1 + 0.7 * np.nan_to_num(table.labels) + noise)


@pytest.fixture(scope="module")
def judged(perfect):
    return judge_table(perfect, replicates=200)["test"]["clip"]


def sides(table, k):
    patient = table.patient_index()
    return [len(set(patient[table.labels[:, k] == side].tolist())) for side in (1, 0)]


def test_perfect_separation_has_an_interval_that_few_patients_can_bear(judged):
    for name in CLASSES:
        entry = judged["classes"][name]
        low, high = entry["auroc_ci"]
        assert entry["auroc"] == high == 1
        # At least what as many trials without a failure say, and no promise.
        assert 0.025 ** (1 / entry["effective_patients"]) <= low < 0.9
    assert judged["macro_auroc_ci"][0] < 0.9 and judged["macro_auroc_ci"][1] == 1


def test_an_auroc_a_hair_below_1_has_no_much_shorter_interval(perfect):
    test = perfect.of_split("test")
    scores, labels = test.scores.copy(), test.labels[:, 0]
    lowest = np.flatnonzero(labels == 1)[0]
    scores[lowest, 0] = np.sort(scores[labels == 0, 0])[-1] - 1e-6  # one pair
    patient = test.patient_index()
    low = [auroc_interval(labels, s[:, 0], patient)[0] for s in (test.scores, scores)]
    assert 0.99 < auroc(labels, scores[:, 0]) < 1
    assert 1 - low[1] > 0.6 * (1 - low[0])


def test_shares_without_a_failure_are_not_surer_than_patients_allow(perfect, judged):
    present, absent = sides(perfect.of_split("test"), 0)
    entry = judged["classes"][CLASSES[0]]
    for name, count in (("sensitivity", present), ("specificity", absent)):
        low, high = entry[f"{name}_ci"]
        assert high == 1 and 0.5 * 0.025 ** (1 / count) < low < 0.93
    exact = 0.025 ** (1 / present)
    assert entry["f1"] == 1 and entry["f1_ci"] == pytest.approx(
        [2 * exact / (1 + exact), 1]
    )
    # With one clip a patient it is the exact one.
    assert share_interval(np.ones(9), np.ones(9)) == pytest.approx(
        [0.025 ** (1 / 9), 1]
    )


def test_average_precision_of_perfect_separation_has_no_interval(judged):
    entry = judged["classes"][CLASSES[0]]
    assert entry["average_precision"] == 1 and entry["average_precision_ci"] is None
    assert judged["macro_average_precision_ci"] is None


def test_the_reverse_of_perfect_separation_is_treated_alike(perfect, judged):
    turned = replace(perfect, scores=1 - perfect.scores)
    tree = judge_table(turned, replicates=200)["test"]["clip"]["classes"][CLASSES[0]]
    low, high = judged["classes"][CLASSES[0]]["auroc_ci"]
    assert tree["auroc"] == 0 and tree["auroc_ci"] == pytest.approx([1 - high, 1 - low])


def test_a_comparison_says_the_same_and_promises_nothing_of_equal_models(
    perfect, judged
):
    found = compare({"a": perfect, "b": perfect}, "a", replicates=200)
    for name in CLASSES:
        entry = found["aurocs"]["a"][name]
        assert entry["ci"] == pytest.approx(judged["classes"][name]["auroc_ci"])
        assert entry["delong_ci"] is None and entry["clustered_ci"] == entry["ci"]
    assert found["aurocs"]["b"][MACRO]["ci"] == pytest.approx(judged["macro_auroc_ci"])
    row = found["differences"][0]
    reach = 1 - judged["classes"][CLASSES[0]]["auroc_ci"][0]
    assert row["difference"] == 0 and row["ci"] == pytest.approx([-reach, reach])


@pytest.mark.parametrize(
    ("counts", "expected"),
    [((5, 9, 14), 5), ((9, 5, 14), 5), ((6, 6, 6), 3), ((2, 2, 2), 1), ((4, 7, 9), 4)],
)
def test_pairs_share_no_patient(counts, expected):
    assert boundary_intervals.pairs(*counts) == expected


def one(value, samples, count, kind="share"):
    column = np.asarray(samples, float)[:, None]
    return boundary_intervals.interval(
        np.array([value]), column, np.array([count]), kind
    )


def test_an_interval_is_exact_at_an_edge_only():
    ones = np.ones(30)
    assert one(1.0, ones, 3) == pytest.approx([0.025 ** (1 / 3), 1])
    assert one(1.0, np.append(ones, np.nan), 3) is not None
    assert one(1.0, np.append(ones, 0.5), 3) == pytest.approx([0.875, 1])
    assert one(0.5, ones / 2, 3) == [0.5, 0.5]
    assert one(1.0, np.full(3, np.nan), 3) is None
    assert one(1.0, ones, 0) is None
    assert one(1.0, ones, 3, "none") is None


def test_a_class_at_an_edge_lengthens_the_interval_of_the_mean_by_its_share():
    varied = np.linspace(0.4, 0.6, 1001)
    samples = np.stack([varied, np.ones(1001), np.ones(1001), np.zeros(1001)], axis=1)
    values, counts = np.array([0.5, 1, 1, 0]), np.array([9, 4, 7, 5])
    low, high = boundary_intervals.interval(values, samples, counts)
    below, above = 1 - 0.025 ** (1 / 4), 1 - 0.025 ** (1 / 5)
    assert low == pytest.approx((0.405 + 2 - 2 * below) / 4)
    assert high == pytest.approx((0.595 + 2 + above) / 4)


def test_other_numbers_that_never_vary_have_no_interval():
    for kind in ("mean", "noise"):
        assert estimate("x", np.ones(9), patients=5, kind=kind)["x_ci"] is None


def test_the_interval_misses_an_auroc_below_it_in_one_study_of_forty_at_most():
    # The truth is the interval's lower end: perfect separation, which alone leaves the
    # truth out, must then happen in 2.5 % of studies or fewer.
    rng, patients, clips, misses, repeats = np.random.default_rng(0), 5, 6, 0, 4000
    low = boundary_intervals.exact_interval(1.0, patients)[0]
    shift = np.sqrt(2) * stats.norm.ppf(low)
    labels = np.repeat([1, 0], patients * clips)
    for share in (1.0, 0.5):  # of the variance that is the patient's
        own = rng.normal(size=(repeats, 2 * patients)).repeat(clips, axis=1)
        rest = rng.normal(size=(repeats, len(labels)))
        scores = shift * labels + np.sqrt(share) * own + np.sqrt(1 - share) * rest
        misses = np.mean([auroc(labels, row) == 1 for row in scores])
        # Three standard errors of a share of 4,000.
        assert misses <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / repeats)
