"""Predictive values and likelihood ratios, against formulas and a simulation."""

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.analysis.simulated import CLASSES, join, simulate
from tests.analysis.test_multiclass import simulated as several_classes
from ultrasound_jax.analysis.document import Table
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.stats import predictive_values
from ultrasound_jax.analysis.stats._parts.two_rates import two_rates
from ultrasound_jax.analysis.table.judged import judge

DRAWING = {"replicates": 10, "seed": 0}


def computed(table, *words):
    options = {"prevalence": words}
    return predictive_values.compute(judge(table), options, DRAWING)["classes"]


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    return join(simulate(rng, 20, split="validation"), simulate(rng, 20))


def test_values_follow_from_both_rates_by_bayes_rule(table):
    for entry in computed(table, "0.1").values():
        sensitivity = entry["hits"] / (entry["hits"] + entry["misses"])
        specificity = entry["quiet"] / (entry["quiet"] + entry["alarms"])
        called = 0.1 * sensitivity + 0.9 * (1 - specificity)
        assert entry["ppv"] == pytest.approx(0.1 * sensitivity / called)
        assert entry["npv"] == pytest.approx(0.9 * specificity / (1 - called))
        ratio = sensitivity / (1 - specificity)
        assert entry["lr_positive"] == pytest.approx(ratio)
        assert entry["lr_negative"] == pytest.approx((1 - sensitivity) / specificity)
        for name in ("ppv", "npv", "lr_positive", "lr_negative"):
            low, high = entry[f"{name}_ci"]
            assert low < entry[name] < high


def test_at_the_tables_own_prevalence_they_are_the_shares_of_the_table(table):
    for entry in computed(table).values():
        assert entry["prevalence_from"] == "of this table"
        called = entry["hits"] + entry["alarms"]
        assert entry["ppv"] == pytest.approx(entry["hits"] / called)
        rest = entry["quiet"] + entry["misses"]
        assert entry["npv"] == pytest.approx(entry["quiet"] / rest)


def test_a_prevalence_is_of_all_classes_or_of_those_named(table):
    found = computed(table, "b_line=0.2", "a_line=0.5")
    stated = {name: entry["prevalence_from"] for name, entry in found.items()}
    assert stated["a_line"] == stated["b_line"] == "stated"
    assert stated["consolidation"] == "of this table"
    assert found["b_line"]["prevalence"] == 0.2
    everywhere = computed(table, "0.3")
    assert all(entry["prevalence"] == 0.3 for entry in everywhere.values())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("0",), "prevalence '0'; allowed are P or CLASS=P with 0 < P < 1"),
        (("a_line=often",), "prevalence 'a_line=often'; allowed"),
        (("nan",), "prevalence 'nan'; allowed"),
        (("c_line=0.1",), "'c_line': no such class; there are: a_line, b_line"),
        (("0.1", "a_line=0.2"), "prevalence of a_line is stated twice"),
    ],
)
def test_prevalences_that_make_no_sense_are_refused(table, words, message):
    with pytest.raises(AnalysisError, match=message):
        computed(table, *words)


def test_independent_examples_give_the_interval_of_simel():
    """One example a patient: the delta method of the paper, with Student's t."""
    hits, misses, quiet, alarms = 45, 15, 80, 20
    cells = [np.zeros(160) for _ in range(4)]
    starts = np.cumsum([0, hits, misses, quiet, alarms])
    for cell, start, end in zip(cells, starts[:-1], starts[1:], strict=True):
        cell[start:end] = 1
    found = two_rates(cells[0], cells[0] + cells[1], cells[2], cells[2] + cells[3])
    value, ends = found.likelihood_ratio(True)
    assert value == pytest.approx(0.75 / 0.2) and ends is not None
    error = math.sqrt(0.25 / (0.75 * 60) + 0.8 / (0.2 * 100))
    # t of 59 for 1.96, and half an example of either kind added: 3 % wider.
    reach = math.log(ends[1] / ends[0]) / 2
    assert reach == pytest.approx(1.96 * error, rel=0.06) and reach > 1.96 * error
    value, _ = found.predictive_value(True, 0.1)
    assert value == pytest.approx(0.075 / (0.075 + 0.18))


def test_a_patients_part_in_both_rates_counts():
    """A patient whose errors are of both kinds makes the rates vary together."""
    rng = np.random.default_rng(3)
    good = rng.random(40)
    hits, quiet = np.round(10 * good), np.round(10 * good)
    ten = np.full(40, 10.0)
    together = two_rates(hits, ten, quiet, ten)
    apart = two_rates(hits, ten, quiet[rng.permutation(40)], ten)
    widths = []
    for found in (together, apart):
        _, ends = found.likelihood_ratio(True)
        assert ends is not None
        widths.append(math.log(ends[1] / ends[0]))
    assert widths[0] > 1.2 * widths[1]


