import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from tests.conftest import ROOT, TINY
from ultrasound_jax import config as settings
from ultrasound_jax.analysis.table.predictions import Predictions
from ultrasound_jax.models import ModelError
from ultrasound_jax.runs import locks
from ultrasound_jax.study import crossval, estimate, plan, results
from ultrasound_jax.study import work as worker
from ultrasound_jax.types import InputError, UltrasoundError

NAMES = ("frame_vote", "luvnet")
NOTEBOOK = ROOT / "experiments/luvnet_study.ipynb"


@pytest.fixture
def configs(data_dir):
    found = {}
    for name in NAMES:
        config = settings.load(f"{ROOT}/configs/video_baselines.py:{name}_tiny")
        config.data.data_dir = str(data_dir)
        with config.data.unlocked():
            config.data.options = TINY
        found[name] = config
    return found


@pytest.fixture
def study(configs, tmp_path):
    return plan.make_study(configs, tmp_path / "study")


@pytest.fixture
def faked(monkeypatch):
    """Runs that end at once, and the order in which they were made."""
    made = []

    def train(config, folder):
        made.append((config.model.name, config.data.fold, config.optim.lr))
        folder.mkdir(parents=True)
        (folder / "metrics.json").write_text("{}")

    def pool(config, folder):
        made.append((config.model.name, "all", config.optim.lr))
        (folder / "metrics.json").write_text("{}")

    def search(config, folder):
        made.append((config.model.name, "lr", config.optim.lr))
        folder.mkdir(parents=True)
        trials = [{"state": "complete"}] * config.tune.trials
        best = {"settings": {"optim.lr": 0.004}}
        tree = {"trials": trials, "running": 0, "best": best}
        (folder / "tune.json").write_text(json.dumps(tree))

    monkeypatch.setattr(worker, "train_and_evaluate", train)
    monkeypatch.setattr(worker, "cross_validate", pool)
    monkeypatch.setattr(worker, "tune", search)
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.01)
    return made


def quiet(line):
    pass


def test_every_network_runs_every_fold_once_and_is_then_pooled(study, faked):
    outcome = worker.work(worker.pieces_of(study), quiet)
    folds = [0, 1, 2, "all"]
    assert [(n, f) for n, f, _ in faked] == [(n, f) for n in NAMES for f in folds]
    assert len(outcome.done) == 8
    assert not outcome.failed and not outcome.elsewhere and not outcome.blocked
    faked.clear()
    assert worker.work(worker.pieces_of(study), quiet).done == outcome.done
    assert faked == []


def write_run(config, folder):
    folder.mkdir(parents=True, exist_ok=True)
    settings.write(config, folder)
    (folder / "metrics.json").write_text("{}")


def test_finished_runs_of_other_settings_are_refused(configs, tmp_path, faked):
    study = plan.make_study(configs, tmp_path / "study")
    for fold in study.folds:
        folder = study.run_folder("luvnet") / f"fold_{fold}"
        write_run(study.of_fold("luvnet", fold), folder)
    plan.check_runs(study)
    for name in NAMES:
        configs[name].train.epochs = 7
    other = plan.make_study(configs, tmp_path / "study")
    with pytest.raises(plan.StudyError, match=r"epochs=7 \(there 2\).*another --out"):
        plan.check_runs(other)
    with pytest.raises(plan.StudyError, match="epochs=7"):
        results.conclude(other, worker.Outcome((), (), {}, ()), quiet)
    assert not (study.folder / "results.json").exists()


def test_runs_at_another_rate_than_the_search_found_are_refused(
    configs, tmp_path, faked
):
    plain = plan.make_study(configs, tmp_path / "study")
    folder = plain.run_folder("luvnet") / "fold_0"
    write_run(plain.of_fold("luvnet", 0), folder)
    study = plan.make_study(configs, tmp_path / "study", trials=2)
    with pytest.raises(plan.StudyError, match="before the search for its rate ended"):
        plan.check_runs(study)
    worker.work(worker.pieces_of(study), quiet)
    with pytest.raises(plan.StudyError, match=r"optim.lr=0.004 \(there 0.001\)"):
        plan.check_runs(study)


