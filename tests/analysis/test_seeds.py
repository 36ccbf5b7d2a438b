"""Several runs' spread over seeds, beside the patients' interval."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.analysis.simulated import CLASSES, join, simulate
from ultrasound_jax.analysis.__main__ import main
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.judge.seeds import over_seeds, seeds_of
from ultrasound_jax.analysis.table.inputs import open_runs

CONFIG = {"seed": 0, "data": {"name": "lus", "fold": 0}, "model": {"options": {}}}
FEW = ["--replicates", "200"]


def table(seed):
    rng = np.random.default_rng(0)
    whole = join(simulate(rng, 8, split="validation"), simulate(rng, 12))
    noise = np.random.default_rng(seed).normal(size=whole.scores.shape)
    logits = np.log(whole.scores / (1 - whole.scores)) + 0.5 * noise
    return replace(whole, scores=1 / (1 + np.exp(-logits)))


def write(folder, seed, **changes):
    folder.mkdir(parents=True)
    table(seed).write(folder / "predictions.csv")
    config = CONFIG | {"seed": seed} | changes
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)


@pytest.fixture
def paths(tmp_path):
    return [write(tmp_path / f"run{seed}", seed) for seed in (3, 4, 5)]


def test_mean_sd_and_range_are_those_of_the_runs_aurocs(paths):
    tree = over_seeds(open_runs(paths), "test", ["clip", "video_mean"])
    assert tree["seeds"] == {"run3": 3, "run4": 4, "run5": 5}
    macro = []
    for k, name in enumerate(CLASSES):
        values = []
        for seed in (3, 4, 5):
            rows = table(seed).of_split("test")
            known = ~np.isnan(rows.labels[:, k])
            values.append(roc_auc_score(rows.labels[known, k], rows.scores[known, k]))
        entry = tree["levels"]["clip"][name]
        assert list(entry["values"].values()) == pytest.approx(values)
        assert entry["mean"] == pytest.approx(np.mean(values))
        assert entry["sd"] == pytest.approx(np.std(values, ddof=1))
        ends = (entry["lowest"], entry["highest"])
        assert ends == pytest.approx((min(values), max(values)))
        low, high = entry["mean_ci"]
        assert low < entry["mean"] < high
        macro.append(values)
    whole = tree["levels"]["clip"]["macro"]
    assert whole["sd"] == pytest.approx(np.std(np.mean(macro, axis=0), ddof=1))
    assert set(tree["levels"]) == {"clip", "video_mean"}


def test_the_patients_interval_does_not_shrink_with_more_seeds(paths):
    few = over_seeds(open_runs(paths[:2]), "test", ["clip"])["levels"]["clip"]
    more = over_seeds(open_runs(paths), "test", ["clip"])["levels"]["clip"]
    for name in CLASSES:
        assert np.ptp(more[name]["mean_ci"]) > 0.7 * np.ptp(few[name]["mean_ci"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": {"name": "lus", "fold": 1}}, "of folds 0 and 1: folds are judged on"),
        ({"data": {"name": "pocus", "fold": 0}}, 'config.data.name: "lus" and "pocus"'),
        ({"model": {"options": {"heads": 4}}}, "config.model.options"),
        ({"seed": 3}, "runs 'run3' and 'other' have the same seed 3"),
    ],
)
def test_runs_that_differ_in_more_than_the_seed_are_refused_in_one_line(
    paths, tmp_path, capsys, changes, message
):
    other = write(tmp_path / "other", **({"seed": 9} | changes))
    for verb in ("metrics", "report"):
        words = [verb, paths[0], other, "--seeds", "--out", str(tmp_path / "out"), *FEW]
        assert main(words) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1 and message in lines[0]
    assert not (tmp_path / "out").exists()


def test_one_run_and_a_table_without_configuration_are_refused(paths, tmp_path):
    with pytest.raises(AnalysisError, match="1 runs; a spread over seeds needs two"):
        seeds_of(open_runs(paths[:1]))
    table(1).write(tmp_path / "alone.csv")
    with pytest.raises(AnalysisError, match="'alone' has no config.json with a seed"):
        seeds_of(open_runs([paths[0], tmp_path / "alone.csv"]))


def test_files_and_pages_have_the_spread_beside_the_interval(paths, tmp_path):
    out = tmp_path / "out"
    assert main(["metrics", *paths, "--seeds", "--out", str(out), *FEW]) == 0
    tree = json.loads((out / "metrics.json").read_text())["seeds"]
    rows = list(csv.DictReader((out / "metrics.csv").read_text().splitlines()))
    sds = [r for r in rows if r["part"] == "seeds" and r["metric"] == "sd"]
    several = ["clip", "video_mean", "video_max", "patient_mean", "patient_max"]
    assert sorted(tree["levels"]) == sorted(several)
    assert len(sds) == len(several) * (1 + len(CLASSES))
    macro = tree["levels"]["clip"]["macro"]
    assert float(sds[0]["value"]) == pytest.approx(macro["sd"])
    text = (out / "metrics.md").read_text()
    assert "## Spread over seeds" in text and f"{macro['sd']:.3f}" in text
    assert main(["report", *paths, "--seeds", "--out", str(out), *FEW]) == 0
    assert "Spread over seeds" in (out / "report.md").read_text()
    assert json.loads((out / "study.json").read_text())["seeds"] == tree
