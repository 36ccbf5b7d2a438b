"""The verb `metrics`."""

import csv
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from tests.analysis.simulated import CLASSES, join, simulate, without_positives
from ultrasound_jax.analysis.__main__ import main
from ultrasound_jax.analysis.commands.metrics import COLUMNS
from ultrasound_jax.analysis.judge.assess import (
    Wanted,
    assess,
)
from ultrasound_jax.analysis.judge.run import judge_table
from ultrasound_jax.analysis.stats.subgroups import (
    MOST_GROUPS,
    column_of,
)
from ultrasound_jax.analysis.table.predictions import joined


def grouped():
    rng = np.random.default_rng(0)
    table = join(simulate(rng, 14, split="validation"), simulate(rng, 14))
    labels, scores = table.labels[:, :2], table.scores[:, :2]
    table = replace(table, classes=CLASSES[:2], labels=labels, scores=scores)
    zones = tuple("" if i % 5 == 0 else f"L{i % 2}" for i in range(len(table)))
    return replace(table, extra={"zone": zones, "name": table.example_id})


@pytest.fixture(scope="module")
def table():
    return grouped()


@pytest.fixture(scope="module")
def written(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("metrics")
    table.write(folder / "first.csv")
    code = main(
        ["metrics", str(folder / "first.csv"), f"other={folder / 'first.csv'}"]
        + ["--out", str(folder / "out"), "--by", "zone", "fold"]
        + ["--replicates", "200", "--sensitivity", "0.8"]
    )
    assert code == 0
    return folder / "out"


def test_the_numbers_are_those_of_the_first_evaluation(table, written):
    tree = json.loads((written / "metrics.json").read_text())["runs"]
    assert list(tree) == ["first", "other"] and tree["first"] == tree["other"]
    expected = judge_table(table, replicates=200)["test"]
    for level, entry in tree["first"]["levels"].items():
        assert entry == expected[level]


def test_pooled_folds_are_judged_as_in_the_first_evaluation():
    rng = np.random.default_rng(3)
    folds = (simulate(rng, 6, split="out_of_fold", fold=f) for f in range(3))
    table = join(*folds)
    tree = assess(table, Wanted(replicates=200))
    expected = judge_table(table, replicates=200)["out_of_fold"]
    for level, entry in tree["levels"].items():
        assert entry == expected[level]
    assert tree["thresholds_from"] == "other folds" and not tree["optimistic"]


def test_every_number_is_a_row_with_its_interval(written):
    tree = json.loads((written / "metrics.json").read_text())["runs"]["first"]
    rows = list(csv.DictReader((written / "metrics.csv").read_text().splitlines()))
    assert tuple(rows[0]) == COLUMNS
    found = {
        tuple(row[c] for c in ("part", "group", "pattern", "metric")): row
        for row in rows
        if row["run"] == "first"
    }
    assert len(found) == len(rows) / 2
    entry = tree["operating"]["points"]["sensitivity 0.80"]["b_line"]
    row = found["operating: sensitivity 0.80", "clip", "b_line", "specificity"]
    assert float(row["value"]) == entry["specificity"]
    ends = [float(row["low"]), float(row["high"])]
    assert ends == entry["specificity_ci"]
    group = tree["subgroups"]["zone"]["L1"]
    row = found["subgroup: zone", "L1", "macro", "macro_auroc"]
    assert float(row["value"]) == group["macro_auroc"]
    row = found["subgroup: zone", "L1", "", "patients"]
    assert int(row["value"]) == group["n"]["patients"]
    assert ("calibration", "clip", "macro", "macro_brier") in found


def test_the_text_has_all_parts_and_its_figures_exist(written):
    text = (written / "metrics.md").read_text()
    for part in ("Calibration", "Operating points", "Subgroups", "Conformal"):
        assert text.count(f"### {part}") == 2
    figures = {p.name for p in (written / "figures").iterdir()}
    words = ("roc", "reliability", "decision_curve")
    assert figures == {f"{word}_{n}.png" for word in words for n in (1, 2)}
    for name in figures:
        assert f"](figures/{name})" in text
    assert "nan" not in text.lower().split()


def test_groups_are_judged_at_the_thresholds_of_all(table):
    tree = assess(table, Wanted(options={"by": ("zone",)}, replicates=200))
    zones = tree["subgroups"]["zone"]
    assert list(zones) == ["L0", "L1", "not known"]
    test = table.of_split("test")
    total = sum(level["n"]["examples"] for level in zones.values())
    assert total == len(test)
    here = np.array([z == "L0" for z in test.extra["zone"]])
    threshold = tree["levels"]["clip"]["classes"]["a_line"]["threshold"]
    positive = here & (test.labels[:, 0] == 1)
    expected = (test.scores[positive, 0] >= threshold).mean()
    assert zones["L0"]["classes"]["a_line"]["sensitivity"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--by", "colour"], "no column 'colour' .* there are: fold, zone, name"),
        (["--by", "name"], f"at most {MOST_GROUPS} groups"),
        (["--split", "train"], "no predictions of split 'train'"),
        (["--sensitivity", "1.5"], "sensitivity 1.5; allowed"),
        (["--alpha", "0"], "alpha 0.0; allowed"),
        (["--bins", "0"], "0 bins; allowed"),
        (["--replicates", "199"], "199 replicates are too few .* 200 or more"),
    ],
)
def test_what_cannot_be_computed_is_one_line_and_exit_code_2(
    tmp_path, capsys, table, words, message
):
    table.write(tmp_path / "p.csv")
    code = main(
        ["metrics", str(tmp_path / "p.csv"), "--out", str(tmp_path / "out")]
        + (words if "--replicates" in words else [*words, "--replicates", "200"])
    )
    lines = capsys.readouterr().err.splitlines()
    assert code == 2 and len(lines) == 1
    assert re.search(message, lines[0])
    assert not (tmp_path / "out").exists()


def test_a_table_without_validation_rows_has_no_thresholds_and_says_so(tmp_path, table):
    alone = without_positives(table.of_split("test"), 1)
    alone.write(tmp_path / "p.csv")
    words = ["metrics", str(tmp_path / "p.csv"), "--replicates", "200", "--out"]
    assert main([*words, str(tmp_path / "out")]) == 0
    text = (tmp_path / "out/metrics.md").read_text()
    assert "no validation rows" in text and "optimistic" not in text
    assert "1 of 2 patterns" in text
    assert main([*words, str(tmp_path / "again"), "--optimistic"]) == 0
    assert "optimistic" in (tmp_path / "again/metrics.md").read_text()


def test_one_patient_gives_values_without_intervals(table):
    rows = table.rows(np.array([s == "validation" for s in table.split]))
    one = table.of_split("test")
    one = one.rows(np.array([p == one.patient_id[-1] for p in one.patient_id]))
    tree = assess(joined([rows, one]), Wanted(replicates=200))
    assert tree["levels"]["clip"]["n"]["patients"] == 1
    for entry in tree["calibration"]["classes"].values():
        assert entry["brier"] is not None and entry["brier_ci"] is None
    for pattern in table.classes:
        entry = tree["conformal"]["classes"][pattern]["marginal"]["patient"]
        assert entry["coverage"] is not None and entry["coverage_ci"] is None


def test_fold_is_a_column_too(table):
    assert set(column_of(table, "fold")) == {"0"}
