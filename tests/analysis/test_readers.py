"""The verb `readers`."""

import csv
import json
import re
from dataclasses import replace

import numpy as np
import openpyxl
import pytest
from sklearn.metrics import cohen_kappa_score

from tests.analysis.simulated import CLASSES, join, simulate
from ultrasound_jax.analysis.__main__ import main
from ultrasound_jax.analysis.judge.readers import read_sheet
from ultrasound_jax.analysis.stats._parts.metrics import youden_threshold
from ultrasound_jax.analysis.table.predictions import Predictions

FEW = ["--replicates", "200"]
PATTERNS = CLASSES[:2]


def table(seed=0):
    rng = np.random.default_rng(0)
    whole = join(simulate(rng, 10, split="validation"), simulate(rng, 8))
    noise = np.random.default_rng(seed).normal(size=whole.scores.shape)
    scores = 1 / (1 + np.exp(-np.log(whole.scores / (1 - whole.scores)) - noise))
    return replace(
        whole, classes=PATTERNS, labels=whole.labels[:, :2], scores=scores[:, :2]
    )


def write_sheet(path, rows: Predictions, labels, key="clip_id"):
    with path.open("w", newline="") as file:
        sheet = csv.writer(file)
        # Another order of rows and columns than the run's.
        sheet.writerow(["label_b_line", "score", key, "label_a_line"])
        for i in reversed(range(len(rows))):
            cells = ["-1" if np.isnan(v) else int(v) for v in labels[i]]
            sheet.writerow([cells[1], 4, rows.example_id[i], cells[0]])


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """Five folds' tables and three readers' sheets."""
    folder = tmp_path_factory.mktemp("readers")
    for fold in range(5):
        table(fold).write(folder / f"fold{fold}.csv")
    rows, rng, sheets = table().of_split("test"), np.random.default_rng(5), {}
    for name, wrong in (("reader1", 0.1), ("reader2", 0.3), ("expert", 0.0)):
        labels = np.nan_to_num(rows.labels)
        labels = np.where(rng.random(labels.shape) < wrong, 1 - labels, labels)
        if name == "reader2":
            labels[::9] = np.nan
        sheets[name] = labels
        write_sheet(folder / f"{name}.csv", rows, labels)
    return folder, rows, sheets


def files(folder, *names):
    return [str(folder / f"{name}.csv") for name in names]


@pytest.fixture(scope="module")
def tree(case):
    folder = case[0]
    words = ["readers", *files(folder, *(f"fold{i}" for i in range(5))), "--sheets"]
    words += [*files(folder, "reader1", "reader2"), f"senior={folder}/expert.csv"]
    words += ["--consensus-of", "reader1", "reader2", "--out", str(folder / "out")]
    assert main([*words, *FEW]) == 0
    return json.loads((folder / "out/readers.json").read_text())


def pair(tree, first, second):
    found = [p for p in tree["pairs"] if (p["first"], p["second"]) == (first, second)]
    return found[0]["patterns"] if found else {}


def test_kappa_of_two_readers_is_that_of_their_sheets(case, tree):
    _, _, sheets = case
    for k, name in enumerate(PATTERNS):
        one, two = sheets["reader1"][:, k], sheets["reader2"][:, k]
        known = ~np.isnan(two)
        entry = pair(tree, "reader1", "reader2")[name]
        assert entry["kappa"] == pytest.approx(
            cohen_kappa_score(one[known], two[known])
        )
        assert entry["unknown"] == (~known).sum()
        assert entry["kappa_ci"][0] < entry["kappa"] < entry["kappa_ci"][1]


def test_each_fold_decides_at_its_own_thresholds_and_three_of_five_are_a_majority(
    case, tree
):
    _, rows, sheets = case
    votes = []
    for fold in range(5):
        whole = table(fold)
        validation, test = whole.of_split("validation"), whole.of_split("test")
        limits = [
            youden_threshold(validation.labels[:, k], validation.scores[:, k])
            for k in range(2)
        ]
        votes.append(test.scores >= np.array(limits))
    joined = np.sum(votes, axis=0) >= 3
    for k, name in enumerate(PATTERNS):
        expert = sheets["expert"][:, k]
        entry = pair(tree, "majority of 5 networks", "senior")[name]
        assert entry["agreement"] == pytest.approx((joined[:, k] == expert).mean())
        alone = pair(tree, "fold2", "senior")[name]
        assert alone["agreement"] == pytest.approx((votes[2][:, k] == expert).mean())
    assert tree["n"]["patients"] == 8 and tree["left_out"] == 0


def test_nobody_is_compared_with_a_vote_they_took_part_in(tree):
    assert pair(tree, "fold0", "majority of 5 networks") == {}
    assert pair(tree, "reader1", "majority of 2 readers") == {}
    assert pair(tree, "majority of 2 readers", "any of 2 readers") == {}
    assert pair(tree, "senior", "majority of 2 readers") != {}
    assert pair(tree, "fold0", "reference") != {}


def test_a_consensus_of_two_is_where_they_agree_or_where_one_says_so(case, tree):
    _, rows, sheets = case
    raters = {rater["name"]: rater["patterns"]["a_line"] for rater in tree["raters"]}
    one, two = sheets["reader1"][:, 0], sheets["reader2"][:, 0]
    both = ((one == 1) & ((two == 1) | np.isnan(two))).sum()
    assert raters["majority of 2 readers"]["positives"] == both
    assert raters["any of 2 readers"]["positives"] == ((one == 1) | (two == 1)).sum()


def test_fleiss_kappa_is_of_the_readers_and_of_them_with_the_ensemble(tree):
    groups = list(tree["fleiss"])
    assert groups == ["3 readers", "3 readers and majority of 5 networks"]
    assert tree["fleiss"][groups[1]]["a_line"]["raters"] == 4


