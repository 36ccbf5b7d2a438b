"""The bootstrap over patients, against a naive one and in simulation."""

import time

import numpy as np
import pytest
from sklearn import metrics as reference

from tests.analysis.simulated import simulate
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.stats._parts import bootstrap, ranking
from ultrasound_jax.analysis.stats._parts.metrics import (
    METRICS,
    measure,
)
from ultrasound_jax.analysis.table.judged import decide


def naive(labels, scores, decided, patient, counts) -> dict[str, float]:
    """One replicate of one class on rows that are really repeated."""
    rows = np.concatenate(
        [np.flatnonzero(patient == p) for p, c in enumerate(counts) for _ in range(c)]
    )
    rows = rows[~np.isnan(labels[rows])]
    truth, marks, hard = labels[rows], scores[rows], decided[rows]
    if len(set(truth)) < 2:
        return {"auroc": np.nan, "average_precision": np.nan}
    return {
        "auroc": float(reference.roc_auc_score(truth, marks)),
        "average_precision": float(reference.average_precision_score(truth, marks)),
        "f1": float(reference.f1_score(truth, hard)),
        "sensitivity": float(reference.recall_score(truth, hard)),
        "specificity": float(reference.recall_score(truth, hard, pos_label=0)),
    }


def test_every_replicate_equals_scikit_learn_on_repeated_rows():
    table = simulate(np.random.default_rng(0), 8)
    scores = np.round(table.scores, 1)  # ties across patients
    decisions = decide(scores, [0.4, 0.5, 0.6, 0.5])
    patient = table.patient_index()
    drawn = bootstrap.draw_patients(8, replicates=40, seed=1)
    found = bootstrap.replicate(table.labels, scores, decisions, patient, drawn)
    for r, counts in enumerate(drawn):
        for k in range(4):
            expected = naive(
                table.labels[:, k], scores[:, k], decisions[:, k], patient, counts
            )
            for name, value in expected.items():
                np.testing.assert_allclose(found[name][r, k], value, atol=1e-12)


def test_replicates_do_not_depend_on_how_they_are_cut_into_chunks(monkeypatch):
    table = simulate(np.random.default_rng(1), 8)
    case = (table.labels, table.scores, decide(table.scores, [0.5] * 4))
    drawn = bootstrap.draw_patients(8, replicates=50)
    whole = bootstrap.replicate(*case, table.patient_index(), drawn)
    monkeypatch.setattr(ranking, "_COLUMNS", 7)
    monkeypatch.setattr(ranking, "_CELLS", 21)  # three steps at a time
    cut = bootstrap.replicate(*case, table.patient_index(), drawn)
    for name in METRICS:
        np.testing.assert_allclose(whole[name], cut[name], atol=1e-12)


def test_scores_are_sorted_once_for_all_replicates(monkeypatch):
    table = simulate(np.random.default_rng(1), 8)
    case = (table.labels, table.scores, decide(table.scores, [0.5] * 4))
    sorted_rows, sorts = ranking.sorted_rows, []
    monkeypatch.setattr(
        ranking, "sorted_rows", lambda *a: sorts.append(1) or sorted_rows(*a)
    )
    drawn = bootstrap.draw_patients(8, replicates=500)
    bootstrap.replicate(*case, table.patient_index(), drawn)
    assert len(sorts) == len(table.classes)


def test_each_replicate_draws_as_many_patients_as_there_are():
    drawn = bootstrap.draw_patients(9, replicates=500, seed=3)
    assert drawn.shape == (500, 9) and (drawn.sum(axis=1) == 9).all()
    assert (drawn == bootstrap.draw_patients(9, replicates=500, seed=3)).all()
    assert (drawn != bootstrap.draw_patients(9, replicates=500, seed=4)).any()
    with pytest.raises(AnalysisError, match="from 0 patients"):
        bootstrap.draw_patients(0)


