"""Prediction sets."""

import importlib.util
import json
from dataclasses import replace

import numpy as np
import pytest

from tests.analysis.simulated import join, simulate
from tests.conftest import ROOT
from ultrasound_jax.analysis.document import Table, Text
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.judge.assess import Wanted, assess
from ultrasound_jax.analysis.stats import conformal
from ultrasound_jax.analysis.stats._parts.resampling import Resampling
from ultrasound_jax.analysis.stats.conformal import (
    SETS,
    WAYS,
    conform,
    conformal_limit,
    coverage,
    holds,
    limits_of,
)
from ultrasound_jax.analysis.table.judged import judge


def test_the_limit_is_the_order_statistic_of_the_theorem():
    values = np.arange(1, 20) / 20  # n = 19
    alone = np.arange(19)
    # ceil((19 + 1) x 0.9) = 18th smallest, for single clips and for patients of one.
    for way in WAYS:
        assert conformal_limit(values, alone, way, 0.1) == values[17]
        assert conformal_limit(values, alone, way, 0.05) == values[18]
        assert conformal_limit(values, alone, way, 0.04) == np.inf


def test_ways_count_clips_patients_and_worst_clips_by_hand():
    values = np.array([0.1, 0.2, 0.3, 0.4, 0.8, 0.9])
    patient = np.array([0, 0, 0, 0, 1, 2])
    # clip: ceil(7 x 0.5) = 4th of six.
    assert conformal_limit(values, patient, "clip", 0.5) == 0.4
    # patient: weights 1/4 x 4, 1, 1 must reach 4 x 0.5 = 2.
    assert conformal_limit(values, patient, "patient", 0.5) == 0.8
    # whole_patient: worst are 0.4, 0.8, 0.9; the ceil(4 x 0.5) = 2nd.
    assert conformal_limit(values, patient, "whole_patient", 0.5) == 0.8
    assert conformal_limit(values, patient, "whole_patient", 0.25) == 0.9
    assert conformal_limit(values, patient, "whole_patient", 0.2) == np.inf


@pytest.mark.parametrize("patients", [8, 9])
def test_too_few_patients_give_sets_that_hold_both_answers(patients):
    rng = np.random.default_rng(0)
    table = join(
        simulate(rng, patients, split="validation", unknown=0), simulate(rng, 9)
    )
    tree = conform(judge(table), 0.1, replicates=20)
    assert tree["patients_needed"] == 9
    found = tree["classes"]["a_line"]["marginal"]
    useless = patients < 9
    for way in ("patient", "whole_patient"):
        assert (found[way]["limits_by_fold"]["0"][0] is None) == useless
    assert found["patient"]["useless"] == useless
    if useless:
        assert found["patient"]["both"] == 1 and found["patient"]["coverage"] == 1
        assert found["patient"]["coverage_ci"][0] < 1
    assert not found["clip"]["useless"]


def shown(tree):
    """The texts and the rows of tables of the section about sets."""
    found = conformal.blocks(tree)
    texts = [block.text for block in found if isinstance(block, Text)]
    tables = [block for block in found if isinstance(block, Table)]
    return texts, [row for table in tables for row in table.rows]


@pytest.mark.parametrize("patients", [5, 8])
def test_useless_sets_are_a_line_and_no_rows(patients):
    rng = np.random.default_rng(0)
    table = join(
        simulate(rng, patients, split="validation", unknown=0), simulate(rng, 9)
    )
    texts, rows = shown(assess(table, Wanted(replicates=200)))
    promised = {row[1] for row in rows}
    assert promised == {"clips as if independent"}
    line = next(text for text in texts if text.startswith("Useless"))
    assert f"one of a new patient's clips (all; {patients} calibration" in line
    assert "needs 9 calibration patients" in line
    assert not any("useless" in cell for row in rows for cell in row)


