"""Readers' ratings: the verb `readers` with --ratings and --ratings-aided."""

import csv
import json
import re

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.analysis.test_readers import FEW, PATTERNS, table
from ultrasound_jax.analysis.__main__ import main
from ultrasound_jax.analysis.judge.multireader_study import rated_study
from ultrasound_jax.analysis.judge.ratings import Ratings
from ultrasound_jax.analysis.stats._parts.clustered import influence
from ultrasound_jax.analysis.stats._parts.multireader import of_readers

READERS = ("anna", "ben", "cleo")


def drawn(rows, separation, seed):
    """Ratings from 1 to 5 of three readers: `3 n k`."""
    rng = np.random.default_rng(seed)
    truth = np.nan_to_num(rows.labels)
    marks = separation * truth + rng.normal(size=(3, *truth.shape))
    return np.clip(np.round(marks + 2.5), 1, 5)


def write(folder, rows, ratings):
    folder.mkdir()
    for name, marks in zip(READERS, ratings, strict=True):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            sheet = csv.writer(file)
            sheet.writerow(["rating_b_line", "clip_id", "rating_a_line"])
            for i in reversed(range(len(rows))):
                cells = ["" if np.isnan(v) else v for v in marks[i]]
                sheet.writerow([cells[1], rows.example_id[i], cells[0]])
    return [str(folder / f"{name}.csv") for name in READERS]


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ratings")
    for fold in range(2):
        table(fold).write(folder / f"fold{fold}.csv")
    rows = table().of_split("test")
    without, aided = drawn(rows, 1.0, 1), drawn(rows, 2.5, 2)
    without[1, :7, 0] = np.nan  # not rated by ben
    paths = (
        write(folder / "alone", rows, without),
        write(folder / "helped", rows, aided),
    )
    return folder, rows, (without, aided), paths


@pytest.fixture(scope="module")
def tree(case):
    folder, _, _, (alone, helped) = case
    words = ["readers", *(str(folder / f"fold{i}.csv") for i in range(2)), *FEW]
    words += ["--ratings", *alone, "--ratings-aided", *reversed(helped)]
    assert main([*words, "--out", str(folder / "out")]) == 0
    return json.loads((folder / "out/readers.json").read_text())["ratings"]


def test_aurocs_are_those_of_the_ratings_that_everybody_gave(case, tree):
    _, rows, (without, aided), _ = case
    labels = rows.labels[:, 0]
    used = ~np.isnan(labels) & ~np.isnan(without[1, :, 0])
    entry = tree["classes"]["a_line"]
    assert entry["examples"] == used.sum()
    assert entry["left_out"] == len(rows) - used.sum() > 0
    found = {(one["rater"], one["how"]): one["auroc"] for one in entry["aurocs"]}
    for j, name in enumerate(READERS):
        for how, marks in (("without help", without), ("with help", aided)):
            value = roc_auc_score(labels[used], marks[j, used, 0])
            assert found[name, how] == pytest.approx(value)
    scores = table(1).of_split("test").scores[:, 0]
    value = roc_auc_score(labels[used], scores[used])
    assert found["fold1", "model"] == pytest.approx(value)
    both = (table(0).of_split("test").scores[:, 0] + scores) / 2
    value = roc_auc_score(labels[used], both[used])
    assert found["mean of 2 networks", "model"] == pytest.approx(value)


def test_readers_are_paired_by_name_and_compared_with_and_without_help(case, tree):
    _, rows, (without, aided), _ = case
    used = ~np.isnan(rows.labels[:, 1])
    marks = np.concatenate([without[:, used, 1], aided[:, used, 1]])
    part = influence(rows.labels[used, 1], marks, rows.patient_index()[used])
    expected = of_readers(part, np.hstack([-np.eye(3), np.eye(3)]))
    row = tree["classes"]["b_line"]["comparisons"][0]
    assert row["second"] == "average reader, with help"
    assert row["difference"] == pytest.approx(expected["both"].value)
    for name, one in expected.items():
        assert row["analyses"][name]["p"] == pytest.approx(one.p)
        assert row["analyses"][name]["ci"] == pytest.approx([one.low, one.high])