def test_splits_of_another_seed_are_refused(study, configs, tmp_path):
    plan.prepare(study, quiet)
    for name in NAMES:
        configs[name].data.split_seed = 5
    with pytest.raises(plan.StudyError, match=r"split with seed 0; .*split_seed=5"):
        plan.prepare(plan.make_study(configs, study.folder), quiet)


def test_a_damaged_result_is_one_networks_failure_and_named(
    configs, tmp_path, faked, monkeypatch
):
    study = plan.make_study(configs, tmp_path / "study")
    monkeypatch.setattr(worker, "cross_validate", crossval.cross_validate)
    folder = study.run_folder("frame_vote")
    for fold in study.folds:
        write_run(study.of_fold("frame_vote", fold), folder / f"fold_{fold}")
    settings.write(study.of_fold("frame_vote", 0), folder)
    plan.prepare(study, quiet)
    (folder / "fold_1/metrics.json").write_text('{"test": ')
    (folder / "fold_0/metrics.json").write_text('{"test": ')
    one = worker.pieces_of(study)[:4]
    outcome = worker.work(one, quiet)
    assert "fold_0/metrics.json: cannot be read" in outcome.failed[one[-1].title]


def test_a_damaged_search_is_named(configs, tmp_path):
    study = plan.make_study(configs, tmp_path / "study", trials=2)
    study.tune_folder("luvnet").mkdir(parents=True)
    (study.tune_folder("luvnet") / "tune.json").write_text('{"broken')
    with pytest.raises(InputError, match="tune.json: cannot be read"):
        study.tuned("luvnet")


def test_a_worker_leaves_between_two_pieces_when_it_is_asked(study, faked):
    with pytest.raises(KeyboardInterrupt):
        worker.work(worker.pieces_of(study), quiet, leave=lambda: len(faked) == 2)
    assert len(faked) == 2
    assert not list((study.folder / "locks").iterdir())


def test_the_folds_train_at_the_rate_that_the_search_found(configs, tmp_path, faked):
    study = plan.make_study(configs, tmp_path / "study", trials=2)
    worker.work(worker.pieces_of(study), quiet)
    own = configs["luvnet"].optim.lr
    for name in NAMES:
        rates = {fold: rate for n, fold, rate in faked if n == name}
        assert rates == {"lr": own, 0: 0.004, 1: 0.004, 2: 0.004, "all": 0.004}


def test_several_workers_share_the_runs_and_none_is_made_twice(
    study, faked, monkeypatch
):
    fake = worker.train_and_evaluate

    def slowly(config, folder):
        time.sleep(0.03)
        fake(config, folder)

    monkeypatch.setattr(worker, "train_and_evaluate", slowly)
    outcomes = []

    def work():
        outcomes.append(worker.work(worker.pieces_of(study), quiet))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(faked) == len(set(faked)) == 8
    assert any(not outcome.elsewhere for outcome in outcomes)
    assert not list((study.folder / "locks").iterdir())


def test_a_worker_with_nothing_left_to_take_leaves_it_to_the_other(study, faked):
    held = worker.pieces_of(study)[2]
    with locks.attempt(held.lock):
        said = []
        outcome = worker.work(worker.pieces_of(study), said.append)
    assert outcome.elsewhere == ("frame_vote, fold 2",)
    assert f"left to process {os.getpid()}" in said[-1]
    assert ("frame_vote", "all") not in [run[:2] for run in faked]
    assert ("luvnet", "all") in [run[:2] for run in faked]


def test_a_worker_waits_for_a_search_that_frees_several_folds(configs, tmp_path, faked):
    one = {"luvnet": configs["luvnet"]}
    study = plan.make_study(one, tmp_path / "study", trials=1)
    search = worker.pieces_of(study)[0]
    lock = locks.Lock(search.lock)
    assert lock.take()

    def finish():
        search.work()
        lock.release()

    threading.Timer(0.1, finish).start()
    outcome = worker.work(worker.pieces_of(study), quiet)
    assert len(outcome.done) == 5


