"""Sizes and powers of the tests: simulated anew, in small, and as committed."""

import importlib
import json
import sys

import cv2
import pytest
from scipy import stats

from tests.conftest import ROOT

STUDIES = 200


@pytest.fixture(scope="module")
def experiment():
    folder = str(ROOT / "experiments")
    sys.path.insert(0, folder)
    yield importlib.import_module("clustered_tests")
    sys.path.remove(folder)


@pytest.fixture(scope="module")
def coverage(experiment):
    return importlib.import_module("interval_coverage")


def committed(name):
    return json.loads((ROOT / f"experiments/results/{name}.json").read_text())


def most(share, repeats=STUDIES):
    """What a test with this size reaches in all but one of 1,000 simulations."""
    return stats.binom.ppf(0.999, repeats, share) / repeats


def least(share, repeats=STUDIES):
    return stats.binom.ppf(0.001, repeats, share) / repeats


def rejections(experiment, studies=STUDIES, separations=(1.5, 1.5), **kind):
    made = importlib.import_module("clustered_studies")
    drawn = made.Kind(separations=separations, **kind)
    return experiment.rejections(drawn, studies)


def test_plain_delong_finds_what_is_not_there_and_clustered_does_not(experiment):
    found = rejections(experiment, patients=15, share=0.8)
    assert found["delong"] > least(0.2)
    assert least(0.02) <= found["clustered"] <= most(0.06)
    assert found["mcnemar_patients"] <= most(0.06)


def test_a_patient_with_half_of_the_clips_does_not_make_findings(experiment):
    found = rejections(experiment, patients=30, share=0.4, sizes="dominant")
    assert found["t_patients"] > 0.1  # as many degrees of freedom as patients
    assert found["clustered"] <= most(0.05)


def test_a_true_difference_is_found(experiment):
    kind = {"patients": 30, "share": 0.4, "separations": (1.5, 0.5)}
    assert rejections(experiment, 60, **kind)["clustered"] > 0.7


@pytest.mark.parametrize("auroc", [0.96, 0.99])
def test_nine_patients_and_an_auroc_near_1_are_covered(coverage, auroc):
    row = coverage.simulate("alike", 9, auroc, 0.4, 400)
    for measure in ("auroc", "macro", "difference", "share"):
        assert row[measure]["chosen"]["covered"] >= least(0.94, 400), measure
    assert row["auroc"]["plain"]["covered"] < 0.88


def test_committed_sizes_are_what_the_page_says():
    result = committed("clustered_tests")
    for row in result["rows"]:
        if row["part"] in ("size", "rare", "macro"):
            assert row["clustered"] <= most(0.06, result["studies"]), row
        if row["part"] == "size" and row["sizes"] == "dominant" and row["share"]:
            assert row["t_patients"] > row["clustered"], row
    assert {row["sizes"] for row in result["rows"]} == {"alike", "dominant"}


def test_committed_intervals_cover(coverage):
    result = committed("interval_coverage")
    assert len(result["rows"]) == len(list(coverage.cells()))
    for row in result["rows"]:
        for measure in coverage.MEASURES:
            assert row[measure]["chosen"]["covered"] >= 0.92, (measure, row)


def test_the_page_has_the_committed_numbers_and_the_figure(experiment, coverage):
    text = (ROOT / "docs/statistics.md").read_text()
    assert experiment.fill(text, committed("clustered_tests")) == text
    assert coverage.fill(text, committed("interval_coverage")) == text
    image = cv2.imread(str(ROOT / "docs/figures/clustered_tests.png"))
    assert image is not None and image.shape[1] > 1200
