"""The verb `report`."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from tests.analysis.simulated import CLASSES, join, simulate
from ultrasound_jax.analysis.__main__ import main
from ultrasound_jax.analysis.canvas import MOST_MODELS, style
from ultrasound_jax.analysis.commands.report import write_study
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.judge.assess import Wanted
from ultrasound_jax.analysis.stats._parts.discrimination_tables import discrimination
from ultrasound_jax.analysis.stats._parts.metrics import METRICS
from ultrasound_jax.analysis.table.inputs import Run

FEW = Wanted(replicates=200)


def study(noise):
    rng = np.random.default_rng(0)
    table = join(simulate(rng, 14, split="validation"), simulate(rng, 12))
    labels, scores = table.labels[:, :2], table.scores[:, :2]
    table = replace(table, classes=CLASSES[:2], labels=labels, scores=scores)
    logits = np.log(table.scores / (1 - table.scores))
    logits += noise * np.random.default_rng(1).normal(size=logits.shape)
    return replace(table, scores=1 / (1 + np.exp(-logits)))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    for name, noise in (("good", 0.0), ("bad<b>", 4.0)):
        (folder / name).mkdir()
        study(noise).write(folder / name / "predictions.csv")
    facts = {"run": {"network": "luvnet & co", "parameters": "1,234"}}
    (folder / "good/metrics.json").write_text(json.dumps(facts))
    rows = [{"batch": 1, "latency_p50_ms": 3.26, "device": "cpu"}]
    (folder / "good/cost.json").write_text(json.dumps(rows))
    for video in range(4):
        looked = folder / f"good/attention/good/v{video}"
        (looked / "clips").mkdir(parents=True)
        for name in ("attention", "top_frames", "clips/one"):
            (looked / f"{name}.png").write_bytes(b"\x89PNG")
    code = main(
        ["report", str(folder / "good"), str(folder / "bad<b>"), "--replicates", "200"]
        + ["--out", str(folder / "out"), "--by", "fold", "--title", "A & B"]
    )
    assert code == 0
    return folder / "out"


def test_the_report_has_every_part(written):
    page = (written / "report.html").read_text()
    assert "<h1" in page and "A &amp; B</h1>" in page
    for part in (
        "Overview",
        "Every pattern",
        "Differences between models",
        "Calibration",
        "Prediction sets",
        "Cost",
        "Model: good",
        "How the numbers were made",
    ):
        assert f">{part}</h2>" in page
    assert "not for diagnosis" in page
    assert "luvnet &amp; co" in page and ">3.3<" in page
    assert "2 more pictures" in page and "v0: top frames" in page
    assert "Subgroups" in page and "References" in page


def test_the_report_is_one_file_that_asks_for_nothing_else(written):
    page = (written / "report.html").read_text()
    assert "bad<b>" not in page and "bad&lt;b&gt;" in page
    for source in re.findall(r'(?:src|href)="([^"]*)"', page):
        assert source.startswith(("data:image/png;base64,", "#s"))
    assert "http" not in re.sub(r"base64,[A-Za-z0-9+/=]*", "", page)


def test_the_markdown_says_the_same_and_its_figures_exist(written):
    text = (written / "report.md").read_text()
    links = re.findall(r"\]\((figures/[^)]*)\)", text)
    assert len(links) == len(set(links)) >= 12
    for link in links:
        assert (written / link).is_file()
    tree = json.loads((written / "study.json").read_text())
    level = tree["models"]["good"]["levels"]["clip"]
    low, high = level["macro_auroc_ci"]
    number = f"{level['macro_auroc']:.3f} [{low:.3f}, {high:.3f}]"
    page = (written / "report.html").read_text()
    assert number in text and number in re.sub(r"</?span>", "", page)


# Columns without intervals, as the report's second paragraph lists them.
BARE = re.compile(
    "acting at|prevalence|.* lowest to highest|"
    "threshold|.* p|.* p .*|mid-p .*|patients.*|.* / patients|p over patients|point|"
    "clip|precision|batch|parameters|GMACs|GFLOPs|ratio to XLA|peak MiB|latency.*|"
    "clips/s|device|run|.*ECE, .*|reliability|resolution|uncertainty|"
    "mean score − rate|effective patients.*|"
)


def tables_of(text):
    for block in text.split("\n\n"):
        if block.startswith("|"):
            rows = [line.strip("| ").split(" | ") for line in block.splitlines()]
            yield rows[0], rows[2:]


def test_every_number_but_those_named_is_followed_by_its_interval(written):
    text, checked = (written / "report.md").read_text(), 0
    for header, rows in tables_of(text):
        for row in rows:
            for name, cell in zip(header, row, strict=False):
                if re.match(r"\**[+-]?\d+\.\d", cell) and not BARE.fullmatch(name):
                    assert re.match(r"\**[+-]?\d+\.\d{2,3} \[", cell), (name, cell)
                    checked += 1
    assert checked > 300
    assert "Without an interval are p values, counts, thresholds" in text


def test_the_macro_value_comes_first_in_tables(written):
    text, found = (written / "report.md").read_text(), 0
    for header, rows in tables_of(text):
        if "pattern" in header:
            cells = [row[header.index("pattern")].strip("*") for row in rows]
            found += "macro" in cells
            assert "macro" not in cells or cells[0] == "macro"
        if "macro" in header:
            assert header[1] == "macro"
    assert found >= 9


def test_thresholds_of_folds_are_a_range():
    entry = {"threshold": None, "threshold_by_fold": {"0": 0.5, "1": 0.25, "2": 0.3}}
    tree = dict.fromkeys(METRICS, 0.5) | dict.fromkeys([f"{m}_ci" for m in METRICS])
    level = {f"macro_{name}": value for name, value in tree.items()}
    level |= {"macro_classes": dict.fromkeys(METRICS, 1)}
    level |= {"n": dict.fromkeys(("examples", "videos", "patients"), 9)}
    level |= {"classes": {"a": tree | entry}}
    whole = {
        "kind": "multilabel",
        "units": ["clip", "video"],
        "levels": {"clip": level},
    }
    table = discrimination(whole, "clip")
    assert table.rows[1][-1] == "0.250–0.500"
    assert "Each fold has a threshold of its own" in table.caption
    entry["threshold_by_fold"]["1"] = None
    table = discrimination(whole, "clip")
    assert table.rows[1][-1] == "0.300–0.500, not defined in 1 of 3"


def test_the_comparison_is_that_of_the_other_verb_and_survivors_are_named(written):
    tree = json.loads((written / "study.json").read_text())
    assert tree["comparison"]["reference"] == "good" and tree["not_compared"] == ""
    survivors = [r for r in tree["comparison"]["differences"] if r["survives"]]
    assert survivors
    text = (written / "report.md").read_text()
    assert "▼ worse" in text and "yes, worse" in text
    assert text.index("## Differences") < text.index("## Appendix: all tests")


def test_one_run_alone_is_reported_without_comparison(tmp_path):
    tree = write_study([Run("one", study(0), None)], tmp_path / "new", asked=FEW)
    assert tree["comparison"] is None and tree["not_compared"] == ""
    page = (tmp_path / "new/report.html").read_text()
    assert "Differences" not in page and "Cost" not in page
    assert "Comparisons:" not in page
    assert "<h1" in page and ">One</h1>" in page


def test_the_title_names_the_dataset_that_all_runs_tell(tmp_path):
    runs = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        facts = {"run": {"dataset": "busi"}}
        (folder / "metrics.json").write_text(json.dumps(facts))
        runs.append(Run(name, study(0), folder))
    write_study(runs, tmp_path / "out", asked=FEW)
    text = (tmp_path / "out/report.md").read_text()
    assert text.startswith("# busi: first and second\n")


def test_runs_of_other_examples_are_reported_but_not_compared_and_why(tmp_path, capsys):
    for name, table in (
        ("a", study(0)),
        ("b", study(0).rows(np.arange(len(study(0)) - 2))),
    ):
        table.write(tmp_path / f"{name}.csv")
    words = ["report", str(tmp_path / "a.csv"), str(tmp_path / "b.csv"), "--out"]
    assert main([*words, str(tmp_path / "out"), "--replicates", "200"]) == 0
    assert "were not compared: run 'b' has other examples" in capsys.readouterr().out
    assert "Models were not compared" in (tmp_path / "out/report.html").read_text()


def test_runs_that_are_no_study_are_refused(tmp_path):
    one = Run("one", study(0), None)
    renamed = replace(study(0), classes=("p", "q"))
    with pytest.raises(AnalysisError, match="run 'two' has classes p, q"):
        write_study([one, Run("two", renamed, None)], tmp_path, asked=FEW)
    pooled = replace(study(0), split=("out_of_fold",) * len(study(0)))
    folds = np.unique(pooled.patient_id, return_inverse=True)[1] % 2
    with pytest.raises(AnalysisError, match="'two' is judged on split out_of_fold"):
        pooled = replace(pooled, fold=folds)
        write_study([one, Run("two", pooled, None)], tmp_path, asked=FEW)
    with pytest.raises(AnalysisError, match="reference 'x' is none of the runs: one"):
        write_study([one], tmp_path, asked=FEW, reference="x")
    with pytest.raises(AnalysisError, match="needs one run"):
        write_study([], tmp_path, asked=FEW)


def test_a_cost_file_of_another_kind_is_named(tmp_path):
    (tmp_path / "cost.json").write_text('"fast"')
    with pytest.raises(AnalysisError, match="cost.json of one: not a list of rows"):
        write_study([Run("one", study(0), tmp_path)], tmp_path / "o", asked=FEW)


def test_costs_and_readers_of_other_folders_are_taken_in(tmp_path):
    rows = [{"name": "big", "macs": 3.05e11, "memory_bytes": {"total": 2**31}}]
    (tmp_path / "cost.json").write_text(json.dumps(rows))
    test = study(0).of_split("test")
    lines = [f"{e},{i % 2},0" for i, e in enumerate(test.example_id)]
    sheet = "\n".join(["clip_id,label_a_line,label_b_line", *lines])
    (tmp_path / "senior.csv").write_text(sheet)
    study(0).write(tmp_path / "one.csv")
    words = [str(tmp_path / "one.csv"), "--replicates", "200", "--out", str(tmp_path)]
    assert main(["readers", *words, "--sheets", str(tmp_path / "senior.csv")]) == 0
    words += ["--readers", str(tmp_path / "readers.json")]
    assert main(["report", *words, "--cost", str(tmp_path / "cost.json")]) == 0
    page = (tmp_path / "report.html").read_text()
    assert ">305.00<" in page and ">2,048<" in page
    assert ">Readers and networks</h2>" in page and ">senior<" in page
    assert main(["report", *words, "--cost", str(tmp_path / "none.json")]) == 2
    words[-1] = str(tmp_path / "cost.json")
    assert main(["report", *words]) == 2


def test_cross_validation_is_reported_too(tmp_path):
    rng = np.random.default_rng(1)
    table = join(*(simulate(rng, 5, split="out_of_fold", fold=f) for f in range(3)))
    tree = write_study([Run("cv", table, None)], tmp_path, asked=FEW)
    entry = tree["models"]["cv"]["levels"]["clip"]["classes"][CLASSES[0]]
    assert len(entry["threshold_by_fold"]) == 3
    assert "other folds" in (tmp_path / "report.md").read_text()


def test_models_look_different_up_to_a_limit():
    assert len({style(i) for i in range(MOST_MODELS)}) == MOST_MODELS
    with pytest.raises(AnalysisError, match="at most 18 can be told apart"):
        style(MOST_MODELS)


def test_names_that_look_like_formulas_are_written_as_they_are(tmp_path):
    names = (r"A|B $\frac{1$ $x_$", "b$_{", "c", "d$")
    table = replace(study(0), classes=names[: len(study(0).classes)])
    runs = [Run(name, table, None) for name in (r"$\frac{1$", "b$")]
    write_study(runs, tmp_path, asked=FEW)
    assert r"$\frac{1$" in (tmp_path / "report.md").read_text()