def test_what_ends_while_a_worker_looks_frees_what_waits_for_it(tmp_path):
    made = []
    looks = iter([False, False])  # which pieces are open, and what is ready

    def searched():  # by another worker, behind this one's second look
        return next(looks, True)

    search = worker.Piece("search", tmp_path / "a", searched, made.clear)
    fold = worker.Piece(
        "fold",
        tmp_path / "b",
        done=lambda: "fold" in made,
        work=lambda: made.append("fold"),
        needs=(search,),
    )
    assert locks.Lock(search.lock).take()
    outcome = worker.work([search, fold], quiet)
    assert outcome.done == ("search", "fold") and not outcome.elsewhere


def test_a_run_that_fails_keeps_no_other_from_being_made(study, faked, monkeypatch):
    fake = worker.train_and_evaluate

    def fails(config, folder):
        if (config.model.name, config.data.fold) == ("frame_vote", 1):
            raise UltrasoundError("the step does not fit")
        fake(config, folder)

    monkeypatch.setattr(worker, "train_and_evaluate", fails)
    outcome = worker.work(worker.pieces_of(study), quiet)
    assert outcome.failed == {"frame_vote, fold 1": "the step does not fit"}
    assert outcome.blocked == ("frame_vote, all folds",)
    assert len(outcome.done) == 6
    assert results.finished(study) == ["luvnet"]


def test_an_interrupted_run_gives_its_lock_back(study, faked, monkeypatch):
    def interrupted(config, folder):
        raise SystemExit(143)

    monkeypatch.setattr(worker, "train_and_evaluate", interrupted)
    with pytest.raises(SystemExit):
        worker.work(worker.pieces_of(study), quiet)
    assert not list((study.folder / "locks").iterdir())


def test_networks_on_different_data_are_refused(configs, tmp_path):
    configs["luvnet"].data.split_seed = 5
    with pytest.raises(plan.StudyError, match="data.split_seed must be the same"):
        plan.make_study(configs, tmp_path)


def test_a_network_with_a_protocol_of_its_own_is_told(configs, tmp_path):
    configs["luvnet"].train.epochs = 9
    study = plan.make_study(configs, tmp_path)
    assert plan.differences(study.configs) == {
        "train.epochs": {"frame_vote": 2, "luvnet": 9}
    }
    assert "train.epochs" not in plan.shared_settings(study)
    assert plan.shared_settings(study)["optim.name"] == "adamw"


@pytest.mark.usefixtures("one_device")
def test_the_splits_are_written_once_and_all_networks_are_built_first(study, configs):
    said = []
    plan.prepare(study, said.append)
    path = study.folder / "splits.json"
    before = path.stat().st_mtime_ns
    assert [line.partition(":")[0] for line in said if "parameters" in line] == [*NAMES]
    broken = {"luvnet": study.of_fold("luvnet", 0)}
    broken["luvnet"].model.options.heads = 7
    with pytest.raises(ModelError, match="heads"):
        plan.prepare(replace(study, configs=broken), quiet)
    assert path.stat().st_mtime_ns == before
    for name in NAMES:
        assert study.of_fold(name, 1).data.manifest == str(path)
    other = {"luvnet": study.of_fold("luvnet", 0)}
    other["luvnet"].data.folds = 4
    with pytest.raises(plan.StudyError, match="has 3 folds and the study 4"):
        plan.prepare(replace(study, configs=other), quiet)


@pytest.mark.usefixtures("one_device")
def test_the_estimate_adds_up_what_it_measured(configs, tmp_path, monkeypatch):
    one = {"frame_vote": configs["frame_vote"]}
    study = plan.make_study(one, tmp_path / "study", trials=4)
    plan.prepare(study, quiet)
    said = []
    tree = estimate.estimate(study, said.append)
    row = tree["networks"][0]
    epoch = row["steps"] / 2 * row["step_s"] + row["evaluation_s"]
    run = row["opening_s"] + row["compile_s"] + 2 * epoch + 2 * row["evaluation_s"]
    seconds = 3 * run + 4 * 2 * epoch + row["compile_s"]
    assert row["step_s"] > 0
    np.testing.assert_allclose(3600 * tree["hours"], seconds, rtol=1e-6)
    assert "hours for one worker" in said[-1]
    assert tree == json.loads((study.folder / "estimate.json").read_text())
    assert not (study.folder / "runs").exists()


