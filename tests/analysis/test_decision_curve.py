"""Net benefit, against its definition, counted example by example."""

from dataclasses import replace

import numpy as np
import pytest

from tests.analysis.simulated import CLASSES, simulate
from tests.analysis.test_multiclass import simulated as several_classes
from ultrasound_jax.analysis.document import Picture, Table
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.stats import decision_curve
from ultrasound_jax.analysis.table.judged import judge

DRAWING = {"replicates": 10, "seed": 0}


def computed(table, at=(0.1, 0.25, 0.5)):
    return decision_curve.compute(judge(table), {"acting-at": at}, DRAWING)["classes"]


@pytest.fixture(scope="module")
def table():
    return simulate(np.random.default_rng(0), 20)


def by_hand(labels, scores, threshold):
    known = ~np.isnan(labels)
    truth, acting = labels[known] == 1, scores[known] >= threshold
    odds = threshold / (1 - threshold)
    return (
        (truth & acting).mean() - (~truth & acting).mean() * odds,
        truth.mean() - (~truth).mean() * odds,
    )


def test_net_benefit_is_true_less_weighed_false_positives(table):
    for k, name in enumerate(CLASSES):
        for point in computed(table)[name]["points"]:
            scores, labels = table.scores[:, k], table.labels[:, k]
            own, on_all = by_hand(labels, scores, point["threshold"])
            assert point["net_benefit"] == pytest.approx(own)
            assert point["all"] == pytest.approx(on_all)
            assert point["gain"] == pytest.approx(own - max(on_all, 0))
            acting = scores[~np.isnan(labels)] >= point["threshold"]
            assert point["flagged"] == acting.sum()


def test_the_curve_is_that_of_its_thresholds(table):
    curve = computed(table)["b_line"]["curve"]
    for place in (0, 10, 40):
        at = curve["threshold"][place]
        own, on_all = by_hand(table.labels[:, 1], table.scores[:, 1], at)
        assert curve["net_benefit"][place] == pytest.approx(own)
        assert curve["all"][place] == pytest.approx(on_all)
        assert curve["low"][place] < own < curve["high"][place]


def test_a_score_at_the_threshold_is_acted_on():
    table = simulate(np.random.default_rng(1), 6, unknown=0.0)
    table = replace(table, scores=np.full_like(table.scores, 0.5))
    for name in CLASSES:
        points = computed(table, (0.5, 0.51))[name]["points"]
        assert [p["flagged"] for p in points] == [len(table), 0]
        assert points[0]["net_benefit"] == pytest.approx(points[0]["all"])
        assert points[1]["net_benefit"] == 0


def test_the_error_is_that_of_a_mean_with_clusters(table):
    """The sandwich of a mean: squared sums of residuals, patient by patient."""
    labels, scores = table.labels[:, 0], table.scores[:, 0]
    known = ~np.isnan(labels)
    truth, acting = labels[known] == 1, scores[known] >= 0.25
    gain = 1.0 * (truth & acting) - (~truth & acting) / 3
    groups = table.patient_index()[known]
    rest = gain - gain.mean()
    squares = [rest[groups == p].sum() ** 2 for p in sorted(set(groups.tolist()))]
    count = len(squares)
    error = np.sqrt(sum(squares) * count / (count - 1)) / len(gain)
    point = computed(table)["a_line"]["points"][1]
    low, high = point["net_benefit_ci"]
    # Student's t of about 15 effective patients.
    assert 2.0 < (high - low) / 2 / error < 2.25
    assert (low + high) / 2 == pytest.approx(gain.mean())


def test_acting_on_all_or_none_gains_nothing_over_the_better():
    table = simulate(np.random.default_rng(2), 12, unknown=0.0)
    for value, better in ((1.0, "all"), (0.0, "none")):
        same = replace(table, scores=np.full_like(table.scores, value))
        point = computed(same, (0.05 if value else 0.95,))["a_line"]["points"][0]
        assert point["better"] == better
        assert point["gain"] == 0 and point["gain_ci"] is None


def test_a_class_without_labels_has_no_curve_and_one_patient_no_interval(table):
    labels = table.labels.copy()
    labels[:, 3] = np.nan
    labels[table.patient_index() != 0, 2] = np.nan
    found = computed(replace(table, labels=labels))
    assert found["pleural_effusion"]["curve"] == {}
    assert found["pleural_effusion"]["points"] == []
    point = found["consolidation"]["points"][0]
    assert point["net_benefit"] is not None and point["net_benefit_ci"] is None


def test_every_class_of_several_is_judged_against_the_rest():
    table = several_classes()
    for k, name in enumerate(table.classes):
        point = computed(table)[name]["points"][1]
        own, on_all = by_hand(table.labels[:, k], table.scores[:, k], 0.25)
        assert (point["net_benefit"], point["all"]) == pytest.approx((own, on_all))


@pytest.mark.parametrize("wrong", [0.0, 1.0, 1.5, -0.1])
def test_thresholds_that_are_no_probabilities_are_refused(table, wrong):
    with pytest.raises(AnalysisError, match=f"of {wrong:g}; allowed are 0 < T < 1"):
        computed(table, (wrong,))


def test_a_report_shows_table_and_figure(table):
    tree = {
        decision_curve.NAME: {"classes": computed(table)},
        "level": "clip",
        "units": ["clip", "video"],
        "kind": "multilabel",
    }
    _, shown, picture = decision_curve.blocks(tree)
    assert isinstance(shown, Table) and isinstance(picture, Picture)
    assert len(shown.rows) == len(CLASSES) * 3
    assert picture.image.startswith(b"\x89PNG")
    rows = decision_curve.rows(tree)
    assert {"net_benefit", "gain", "all"} <= {row["metric"] for row in rows}


def test_intervals_end_where_no_net_benefit_can_be():
    whole = simulate(np.random.default_rng(3), 3, unknown=0.0)
    for entry in computed(whole, at=(0.2, 0.5, 0.6)).values():
        for point in entry["points"]:
            odds = point["threshold"] / (1 - point["threshold"])
            for name in ("net_benefit", "all"):
                low, high = point[f"{name}_ci"] or (0.0, 0.0)
                assert -odds - 1e-12 <= low and high <= 1
            if point["better"] == "all" and point["gain_ci"]:
                assert point["gain_ci"][0] >= -1 and point["gain_ci"][1] <= odds + 1e-12
        for low, at in zip(
            entry["curve"]["low"], entry["curve"]["threshold"], strict=True
        ):
            assert low is None or low >= -at / (1 - at) - 1e-12
