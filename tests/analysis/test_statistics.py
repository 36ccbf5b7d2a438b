"""A statistic is one file: found, computed, reported and written by being there."""

import csv
import importlib
import json
import sys
import textwrap

import numpy as np
import pytest

from tests.analysis.simulated import join, simulate
from tests.conftest import ROOT
from ultrasound_jax.analysis import stats
from ultrasound_jax.analysis.__main__ import main
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.judge.assess import Wanted, assess
from ultrasound_jax.analysis.judge.run import headline, judge_table
from ultrasound_jax.analysis.report.run_report import write_report
from ultrasound_jax.analysis.stats._parts.statistic import statistics

PREVALENCE = '''
    """How common a class is."""

    from ultrasound_jax.analysis.document import Heading, Text
    from ultrasound_jax.analysis.stats._parts.statistic import Option

    NAME = "{name}"
    KINDS = ("multilabel", "multiclass")
    OPTIONS = (
        Option(name="{name}-factor", type=float, default=1.0, help="to multiply by"),
    )
    SOURCES = ("Nobody N. How common things are. Journal of Counting 1, 1900.",)
    METHODS = "Shares are counted."

    def compute(judged, options, drawing):
        share = float((judged.rows.labels == 1).mean())
        return {{"share": share * options["{name}-factor"]}}

    def blocks(tree):
        words = f"{{tree['share']:.4f}} of {{tree['units'][0]}} labels"
        return [Heading("How common", 3), Text(words)]

    def rows(tree):
        return [{{"metric": "share", "value": tree["share"]}}]
'''
EVERYWHERE = """
    from ultrasound_jax.analysis.document import Text

    NAME, KINDS, OPTIONS, SOURCES = "widest", ("multilabel",), (), ()
    EVERY_LEVEL = True
    HEADLINE = (("widest", "", "widest score"),)

    def compute(judged, options, drawing):
        classes = {
            name: {"top": float(judged.rows.scores[:, k].max())}
            for k, name in enumerate(judged.rows.classes)
        }
        top = float(judged.rows.scores.max())
        return {"widest": top, "widest_ci": None, "classes": classes}

    def blocks(tree):
        return [Text(", ".join(tree["levels"]))]

    def rows(tree):
        return []
"""


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    return join(simulate(rng, 10, split="validation"), simulate(rng, 10))


@pytest.fixture
def dropped_in(tmp_path, monkeypatch):
    """Puts a file beside the statistics of the package."""
    folder = tmp_path / "more"
    folder.mkdir()
    monkeypatch.setattr(stats, "__path__", [*stats.__path__, str(folder)])

    def put(name, text):
        (folder / f"{name}.py").write_text(textwrap.dedent(text))
        importlib.invalidate_caches()

    yield put
    for path in folder.glob("*.py"):
        sys.modules.pop(f"{stats.__name__}.{path.stem}", None)


def test_a_file_in_the_folder_is_in_the_numbers_and_in_every_report(
    dropped_in, tmp_path, table
):
    dropped_in("prevalence", PREVALENCE.format(name="prevalence"))
    tree = judge_table(table, replicates=200)
    share = (table.of_split("test").labels == 1).mean()
    assert tree["test"]["prevalence"]["share"] == pytest.approx(share)
    text = write_report(tmp_path, table, tree, title="t", facts={}).read_text()
    assert f"{share:.4f} of clip labels" in text
    assert "Journal of Counting" in text and "Shares are counted." in text

    table.write(tmp_path / "p.csv")
    words = [str(tmp_path / "p.csv"), "--out", str(tmp_path / "out")]
    words += ["--replicates", "200", "--prevalence-factor", "2"]
    assert main(["metrics", *words]) == 0
    written = json.loads((tmp_path / "out/metrics.json").read_text())["runs"]["p"]
    assert written["prevalence"]["share"] == pytest.approx(2 * share)
    rows = (tmp_path / "out/metrics.csv").read_text().splitlines()
    found = [row for row in csv.DictReader(rows) if row["part"] == "prevalence"]
    assert [(row["group"], row["metric"]) for row in found] == [("clip", "share")]
    assert float(found[0]["value"]) == pytest.approx(2 * share)
    assert "How common" in (tmp_path / "out/metrics.md").read_text()
    assert main(["report", *words]) == 0
    assert "How common" in (tmp_path / "out/report.html").read_text()