def command(*words):
    return subprocess.run(
        [sys.executable, "experiments/luvnet_study.py", *map(str, words)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=1200,
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--models", "swin"], "swin"),
        (["--dataset", "phantom", "--recipe", "full"], "pocus with full"),
        (["--dataset", "nowhere.py"], "no configuration file 'nowhere.py'"),
        (["--shrink", "--set", "train.epoch=3"], "did you mean 'epochs'"),
        (["--shrink", "--set", "train.epochs=many"], "of type int"),
        (["--shrink", "--tune", "-1"], "0 or more"),
        (["--shrink", "--set", "data.options=3"], "settings of its own; give data.opt"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(words, said, tmp_path, capsys):
    path = ROOT / "experiments/luvnet_study.py"
    spec = importlib.util.spec_from_file_location("luvnet_study", path)
    assert spec and spec.loader
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    try:
        code = program.main([*words, "--out", str(tmp_path / "study")])
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert said in lines[0]
    assert not (tmp_path / "study").exists()


@pytest.mark.slow
def test_the_command_ends_with_the_report_and_repeats_nothing(data_dir, tmp_path):
    words = ["--shrink", "--models", *NAMES, "--set", f"data.options.size={32}"]
    words += ["--data_dir", data_dir, "--out", tmp_path / "study"]
    ended = command(*words)
    assert ended.returncode == 0, ended.stderr
    folder = tmp_path / "study"
    tree = json.loads((folder / "results.json").read_text())
    assert list(tree["networks"]) == [*NAMES]
    assert tree["not_alike"] == tree["failed"] == {}
    for network in tree["networks"].values():
        assert set(network["trained"]) == {"commit", "date", "cpu", "devices"}
    assert str(tmp_path) not in (folder / "results.json").read_text()
    assert (folder / "report/report.html").exists()
    tables = [Predictions.read(folder / "runs" / n / "predictions.csv") for n in NAMES]
    assert tables[0].example_id == tables[1].example_id
    splits = {p.read_text() for p in folder.glob("runs/*/fold_*/splits.json")}
    assert splits == {(folder / "splits.json").read_text()}
    before = {p: p.stat().st_mtime_ns for p in folder.glob("runs/**/metrics.json")}
    assert command(*words).returncode == 0
    assert {p: p.stat().st_mtime_ns for p in before} == before


def cell_with(words):
    """The notebook's one cell of code that has these words."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    cells = [c.source for c in notebook.cells if c.cell_type == "code"]
    (found,) = [source for source in cells if words in source]
    return found


def test_in_colab_the_notebook_asks_for_an_address_and_clones_it(tmp_path, monkeypatch):
    asked = []

    def run(command, check):
        asked.append(command)
        (tmp_path / "ultrasound_jax/experiments").mkdir(parents=True, exist_ok=True)

    monkeypatch.setitem(sys.modules, "google.colab", sys)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(subprocess, "run", run)
    source, _ = cell_with("REPOSITORY").split("from absl import flags")
    field = 'REPOSITORY = ""  # @param'
    assert source.count(field) == 1
    with pytest.raises(ValueError, match="Fill in REPOSITORY"):
        exec(source, {})  # noqa: S102 (our own notebook)
    assert asked == []
    filled = source.replace(field, 'REPOSITORY = "git@host:copy"  # @param')
    exec(filled, {})  # noqa: S102
    assert asked[0][-2:] == ["git@host:copy", "ultrasound_jax"]
    assert Path.cwd() == tmp_path / "ultrasound_jax"


def test_the_notebook_waits_for_the_runs_of_other_machines(monkeypatch):
    answers, slept = [{"networks": {}}, {}, {}], []
    monkeypatch.setattr(time, "sleep", slept.append)
    names = {"study": lambda: answers.pop()}
    exec(cell_with("results :="), names)  # noqa: S102
    assert names["results"] == {"networks": {}} and len(slept) == 2


@pytest.mark.slow
def test_the_notebook_runs(tmp_path, monkeypatch):
    known = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), known]))
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setenv("STUDY_FOLDER", str(tmp_path / "study"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(
        notebook, timeout=1800, resources={"metadata": {"path": str(ROOT)}}
    )
    client.execute()
    assert (tmp_path / "study/report/report.html").exists()