def test_each_model_is_compared_with_the_average_reader_and_holm_is_over_all(tree):
    rows = [row for e in tree["classes"].values() for row in e["comparisons"]]
    assert tree["comparisons"] == len(rows) == 2 * (1 + 3)
    for row in rows:
        p = row["analyses"]["both"]["p"]
        assert p <= row["holm_p"] <= min(1.0, 8 * p + 1e-12)
        assert row["survives"] == (row["holm_p"] <= 0.05)
    for entry in tree["classes"].values():
        of = {one["rater"]: one["auroc"] for one in entry["aurocs"]}
        own = np.mean(
            [o["auroc"] for o in entry["aurocs"] if o["how"] == "without help"]
        )
        assert entry["averages"][0]["auroc"] == pytest.approx(own)
        for row in entry["comparisons"][1:]:
            assert row["difference"] == pytest.approx(of[row["second"]] - own)


def test_pages_csv_and_figure_tell_all_of_it(case, tree, tmp_path):
    folder = case[0] / "out"
    text = (folder / "readers.md").read_text()
    for words in ("Readers' ratings", "other readers and patients", "Hillis SL"):
        assert words in text
    rows = list(csv.DictReader((folder / "ratings.csv").read_text().splitlines()))
    assert len(rows) == 3 * tree["comparisons"]
    first = tree["classes"]["a_line"]["comparisons"][0]
    assert float(rows[0]["difference"]) == first["difference"]
    assert (folder / "figures/ratings.png").stat().st_size > 10_000
    words = ["report", str(case[0] / "fold0.csv"), "--out", str(tmp_path), *FEW]
    assert main([*words, "--readers", str(folder / "readers.json")]) == 0
    assert "Readers' ratings" in (tmp_path / "report.md").read_text()


def refused(case, capsys, tmp_path, *words):
    command = ["readers", str(case[0] / "fold0.csv"), "--out", str(tmp_path / "out")]
    assert main([*command, *FEW, *words]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert not (tmp_path / "out").exists()
    return lines[0]


def test_readers_of_one_list_only_are_refused(case, capsys, tmp_path):
    alone, helped = case[3]
    told = refused(
        case, capsys, tmp_path, "--ratings", *alone, "--ratings-aided", *helped[:2]
    )
    assert "reader 'cleo' has ratings either without or with help only" in told
    told = refused(case, capsys, tmp_path, "--ratings", alone[0])
    assert "1 sheets of ratings; a study of readers needs two" in told
    told = refused(case, capsys, tmp_path, "--ratings-aided", *helped)
    assert "give --sheets with labels, or --ratings" in told
    told = refused(case, capsys, tmp_path, "--ratings", *alone, alone[0])
    assert "two sheets of ratings are named 'anna'" in told


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: [*lines[:2], "sure,x,1"], "line 3: rating_b_line is 'sure'"),
        (lambda lines: [*lines[:2], "nan,x,1"], "rating_b_line is 'nan', not a number"),
        (lambda lines: [*lines, lines[-1]], "occurs twice"),
        (
            lambda lines: [lines[0].replace("rating_b", "b"), *lines[1:]],
            "rating_b_line",
        ),
        (lambda lines: lines[:-1], "lacks 1 of the run's"),
    ],
)
def test_sheets_that_do_not_fit_are_refused(case, capsys, tmp_path, change, message):
    alone = case[3][0]
    lines = (case[0] / "alone/anna.csv").read_text().splitlines()
    (tmp_path / "anna.csv").write_text("\n".join(change(lines)) + "\n")
    sheets = [str(tmp_path / "anna.csv"), *alone[1:]]
    assert re.search(message, refused(case, capsys, tmp_path, "--ratings", *sheets))


def test_a_pattern_that_cannot_be_compared_says_why():
    rows = table().of_split("test")
    marks = drawn(rows, 1.0, 3)
    marks[0, :, 0] = np.nan
    labels = rows.labels.copy()
    labels[:, 1] = 0
    found = rated_study(
        type(rows)(**{**vars(rows), "labels": labels}),
        Ratings(READERS, marks, None),
        {},
    )
    assert found["classes"]["a_line"]["reason"] == "nobody rated any of it"
    assert "there are no positives" in found["classes"]["b_line"]["reason"]
    assert found["comparisons"] == 0 and not found["aided"]
    assert list(found["classes"]) == list(PATTERNS)