def test_perfect_rates_have_values_with_one_end_inside():
    ones = np.ones(20)
    found = two_rates(ones, ones, ones, ones)
    assert found.likelihood_ratio(True) == (None, None)  # infinite
    value, ends = found.likelihood_ratio(False)
    assert value == 0 and ends is not None and 0 == ends[0] < ends[1] < 0.3
    value, ends = found.predictive_value(True, 0.2)
    assert value == 1 and ends is not None and 0.3 < ends[0] < ends[1] == 1
    nothing = two_rates(0 * ones, ones, ones, ones)
    assert nothing.predictive_value(True, 0.2) == (None, None)


def test_one_patient_on_a_side_and_a_side_without_any():
    one, rest = np.array([1.0, 0, 0]), np.array([1.0, 1, 1])
    found = two_rates(one, one, rest, rest)
    assert found.predictive_value(True, 0.5) == (1.0, None)
    assert two_rates(0 * one, 0 * one, rest, rest).sensitivity is None


def test_intervals_hold_the_truth_in_most_studies():
    """Patients of 1 to 12 clips who are easy or hard; the truth from 40,000 of them."""
    rng = np.random.default_rng(0)

    def draw(patients):
        clips = rng.integers(1, 13, size=patients)
        easy = rng.normal(size=patients)
        positives = rng.binomial(clips, rng.beta(1, 2, size=patients))
        negatives = clips - positives
        right = 1 / (1 + np.exp(-1.0 - 0.8 * easy))
        hits = rng.binomial(positives, right)
        quiet = rng.binomial(negatives, right)
        return [x.astype(float) for x in (hits, positives, quiet, negatives)]

    whole = two_rates(*draw(40_000))
    truth = [whole.predictive_value(side, 0.2)[0] or 0.0 for side in (True, False)]
    repeats, held = 600, np.zeros(2)
    for _ in range(repeats):
        found = two_rates(*draw(25))
        for place, side in enumerate((True, False)):
            _, ends = found.predictive_value(side, 0.2)
            assert ends is not None
            held[place] += ends[0] <= truth[place] <= ends[1]
    # Cautious, as the rarer side alone gives the freedom; 600 studies know 95 % to 1.8
    # (two standard errors).
    assert (held / repeats > 0.93).all() and (held / repeats < 0.99).all()


def test_intervals_hold_the_truth_of_nine_patients_and_rates_near_1():
    rng = np.random.default_rng(4)
    sensitivity, specificity, repeats = 0.8, 0.98, 300
    truth = 0.1 * sensitivity / (0.1 * sensitivity + 0.9 * (1 - specificity))
    held, ratios = [], []
    for _ in range(repeats):
        positives, negatives = rng.poisson(3, 9), rng.poisson(5, 9)
        hits = rng.binomial(positives, sensitivity)
        quiet = rng.binomial(negatives, specificity)
        cells = (x.astype(float) for x in (hits, positives, quiet, negatives))
        found = two_rates(*cells)
        _, ends = found.predictive_value(True, 0.1)
        assert ends is not None
        held.append(ends[0] <= truth <= ends[1])
        value, ends = found.likelihood_ratio(True)
        if value is not None:  # not infinite
            assert ends is not None
            ratios.append(ends[0] <= sensitivity / (1 - specificity) <= ends[1])
    assert np.mean(held) > 0.93 and np.mean(ratios) > 0.9


def test_without_decisions_nothing_but_the_prevalence_is_told(table):
    alone = table.of_split("test")
    entry = computed(alone, "0.2")["a_line"]
    assert entry["prevalence"] == 0.2
    assert entry["ppv"] is None and entry["hits"] is None


def test_a_class_without_positives_has_neither(table):
    labels = table.labels.copy()
    test = np.array([split == "test" for split in table.split])
    labels[test, 0] = 0.0
    entry = computed(replace(table, labels=labels))["a_line"]
    assert entry["prevalence"] == 0 and entry["npv"] is None
    assert entry["lr_positive"] is None


def test_decisions_of_several_classes_are_by_the_highest_score():
    table = several_classes()
    decided = table.scores.argmax(axis=1)
    for k, name in enumerate(table.classes):
        entry = computed(table, "0.1")[name]
        assert entry["hits"] == ((decided == k) & (table.labels[:, k] == 1)).sum()


def test_a_report_says_whose_prevalence_it_is(table):
    tree = {
        predictive_values.NAME: {"classes": computed(table, "a_line=0.25")},
        "level": "clip",
        "units": ["clip", "video"],
        "kind": "multilabel",
        "decision": "threshold",
        "thresholds_from": "validation",
        "optimistic": False,
    }
    _, shown = predictive_values.blocks(tree)
    assert isinstance(shown, Table)
    assert shown.rows[0][1] == "0.250, stated"
    assert shown.rows[1][1].endswith("of this table")
    assert "--prevalence" in shown.caption
    assert len(shown.rows) == len(CLASSES)
