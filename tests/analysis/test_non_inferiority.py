"""Verdicts by a margin, against the test that they are the other side of."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tests.analysis.simulated import join, simulate
from ultrasound_jax.analysis.__main__ import main
from ultrasound_jax.analysis.document import Table
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.judge.comparison import MACRO, compare
from ultrasound_jax.analysis.judge.non_inferiority import judged, with_margin
from ultrasound_jax.analysis.report.comparison_methods import sources_of
from ultrasound_jax.analysis.report.margin_section import margin_blocks
from ultrasound_jax.analysis.stats._parts.multiplicity import holm


def blurred(table, sigma):
    noise = np.random.default_rng(1).normal(size=table.scores.shape)
    logits = np.log(table.scores / (1 - table.scores)) + sigma * noise
    return replace(table, scores=1 / (1 + np.exp(-logits)))


@pytest.fixture(scope="module")
def tables():
    rng = np.random.default_rng(0)
    table = join(simulate(rng, 10, split="validation"), simulate(rng, 40))
    return {"good": table, "alike": blurred(table, 0.1), "bad": blurred(table, 5)}


@pytest.fixture(scope="module")
def tree(tables):
    return compare(tables, "good", replicates=200)


def row(low, high, df=12.0):
    return {
        "difference": (low + high) / 2,
        "clustered_ci": [low, high],
        "clustered_df": df,
    }


@pytest.mark.parametrize(
    ("ends", "verdict"),
    [
        ((-0.04, 0.02), "non-inferior"),
        ((0.01, 0.08), "non-inferior"),
        ((-0.04, -0.01), "non-inferior"),  # worse, and by less than the margin
        ((-0.06, 0.02), "inconclusive"),
        ((-0.05, 0.03), "inconclusive"),  # an end on the margin is not above it
        ((-0.20, 0.20), "inconclusive"),
        ((-0.12, -0.06), "inferior"),
    ],
)
def test_the_verdict_is_where_the_interval_lies(ends, verdict):
    assert judged(row(*ends), 0.05)["verdict"] == verdict


def test_the_p_is_that_of_the_shifted_one_sided_test():
    found = judged(row(-0.08, 0.04), 0.05)
    error = 0.06 / stats.t.isf(0.025, 12)
    assert found["p"] == pytest.approx(stats.t.sf((-0.02 + 0.05) / error, 12))
    at_margin = judged(row(-0.05, 0.03), 0.05)
    assert at_margin["p"] == pytest.approx(0.025)


def test_a_verdict_and_its_p_agree_and_families_are_holms(tree):
    found = with_margin(tree, 0.05)
    for macro in (True, False):
        family = [r for r in found["differences"] if (r["class"] == MACRO) == macro]
        entries = [r["non_inferiority"] for r in family]
        for entry in entries:
            assert (entry["verdict"] == "non-inferior") == (entry["p"] < 0.025)
        adjusted = holm(np.array([entry["p"] for entry in entries]))
        assert [e["holm_p"] for e in entries] == pytest.approx(adjusted.tolist())
        assert [e["holds"] for e in entries] == [p <= 0.025 for p in adjusted]
    of = {(r["model"], r["class"]): r for r in found["differences"]}
    assert of["alike", MACRO]["non_inferiority"]["verdict"] == "non-inferior"
    assert of["bad", MACRO]["non_inferiority"]["verdict"] == "inferior"


def test_a_wider_margin_never_takes_a_verdict_back(tree):
    kept: set[tuple[str, str]] = set()
    for margin in (0.01, 0.05, 0.2, 0.9):
        now = {
            (r["model"], r["class"])
            for r in with_margin(tree, margin)["differences"]
            if r["non_inferiority"]["verdict"] == "non-inferior"
        }
        assert kept <= now
        kept = now
    assert len(kept) == len(tree["differences"])


def test_what_is_not_tested_has_no_verdict(tree):
    rows = [
        {**row, "clustered_ci": None, "survives": None, "reason": "of one patient"}
        for row in tree["differences"]
    ]
    found = with_margin({**tree, "differences": rows}, 0.05)
    for one in found["differences"]:
        entry = one["non_inferiority"]
        assert [entry[k] for k in ("verdict", "p", "holm_p", "holds")] == [None] * 4
    shown = margin_blocks(found)[1]
    assert isinstance(shown, Table)
    assert shown.rows[0][3] == "not tested: of one patient"


@pytest.mark.parametrize("margin", [0.0, -0.05, 1.0, float("nan")])
def test_a_margin_that_is_none_is_refused_before_anything_is_read(
    tree, margin, capsys, tmp_path
):
    with pytest.raises(AnalysisError, match="allowed are 0 < margin < 1"):
        with_margin(tree, margin)
    words = [
        "compare",
        "nothing",
        "there",
        "--out",
        str(tmp_path),
        f"--margin={margin}",
    ]
    assert main(words) == 2
    assert f"margin {margin:g}; allowed" in capsys.readouterr().err


def test_there_is_no_margin_unless_it_is_stated(tree):
    assert margin_blocks(tree) == []
    assert not any("noninferiority" in source for source in sources_of(tree))
    assert any(
        "noninferiority" in source for source in sources_of({**tree, "margin": 1})
    )


def test_files_pages_and_the_report_say_margin_direction_and_families(
    tables, tmp_path, capsys
):
    for name, table in tables.items():
        table.write(tmp_path / f"{name}.csv")
    paths = [str(tmp_path / f"{name}.csv") for name in tables]
    few = ["--replicates", "200", "--margin", "0.05"]
    assert main(["compare", *paths, "--out", str(tmp_path / "out"), *few]) == 0
    assert "alike, macro, margin 0.05: non-inferior" in capsys.readouterr().out
    found = json.loads((tmp_path / "out/compare.json").read_text())
    assert found["margin"] == 0.05
    rows = list(csv.DictReader((tmp_path / "out/compare.csv").read_text().splitlines()))
    verdicts = {r["model"]: r["non_inferiority_verdict"] for r in rows}
    assert set(verdicts.values()) <= {"non-inferior", "inferior", "inconclusive"}
    text = (tmp_path / "out/compare.md").read_text()
    told = "Margin 0.05, which must have been chosen before"
    for words in (told, "than that of good by up to 0.05", "patterns (8)"):
        assert words in text
    assert main(["report", *paths, "--out", str(tmp_path / "report"), *few]) == 0
    assert told in (tmp_path / "report/report.md").read_text()