def test_replicates_without_positives_are_left_out_and_counted():
    labels = np.array([[1.0], [1.0], [0.0], [0.0]])
    scores = np.array([[0.9], [0.6], [0.7], [0.1]])
    patient = np.array([0, 1, 2, 3])
    drawn = np.array([[1, 1, 1, 1], [0, 0, 2, 2], [2, 2, 0, 0], [0, 4, 4, 0]])
    found = bootstrap.replicate(labels, scores, scores, patient, drawn)
    np.testing.assert_array_equal(found["auroc"][:, 0], [0.75, np.nan, np.nan, 0.0])
    interval = bootstrap.interval(found["auroc"][:, 0])
    assert interval is not None and interval.left_out == 2
    assert bootstrap.interval(np.full(5, np.nan)) is None


def test_an_interval_is_the_middle_95_percent():
    interval = bootstrap.interval(np.linspace(0, 1, 1001))
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((0.025, 0.975))


def test_positives_of_a_single_patient_allow_an_interval_of_specificity_only():
    labels = np.array([[1.0], [1.0], [0.0], [0.0]])
    found = bootstrap.estimable(labels, np.array([0, 0, 1, 2]))
    assert {m: bool(v[0]) for m, v in found.items()} == {
        "auroc": False,
        "average_precision": False,
        "f1": False,
        "sensitivity": False,
        "specificity": True,
    }


def test_more_clips_of_the_same_patients_do_not_narrow_the_interval():
    rng = np.random.default_rng(5)
    truth = np.repeat([1.0, 0.0], 10)
    scores = rng.random(20)
    widths = []
    for copies in (1, 20):
        labels = np.repeat(truth, copies)[:, None]
        marks = np.repeat(scores, copies)[:, None]
        patient = np.repeat(np.arange(20), copies)
        drawn = bootstrap.draw_patients(20, replicates=500)
        found = bootstrap.replicate(labels, marks, marks, patient, drawn)
        interval = bootstrap.interval(found["auroc"][:, 0])
        assert interval is not None
        widths.append(interval.high - interval.low)
    assert widths[0] == pytest.approx(widths[1])


def test_two_thousand_replicates_of_two_thousand_clips_take_seconds():
    rng = np.random.default_rng(6)
    labels = (rng.random((2000, 4)) < 0.3).astype(float)
    scores = rng.random((2000, 4))
    patient = rng.integers(0, 35, 2000)
    start = time.process_time()
    found = bootstrap.replicate(
        labels, scores, decide(scores, [0.5] * 4), patient, bootstrap.draw_patients(35)
    )
    # 0.4 s on a quiet core; the limit leaves room for a crowded one.
    assert time.process_time() - start < 4
    assert all(found[m].shape == (2000, 4) for m in METRICS)


def draw_study(rng, patients: int, clips: int = 12):
    """Patients differ in how often they are positive and in how high they score."""
    patient = np.repeat(np.arange(patients), clips)
    tendency = rng.normal(size=patients)[patient] - 0.5
    shift = 0.7 * rng.normal(size=patients)[patient]
    labels = (rng.random(len(patient)) < 1 / (1 + np.exp(-tendency))).astype(float)
    logits = 1.2 * labels + shift + rng.normal(size=len(patient))
    scores = 1 / (1 + np.exp(-logits))
    return labels[:, None], scores[:, None], decide(scores[:, None], [0.6]), patient


@pytest.mark.slow
@pytest.mark.parametrize(("patients", "least"), [(7, 0.82), (40, 0.91)])
def test_intervals_hold_the_true_value_about_as_often_as_they_claim(patients, least):
    rng = np.random.default_rng(7)
    labels, scores, decisions, _ = draw_study(rng, 20000)
    true = {m: v[0, 0] for m, v in measure(labels, scores, decisions).items()}
    held = dict.fromkeys(METRICS, 0)
    repeats = 1000
    for seed in range(repeats):
        case = draw_study(rng, patients)
        drawn = bootstrap.draw_patients(patients, replicates=400, seed=seed)
        found = bootstrap.replicate(*case, drawn)
        for metric in METRICS:
            interval = bootstrap.interval(found[metric][:, 0])
            assert interval is not None
            held[metric] += interval.low <= true[metric] <= interval.high
    for metric in METRICS:  # the standard error of a share is below 0.013
        assert least <= held[metric] / repeats <= 0.98, metric


def test_a_negative_seed_is_refused():
    with pytest.raises(AnalysisError, match="seed -1; allowed are 0 and above"):
        bootstrap.draw_patients(3, replicates=2, seed=-1)
