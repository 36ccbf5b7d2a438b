"""The report and its figure."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from tests.analysis.simulated import join, simulate, without_positives
from ultrasound_jax.analysis.document import Text, value_text
from ultrasound_jax.analysis.judge.assess import Wanted, assess
from ultrasound_jax.analysis.judge.run import judge_table
from ultrasound_jax.analysis.report.methods import methods
from ultrasound_jax.analysis.report.run_report import write_report
from ultrasound_jax.analysis.stats._parts.roc_panels import LEVEL_STYLES
from ultrasound_jax.types import InputError


@pytest.fixture(scope="module")
def study():
    rng = np.random.default_rng(0)
    table = join(simulate(rng, 12, split="validation"), simulate(rng, 12))
    table = without_positives(table, 3)
    return table, judge_table(table, replicates=200)


def test_the_figure_is_1200_pixels_wide_and_shows_all_curves(tmp_path, study):
    write_report(tmp_path, *study, title="a $ sign", facts={})
    image = cv2.imread(str(tmp_path / "roc_test.png"))
    assert image is not None and image.shape[1] == 1200
    for colour, _ in LEVEL_STYLES[:3]:  # clips, videos, patients
        wanted = [int(colour[i : i + 2], 16) for i in (5, 3, 1)]
        count = (np.abs(image.astype(int) - wanted).max(axis=2) < 8).sum()
        assert count > 500  # a dotted curve leaves half of itself out
    assert not [p.name for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_the_report_gives_values_with_intervals_and_says_what_is_not_defined(
    tmp_path, study
):
    table, tree = study
    facts = {"data": "simulated | twice", "model": "none"}
    path = write_report(tmp_path, table, tree, title="A study", facts=facts)
    text = path.read_text()
    assert path.name == "report.md"
    assert text.startswith("# A study\n")
    assert "not for diagnosis" in text
    assert "| data | simulated \\| twice |" in text
    entry = tree["test"]["clip"]["classes"]["a_line"]
    low, high = entry["auroc_ci"]
    assert f"| a line | {entry['auroc']:.3f} [{low:.3f}, {high:.3f}] |" in text
    assert "| pleural effusion | not defined | not defined |" in text
    assert "3 of 4 patterns" in text
    assert text.index("## Test") < text.index("## Validation")
    test, validation = text.split("## Validation")
    assert "optimistic" not in test
    assert "the very rows of split validation" in validation
    assert "(200 replicates, seed 0)" in text
    for name in ("roc_test.png", "roc_validation.png"):
        assert f"({name})" in text and (tmp_path / name).is_file()


def test_rows_of_every_table_have_the_same_number_of_cells(tmp_path, study):
    text = write_report(tmp_path, *study, title="t", facts={}).read_text()
    for block in text.split("\n\n"):
        if block.startswith("|"):
            assert len({line.count(" | ") for line in block.splitlines()}) == 1


def test_cross_validation_is_reported_with_the_thresholds_of_all_folds(tmp_path):
    rng = np.random.default_rng(1)
    table = join(*(simulate(rng, 6, split="validation", fold=f) for f in range(3)))
    tree = judge_table(table, pooled=True, replicates=200)
    text = write_report(tmp_path, table, tree, title="cv", facts={}).read_text()
    assert "## Out of fold" in text and (tmp_path / "roc_out_of_fold.png").is_file()
    values = tree["out_of_fold"]["clip"]["classes"]["a_line"]["threshold_by_fold"]
    assert f"| {min(values.values()):.3f}–{max(values.values()):.3f} |" in text
    assert "Each fold has a threshold of its own" in text


def test_a_value_without_an_interval_says_so():
    entry = {"auroc": 0.5, "auroc_ci": None, "f1": None, "f1_ci": None}
    assert value_text(entry, "auroc") == "0.500 [not defined]"
    assert value_text(entry, "f1") == "not defined"


def test_a_folder_that_is_a_file_is_named(tmp_path, study):
    table, tree = study
    (tmp_path / "nowhere").write_text("a file")
    with pytest.raises(InputError, match="nowhere.*cannot be written"):
        write_report(tmp_path / "nowhere", table, tree, title="t", facts={})


def test_the_report_says_that_videos_weigh_their_clips_by_frames():
    table = simulate(np.random.default_rng(0), 6, split="test")
    frames = np.full(len(table), 5)
    for given, said in ((replace(table, frames=frames), True), (table, False)):
        tree = assess(given, Wanted(split="test", replicates=200))
        words = " ".join(b.text for b in methods([tree]) if isinstance(b, Text))
        assert ("The mean of a video weighs each clip by its frames." in words) is said