def test_with_enough_patients_there_is_no_such_line():
    rng = np.random.default_rng(0)
    table = join(
        simulate(rng, 60, split="validation", unknown=0), simulate(rng, 9, unknown=0)
    )
    texts, rows = shown(assess(table, Wanted(replicates=200)))
    tree = assess(table, Wanted(replicates=200))["conformal"]["classes"]
    useless = [
        entry["useless"]
        for kinds in tree.values()
        for ways in kinds.values()
        for entry in ways.values()
    ]
    assert len(rows) == len(useless) - sum(useless)
    assert any(text.startswith("Useless") for text in texts) == any(useless)


def test_an_overview_of_useless_sets_only_is_one_line():
    rng = np.random.default_rng(0)
    table = join(simulate(rng, 5, split="validation", unknown=0), simulate(rng, 9))
    tree = assess(table, Wanted(replicates=200))
    found = conformal.overview({"one": tree}, {})
    assert len(found) == 2 and isinstance(found[1], Text)
    assert "All prediction sets are useless" in found[1].text


def test_sets_and_their_coverage_by_hand():
    scores = np.array([0.05, 0.5, 0.95, 0.5])
    narrow, wide = holds(scores, (0.2, 0.2)), holds(scores, (0.6, 0.6))
    assert narrow.tolist() == [[1, 0], [0, 0], [0, 1], [0, 0]]
    assert wide.tolist() == [[1, 0], [1, 1], [0, 1], [1, 1]]
    labels = np.array([0.0, 1.0, 0.0, np.nan])
    resampling = Resampling(np.array([0, 0, 1, 1]), replicates=10)
    found = coverage(labels, wide, resampling)
    assert found["examples"] == 3 and found["patients"] == 2
    assert found["coverage"] == pytest.approx(2 / 3)
    assert found["patient_coverage"] == pytest.approx((1 + 0) / 2)
    assert found["whole_patients"] == pytest.approx(1 / 2)
    assert found["coverage_positive"] == 1 and found["coverage_negative"] == 0.5
    assert [found[name] for name in SETS] == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3])


def test_limits_by_class_look_at_one_label_only():
    labels = np.array([0, 0, 0, 1, 1, 1, np.nan])
    scores = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.99])
    patient = np.arange(7)
    own = limits_of(labels, scores, patient, way="clip", kind="by_class", alpha=0.25)
    assert own == pytest.approx((0.3, 0.6))
    both = limits_of(labels, scores, patient, way="clip", kind="marginal", alpha=0.25)
    assert both == pytest.approx((0.6, 0.6))


def test_what_is_not_known_is_refused():
    values = np.zeros(3)
    with pytest.raises(AnalysisError, match="way 'video'"):
        conformal_limit(values, np.arange(3), "video")
    with pytest.raises(AnalysisError, match="alpha 1.0"):
        conformal_limit(values, np.arange(3), "clip", 1.0)
    with pytest.raises(AnalysisError, match="kind 'odd'"):
        limits_of(values, values, np.arange(3), way="clip", kind="odd")


def test_without_rows_to_calibrate_on_there_are_no_sets():
    table = simulate(np.random.default_rng(0), 5)
    assert conform(judge(table), replicates=10)["classes"] == {}


def test_in_cross_validation_each_fold_has_limits_of_the_others():
    rng = np.random.default_rng(1)
    table = join(*(simulate(rng, 8, split="validation", fold=f) for f in range(3)))
    found = conform(judge(table), replicates=10)["classes"]["a_line"]
    assert len(found["marginal"]["patient"]["limits_by_fold"]) == 3
    assert found["marginal"]["patient"]["calibration_patients"] >= 12


def clustered(rng, patients, clips):
    """Clips whose scores lean by patient, and patients of very unequal size."""
    counts = rng.choice(clips, patients)
    patient = np.repeat(np.arange(patients), counts)
    truth = (rng.random(len(patient)) < 0.5).astype(float)
    lean = rng.normal(size=patients)[patient] * (1 + (counts > 5))[patient]
    logits = 2 * truth - 1 + lean + 0.3 * rng.normal(size=len(patient))
    return truth, 1 / (1 + np.exp(-logits)), patient


