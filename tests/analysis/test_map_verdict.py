"""When maps are called better than chance, and when not."""

import numpy as np
import pytest

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.judge.map_agreement import MEASURES, NULLS
from ultrasound_jax.analysis.judge.map_verdict import JUDGED, judge_maps
from ultrasound_jax.analysis.report.html import to_html
from ultrasound_jax.analysis.report.map_section import class_section, map_sections
from ultrasound_jax.analysis.report.markdown import to_markdown
from ultrasound_jax.analysis.stats._parts.multiplicity import holm

PATIENTS, EACH = 30, 2
PATIENT = np.repeat(np.arange(PATIENTS), EACH)


def drawn(level, seed=0, spread=0.1):
    """Numbers of each image, alike within a patient."""
    rng = np.random.default_rng(seed)
    own = rng.normal(level, spread, (PATIENTS, 1, len(MEASURES)))
    own = own + rng.normal(0, 0.02, (PATIENTS, EACH, len(MEASURES)))
    return np.clip(own.reshape(-1, len(MEASURES)), 0, 1)


def nulls(level=0.2, **others):
    given = {name: drawn(level, seed=k) for k, name in enumerate(NULLS, start=1)}
    return given | others


def test_maps_that_beat_every_null_are_better_than_chance():
    tree = judge_maps(drawn(0.6), nulls(), PATIENT)
    assert tree["better"] and tree["verdict"].startswith("The maps are better than")
    assert len(tree["tests"]) == len(JUDGED) * len(NULLS)
    assert tree["n"]["examples"] == 60 and tree["n"]["patients"] == PATIENTS
    for entry in tree["measures"].values():
        assert entry["mean_ci"][0] < entry["mean"] < entry["mean_ci"][1]


@pytest.mark.parametrize("null", NULLS)
def test_a_single_null_that_is_not_beaten_is_named_and_decides(null):
    own = drawn(0.6)
    tree = judge_maps(own, nulls(**{null: own.copy()}), PATIENT)
    assert not tree["better"]
    assert tree["verdict"].startswith("The maps are no better than chance")
    beaten = {test["null"]: test["beats"] for test in tree["tests"]}
    assert [name for name in NULLS if not beaten[name]] == [null]


def test_maps_that_are_surely_worse_than_a_null_do_not_beat_it():
    tree = judge_maps(drawn(0.2), nulls(0.7), PATIENT)
    assert all(test["holm_p"] < 0.001 for test in tree["tests"])
    assert not any(test["beats"] for test in tree["tests"])


def test_all_tests_are_one_family():
    tree = judge_maps(drawn(0.24), nulls(), PATIENT)
    p_values = np.array([test["p"] for test in tree["tests"]])
    found = [test["holm_p"] for test in tree["tests"]]
    np.testing.assert_allclose(found, holm(p_values))


def test_a_hit_in_every_patient_is_tested_by_their_signs():
    """Nothing varies, which no standard error can be made of."""
    own = np.ones((60, len(MEASURES)))
    zero = {name: np.zeros_like(own) for name in NULLS}
    tree = judge_maps(own, zero, PATIENT)
    assert {test["p"] for test in tree["tests"]} == {2.0 ** (1 - PATIENTS)}
    assert tree["better"]
    few = PATIENT < 4
    tree = judge_maps(own[few], {n: v[few] for n, v in zero.items()}, PATIENT[few])
    assert {test["beats"] for test in tree["tests"]} == {None}
    assert "too few" in tree["tests"][0]["reason"] and not tree["better"]


def test_images_of_one_patient_count_as_one_patient():
    many = np.zeros(60, int)
    many[:4] = 1, 2, 3, 4  # one patient has nearly all
    tree = judge_maps(drawn(0.6), nulls(), many)
    assert not tree["better"] and "not tested" in tree["verdict"]


def test_without_an_image_nothing_is_judged():
    empty = np.zeros((0, len(MEASURES)))
    with pytest.raises(AnalysisError, match="no image with a region"):
        judge_maps(empty, dict.fromkeys(NULLS, empty), np.zeros(0, int))


def test_chance_is_called_better_in_few_of_many_studies():
    """Maps and nulls of one kind: the family's error is at most 5 % (of 200)."""
    found = 0
    for study in range(200):
        own = drawn(0.3, seed=1000 + study)
        same = {n: drawn(0.3, seed=9000 + 7 * study + k) for k, n in enumerate(NULLS)}
        found += any(test["beats"] for test in judge_maps(own, same, PATIENT)["tests"])
    assert found <= 14  # 97.5 % of binomial(200, 0.05)... one-sided differences: 0.025


def test_the_page_has_the_verdict_each_null_and_each_class():
    tree = judge_maps(drawn(0.6), nulls(), PATIENT)
    blocks = [*map_sections(tree), *class_section({"benign": tree, "malignant": tree})]
    text = to_markdown(blocks)
    assert tree["verdict"] in text and "a disc in the middle" in text
    assert text.count("better than chance") >= 3 and "| malignant | 60 |" in text
    assert "Each number beside those of chance" in to_html(blocks)
    assert class_section({"benign": tree}) == []