def test_the_example_of_the_documentation_runs(dropped_in, tmp_path, table):
    page = (ROOT / "docs/analysis.md").read_text()
    dropped_in("from_the_docs", page.split("```python\n")[1].split("```")[0])
    tree = judge_table(table, replicates=200)
    text = write_report(tmp_path, table, tree, title="t", facts={}).read_text()
    assert f"{tree['test']['prevalence']['share']:.3f} of labels are present" in text


def test_one_of_every_level_joins_the_levels_the_subgroups_and_the_headline(
    dropped_in, table
):
    dropped_in("widest", EVERYWHERE)
    tree = judge_table(table, replicates=200, options={"by": ("fold",)})
    test = table.of_split("test")
    assert tree["test"]["clip"]["widest"] == test.scores.max()
    assert tree["test"]["video_mean"]["widest"] < test.scores.max()
    entry = tree["test"]["clip"]["classes"]["b_line"]
    assert entry["top"] == test.scores[:, 1].max() and "auroc" in entry
    assert tree["test"]["subgroups"]["fold"]["0"]["widest"] == test.scores.max()
    line = f"test widest score of clips: {test.scores.max():.3f}"
    assert line in headline(tree, table)


def test_a_module_of_ones_own_is_a_statistic_where_it_is_named(
    tmp_path, monkeypatch, table
):
    text = textwrap.dedent(PREVALENCE.format(name="mine"))
    (tmp_path / "my_statistic.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    tree = judge_table(table, replicates=200, further=["my_statistic"])
    assert 0 < tree["test"]["mine"]["share"] < 1
    text = write_report(tmp_path, table, tree, title="t", facts={}).read_text()
    assert "of clip labels" in text
    table.write(tmp_path / "p.csv")
    words = [str(tmp_path / "p.csv"), "--out", str(tmp_path), "--replicates", "200"]
    assert main(["metrics", *words, "--statistic", "my_statistic"]) == 0
    assert "of clip labels" in (tmp_path / "metrics.md").read_text()
    assert main(["metrics", *words]) == 0
    assert "of clip labels" not in (tmp_path / "metrics.md").read_text()
    sys.modules.pop("my_statistic")


def test_what_is_no_statistic_is_one_line(dropped_in, table):
    with pytest.raises(AnalysisError, match="'nobody.knows': No module named"):
        statistics(further=["nobody.knows"])
    with pytest.raises(AnalysisError, match="json: no statistic: it lacks NAME, KINDS"):
        statistics(further=["json"])
    dropped_in("again", PREVALENCE.format(name="calibration"))
    with pytest.raises(AnalysisError, match="cannot be called 'calibration'"):
        assess(table, Wanted(replicates=200))


def test_a_name_of_a_level_or_of_the_tree_is_taken(dropped_in, table):
    dropped_in("again", PREVALENCE.format(name="clip"))
    with pytest.raises(AnalysisError, match="'clip' is called as a level is"):
        assess(table, Wanted(replicates=200))
    dropped_in("again", PREVALENCE.format(name="interval"))
    sys.modules.pop(f"{stats.__name__}.again")
    with pytest.raises(AnalysisError, match="cannot be called 'interval'"):
        assess(table, Wanted(replicates=200))


def test_an_option_that_no_statistic_has_lists_those_that_there_are(table):
    with pytest.raises(AnalysisError, match="'betas'; there are: bins, acting-at,"):
        assess(table, Wanted(options={"betas": 3}))


def test_every_statistic_of_the_package_says_what_it_is():
    found = statistics()
    assert [one.name for one in found] == [
        "discrimination",
        "overlap",
        "reconstruction",
        "lesions",
        "absent",
        "confusion",
        "ordinal",
        "calibration",
        "decision_curve",
        "operating",
        "predictive_values",
        "missing_labels",
        "by_fold",
        "mask_folds",
        "subgroups",
        "conformal",
    ]
    kinds = {"multilabel", "multiclass", "masks", "errors"}
    for one in found:
        assert one.kinds and set(one.kinds) <= kinds
        for option in one.options:
            assert option.help
