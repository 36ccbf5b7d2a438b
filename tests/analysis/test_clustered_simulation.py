"""Sizes and powers of the tests: simulated anew, in small, and as committed."""

import importlib.util
import json
import sys

import cv2
import pytest
from scipy import stats

from tests.conftest import ROOT

REPEATS = 250


@pytest.fixture(scope="module")
def experiment():
    path = ROOT / "experiments/clustered_tests.py"
    spec = importlib.util.spec_from_file_location("clustered_tests", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def committed():
    path = ROOT / "experiments/results/clustered_tests.json"
    return json.loads(path.read_text())


def most(share):
    """What a test with this size reaches in all but one of 1,000 simulations."""
    return stats.binom.ppf(0.999, REPEATS, share) / REPEATS


def least(share):
    return stats.binom.ppf(0.001, REPEATS, share) / REPEATS


def test_plain_delong_finds_what_is_not_there_and_clustered_does_not(experiment):
    found = experiment.rejections(experiment.Kind(patients=11, share=0.8), REPEATS)
    assert found["delong"] > least(0.2)
    assert least(0.03) <= found["clustered"] <= most(0.07)
    assert found["mcnemar_patients"] <= most(0.05)


def test_with_independent_clips_plain_delong_is_right_too(experiment):
    found = experiment.rejections(experiment.Kind(patients=20, share=0.0), REPEATS)
    for name in ("delong", "clustered"):
        assert least(0.03) <= found[name] <= most(0.07), name


def test_a_true_difference_is_found(experiment):
    kind = experiment.Kind(patients=35, share=0.4, gap=1.0)
    assert experiment.rejections(kind, 60)["clustered"] > 0.7


def test_committed_sizes_are_what_the_page_says(committed):
    for row in [*committed["size"], *committed["rare"]]:
        assert 0.02 <= row["clustered"] <= 0.075, row
        assert row["mcnemar_patients"] <= 0.065, row
        if row["icc"] >= 0.6:
            assert row["delong"] >= 0.15, row
        if row["patients"] == 7:
            assert row["bootstrap"] > 0.06, row
    assert {row["patients"] for row in committed["size"]} == {7, 11, 35, 64}


def test_the_page_has_the_committed_numbers_and_the_figure(experiment, committed):
    text = (ROOT / "docs/statistics.md").read_text()
    assert experiment.fill(text, committed) == text
    image = cv2.imread(str(ROOT / "docs/figures/clustered_tests.png"))
    assert image is not None and image.shape[1] > 1200