def test_the_text_and_the_table_have_all_pairs(case, tree):
    folder = case[0] / "out"
    text = (folder / "readers.md").read_text()
    rows = list(csv.DictReader((folder / "readers.csv").read_text().splitlines()))
    assert len(rows) == 2 * len(tree["pairs"])
    entry = pair(tree, "fold0", "senior")["b_line"]
    row = next(
        r
        for r in rows
        if (r["first"], r["second"], r["pattern"]) == ("fold0", "senior", "b_line")
    )
    assert float(row["kappa"]) == entry["kappa"]
    assert f"{entry['kappa']:.3f} [{entry['kappa_ci'][0]:.3f}" in text
    assert (folder / "figures/kappa.png").stat().st_size > 10_000


def test_thresholds_may_come_from_another_run(case, tmp_path):
    folder, rows, _ = case
    rows.write(tmp_path / "temporal.csv")
    other = table()
    other = replace(other, patient_id=tuple(f"old_{p}" for p in other.patient_id))
    other.write(tmp_path / "development.csv")
    words = ["readers", str(tmp_path / "temporal.csv"), "--sheets"]
    words += [*files(folder, "expert"), "--out", str(tmp_path / "out"), *FEW]
    assert main(words) == 2
    assert main([*words, "--thresholds", str(tmp_path / "development.csv")]) == 0
    found = json.loads((tmp_path / "out/readers.json").read_text())
    assert found["thresholds_from"] == {"temporal": "validation of development"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: lines[:-2], "sheet 'r' lacks 2 of the run's"),
        (lambda lines: [*lines, "0,4,new,1"], "lacks 0 .* and has 1 others.*'new'"),
        (lambda lines: [*lines, lines[-1]], "occurs twice"),
        (lambda lines: [*lines[:3], "2,4,x,1"], "line 4: label_b_line is '2'"),
        (lambda lines: [lines[0].replace("label_b_line", "b"), *lines[1:]], "label_b"),
        (lambda lines: [lines[0].replace("clip_id", "id"), *lines[1:]], "or clip_id"),
        (lambda lines: lines[:1], "sheet 'r' lacks"),
    ],
)
def test_sheets_that_do_not_fit_are_refused_in_one_line(
    case, tmp_path, capsys, change, message
):
    folder = case[0]
    lines = (folder / "reader1.csv").read_text().splitlines()
    (tmp_path / "r.csv").write_text("\n".join(change(lines)) + "\n")
    words = ["readers", *files(folder, "fold0"), "--sheets", str(tmp_path / "r.csv")]
    assert main([*words, "--out", str(tmp_path / "out"), *FEW]) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1 and re.search(message, told[0])
    assert not (tmp_path / "out").exists()


def test_what_is_not_common_is_counted_when_allowed(case, tmp_path, capsys):
    folder, rows, _ = case
    lines = (folder / "reader1.csv").read_text().splitlines()
    (tmp_path / "r.csv").write_text("\n".join([*lines[:-3], "0,4,new,1"]) + "\n")
    words = ["readers", *files(folder, "fold0"), "--sheets", str(tmp_path / "r.csv")]
    assert main([*words, "--partial", "--out", str(tmp_path / "out"), *FEW]) == 0
    assert "4 examples are not in all tables" in capsys.readouterr().out
    found = json.loads((tmp_path / "out/readers.json").read_text())
    assert found["n"]["examples"] == len(rows) - 3 and found["left_out"] == 4


def test_raters_of_one_name_and_unknown_readers_are_refused(case, tmp_path, capsys):
    folder = case[0]
    words = ["readers", *files(folder, "fold0"), "--out", str(tmp_path), *FEW]
    twice = [f"a={folder}/reader1.csv", f"a={folder}/reader2.csv"]
    assert main([*words, "--sheets", *twice]) == 2
    assert "two raters are named 'a'" in capsys.readouterr().err
    sheets = ["--sheets", *files(folder, "reader1"), "--consensus-of", "x", "y"]
    assert main([*words, *sheets]) == 2
    assert "no sheet 'x'; there are: reader1" in capsys.readouterr().err


def saved_again(path, how):
    """The sheet as spreadsheet programs save it."""
    lines = [line.split(",") for line in path.read_text().splitlines()]
    if how == "workbook":
        book = openpyxl.Workbook()
        sheet = book.active
        assert sheet is not None
        for number, line in enumerate(lines):
            sheet.append([int(c) if number and c in "01" and c else c for c in line])
        book.save(path.with_suffix(".xlsx"))
        return path.with_suffix(".xlsx")
    lines[0].append("Größe")  # a column of the reader's own
    again = path.with_name(f"again_{path.name}")
    text = "".join(";".join(line) + "\r\n" for line in lines)
    again.write_bytes(text.encode("cp1252"))
    return again


@pytest.mark.parametrize("how", ["workbook", "semicolons and Windows-1252"])
def test_a_sheet_that_a_spreadsheet_program_saved_is_the_same(tmp_path, how):
    path = tmp_path / "anna.csv"
    path.write_text("example_id,label_a_line,label_b_line\ne0,1,0\ne1,,1\ne2,-1,0\n")
    once = read_sheet(path, ("a_line", "b_line"))
    again = read_sheet(saved_again(path, how), ("a_line", "b_line"))
    np.testing.assert_equal(dict(again.labels), dict(once.labels))


def test_a_sheets_ids_are_stripped_and_composed(tmp_path):
    path = tmp_path / "anna.csv"
    path.write_text("example_id,label_a\n cafe\u0301 ,1\n", encoding="utf-8")
    assert list(read_sheet(path, ("a",)).labels) == ["caf\u00e9"]