def test_promises_to_patients_hold_in_simulation_and_the_plain_way_breaks_its():
    rng = np.random.default_rng(7)
    repeats, alpha, clip_of_patient = 1500, 0.2, dict.fromkeys(WAYS, 0.0)
    whole = dict.fromkeys(WAYS, 0.0)
    for _ in range(repeats):
        labels, scores, patient = clustered(rng, 13, (1, 20))
        calibration, new = patient < 12, patient == 12
        for way in WAYS:
            limits = limits_of(
                labels[calibration],
                scores[calibration],
                patient[calibration],
                way=way,
                kind="marginal",
                alpha=alpha,
            )
            sets = holds(scores[new], limits)
            inside = np.where(labels[new] == 1, sets[:, 1], sets[:, 0])
            clip_of_patient[way] += inside.mean() / repeats
            whole[way] += inside.all() / repeats
    # Two standard deviations of a mean of 1500 shares are at most 0.026.
    assert 1 - alpha - 0.026 <= clip_of_patient["patient"] <= 1 - alpha + 0.10
    assert 1 - alpha - 0.026 <= whole["whole_patient"] <= 1 - alpha + 1 / 13 + 0.026
    assert whole["clip"] < 1 - alpha - 0.05


def test_the_interval_widens_where_patients_differ():
    table = simulate(np.random.default_rng(3), 12, unknown=0)
    resampling = Resampling(table.patient_index(), replicates=300)
    same = np.zeros((len(table), 2), bool)
    same[:, 0] = True
    found = coverage(np.zeros(len(table)), same, resampling)
    assert found["coverage"] == 1 and found["coverage_ci"] == pytest.approx(
        [0.025 ** (1 / 12), 1]
    )
    labels = (table.patient_index() % 2).astype(float)
    found = coverage(labels, same, resampling)
    low, high = found["coverage_ci"]
    assert high - low > 0.3


def test_replaced_scores_change_the_sets():
    rng = np.random.default_rng(5)
    table = join(simulate(rng, 12, split="validation"), simulate(rng, 12))
    sure = replace(table, scores=np.where(table.labels == 1, 0.99, 0.01))
    found = conform(judge(sure), replicates=10)["classes"]["a_line"]["marginal"]
    assert found["patient"]["both"] == 0 and found["patient"]["coverage"] == 1


@pytest.fixture(scope="module")
def experiment():
    path = ROOT / "experiments/conformal_coverage.py"
    spec = importlib.util.spec_from_file_location("conformal_coverage", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_shows_the_committed_simulation(experiment):
    tree = json.loads(experiment.RESULTS.read_text())
    page = experiment.PAGE.read_text()
    assert page == experiment.with_table(page, experiment.table(tree["rows"]))
    assert len(tree["rows"]) == len(experiment.KINDS) * len(experiment.PATIENTS)


def test_the_committed_simulation_kept_the_promises(experiment):
    tree = json.loads(experiment.RESULTS.read_text())
    for row in tree["rows"]:
        # Three standard deviations of a mean over so many studies, at most.
        slack = 3 * 0.5 / np.sqrt(tree["repeats"])
        assert row["patient"]["clip"] >= 1 - tree["alpha"] - slack
        assert row["whole_patient"]["whole_patient"] >= 1 - tree["alpha"] - slack


def test_a_smaller_simulation_agrees_with_the_committed_one(experiment):
    tree = json.loads(experiment.RESULTS.read_text())
    row = next(r for r in tree["rows"] if r["patients"] == 9)
    again = experiment.simulate(9, row["kind"], 60)
    for way in WAYS:
        for what in ("clip", "whole_patient"):
            assert again[way][what] == pytest.approx(row[way][what], abs=0.1)
