"""Folders of runs in which something is wrong: refused in one line, or said."""

import json
import shutil
from dataclasses import replace

import pytest

from tests.conftest import shrink
from ultrasound_jax import config as settings
from ultrasound_jax import train
from ultrasound_jax.data.examples import SplitError
from ultrasound_jax.data.spec import SpecError
from ultrasound_jax.experiment import open_experiment
from ultrasound_jax.predict import binding, model_file, open_run
from ultrasound_jax.predict.examples import own_experiment
from ultrasound_jax.runs.locks import Lock, LockError
from ultrasound_jax.study.crossval import check_judged
from ultrasound_jax.training.one_writer import LOCK, one_writer
from ultrasound_jax.types import UltrasoundError


@pytest.fixture(scope="module")
def trained(tmp_path_factory, data_dir):
    config = settings.load("configs/luvnet.py")
    config.model.name = "tests.glance:Glance"
    with config.model.unlocked():
        config.model.options = {"width": 4}
    shrink(config, data_dir)
    config.train.epochs = 1
    settings.complete(config)
    folder = tmp_path_factory.mktemp("hostile") / "run"
    train.train_and_evaluate(config, folder)
    return folder


@pytest.fixture
def run(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


def use(folder):
    """What `--mode evaluate` does before it computes anything; returns what is said."""
    said = []
    config = settings.read(folder)
    opened = open_run(folder, said.append)
    own_experiment(opened, config, said.append)
    return said


def change(path, edit):
    tree = json.loads(path.read_text())
    edit(tree)
    path.write_text(json.dumps(tree))


def resealed(path, edit):
    """As somebody would who knows that there is a digest."""

    def change_and_drop(tree):
        edit(tree)
        del tree["digest"]

    change(path, change_and_drop)


def test_whole_runs_say_nothing(run):
    assert use(run) == []


def swap_sides(tree):
    test, fold = tree["parts"]["test"], tree["parts"]["fold_1"]
    tree["parts"]["test"], tree["parts"]["fold_1"] = fold, test
    tree.pop("counts")


def reverse_classes(tree):
    labels = tree["spec"]["fields"]["labels"]
    labels["classes"] = labels["classes"][::-1]
    tree["classes"] = labels["classes"]


def other_threshold(tree):
    tree["thresholds"]["clip"]["a_line"] = 0.0


def folder_instead(path):
    path.unlink()
    path.mkdir()


def loop_instead(path):
    shutil.rmtree(path)
    path.symlink_to(path.name)


MODEL, SPLITS = "model.json", "splits.json"
REFUSED = {
    "training patients as test": (
        SPLITS,
        lambda r: change(r / SPLITS, swap_sides),
    ),
    "another fold in the settings": (
        "config.json",
        lambda r: change(r / "config.json", lambda t: t["data"].update(fold=1)),
    ),
    "another dataset in the settings": (
        "trained on|trained with|not built",
        lambda r: change(
            r / "config.json", lambda t: t["data"]["options"].update(seed=4)
        ),
    ),
    "splits gone": (SPLITS, lambda r: (r / SPLITS).unlink()),
    "splits empty": (SPLITS, lambda r: (r / SPLITS).write_text("")),
    "splits nested": (SPLITS, lambda r: (r / SPLITS).write_text("[" * 100_000)),
    "splits twice": (
        SPLITS,
        lambda r: (r / SPLITS).write_text('{"version": 1, "version": 1}'),
    ),
    "splits not a number": (
        SPLITS,
        lambda r: (r / SPLITS).write_text('{"version": NaN}'),
    ),
    "splits no text": (SPLITS, lambda r: (r / SPLITS).write_bytes(b"\xff")),
    "splits a folder": (SPLITS, lambda r: folder_instead(r / SPLITS)),
    "class names in another order": (
        MODEL,
        lambda r: change(r / MODEL, reverse_classes),
    ),
    "the same without a digest": (
        "best/|best' ",
        lambda r: resealed(r / MODEL, reverse_classes),
    ),
    "the same without any hash": (
        "class names",
        lambda r: resealed(r / MODEL, lambda t: (reverse_classes(t), t.pop("bound"))),
    ),
    "another threshold": (MODEL, lambda r: change(r / MODEL, other_threshold)),
    "model gone": (MODEL, lambda r: (r / MODEL).unlink()),
    "model empty": (MODEL, lambda r: (r / MODEL).write_text("")),
    "model nested": (MODEL, lambda r: (r / MODEL).write_text("[" * 100_000)),
    "model a folder": (MODEL, lambda r: folder_instead(r / MODEL)),
    "model of nonsense": (
        MODEL,
        lambda r: resealed(r / MODEL, lambda t: t.update(spec=5, network=[])),
    ),
    "model of a huge width": (
        "checkpoints|model.json|width",
        lambda r: resealed(
            r / MODEL, lambda t: t["network"]["options"].update(width=16)
        ),
    ),
    "bound to a number": (
        MODEL,
        lambda r: resealed(r / MODEL, lambda t: t.update(bound=5)),
    ),
    "weights of another run": (
        "not made by this run: it has other settings",
        lambda r: [
            change(p, lambda t: t["bound"].update(run="0" * 64))
            for p in r.glob("checkpoints/best/*/host/metadata")
        ],
    ),
    "no checkpoints": ("checkpoint", lambda r: shutil.rmtree(r / "checkpoints")),
    "best a loop": ("best", lambda r: loop_instead(r / "checkpoints/best")),
    "all checkpoints empty": (
        "best",
        lambda r: [
            p.write_bytes(b"") for p in r.glob("checkpoints/**/*") if p.is_file()
        ],
    ),
}


@pytest.mark.parametrize(("named", "edit"), REFUSED.values(), ids=REFUSED)
def test_a_hostile_folder_is_refused_in_one_line(run, named, edit):
    edit(run)
    with pytest.raises(UltrasoundError, match=named) as refused:
        use(run)
    assert "\n" not in str(refused.value).strip()


def newest(run, series):
    return max(run.glob(f"checkpoints/{series}/[0-9]*"), key=lambda p: int(p.name))


SAID = {
    "latest gone": ("", lambda r: shutil.rmtree(r / "checkpoints/latest")),
    "a file under way": ("", lambda r: (r / ".x.1234.tmp").write_text("")),
    "a note of a person": ("", lambda r: (r / "notes.txt").write_text("mine")),
    "a run of an earlier version": (
        "before runs were bound",
        lambda r: resealed(r / MODEL, lambda t: t.pop("bound")),
    ),
}


@pytest.mark.parametrize(("told", "edit"), SAID.values(), ids=SAID)
def test_what_does_no_harm_is_used_and_said(run, told, edit):
    edit(run)
    said = use(run)
    assert bool(said) == bool(told)
    assert all(told in line for line in said)


def test_a_dataset_with_other_class_names_is_refused(run, data_dir):
    config = settings.read(run)
    opened = open_run(run, print)
    names = tuple(reversed(opened.classes))
    field = replace(opened.spec["labels"], classes=names)
    opened.task.spec._fields["labels"] = field
    with pytest.raises(SpecError, match="has the classes"):
        own_experiment(opened, config, print)


def test_a_dataset_that_changed_between_two_starts_is_refused(run, monkeypatch):
    experiment = open_experiment(settings.read(run), lambda line: None)
    table = experiment.source.table
    labels = table.labels.copy()
    labels[0, 0] = 1 - labels[0, 0]
    source = experiment.source
    monkeypatch.setattr(source, "table", replace(table, labels=labels))
    with pytest.raises(binding.BindingError, match="the examples .* are not those"):
        model_file.begin(experiment, run)
    patients = ("PX", *table.patient_id[1:])
    monkeypatch.setattr(source, "table", replace(table, video_id=patients))
    with pytest.raises(binding.BindingError, match="the examples .* are not those"):
        model_file.begin(experiment, run)
    monkeypatch.setattr(source, "table", table)
    bound = model_file.begin(experiment, run)
    assert bound == model_file.read(run)["bound"]
    (run / "splits.json").write_text((run / "splits.json").read_text()[:50])
    with pytest.raises(SplitError, match=r"splits\.json"):
        model_file.begin(experiment, run)


def test_a_run_from_before_is_bound_from_when_it_continues(run):
    resealed(run / MODEL, lambda t: t.pop("bound"))
    experiment = open_experiment(settings.read(run), lambda line: None)
    said = []
    model_file.begin(experiment, run, said.append)
    assert "before runs were bound" in said[0]
    assert model_file.read(run)["bound"] == binding.bound_of(experiment)


def test_a_lost_model_file_is_written_again_and_fits_its_checkpoints(run):
    known = model_file.read(run)["bound"]
    (run / MODEL).unlink()
    experiment = open_experiment(settings.read(run), lambda line: None)
    assert model_file.begin(experiment, run) == known
    assert use(run) == []


def test_another_table_than_the_metrics_were_made_of_is_refused(run):
    metrics = json.loads((run / "metrics.json").read_text())
    check_judged(run, metrics)
    path = run / "predictions.csv"
    path.write_text(path.read_text().replace("0.5", "0.6"))
    with pytest.raises(binding.BindingError, match=r"predictions\.csv is not the"):
        check_judged(run, metrics)


def test_the_second_best_stands_in_the_result(run):
    shutil.copytree(newest(run, "best"), run / "checkpoints/best/1")
    shutil.rmtree(run / "checkpoints/latest")
    for path in newest(run, "best").rglob("d/*"):
        path.write_bytes(b"")
    config = settings.read(run)
    from ultrasound_jax import evaluate

    metrics = evaluate.evaluate_run(config, run)
    assert "the second best, of step 1" in metrics["run"]["weights"]
    assert "the second best, of step 1" in (run / "report.md").read_text()


def test_two_processes_never_write_one_folder(run):
    config = settings.read(run)
    other = Lock(run / LOCK)
    assert other.take()
    try:
        for work in (train.train_and_evaluate, train.evaluate.evaluate_run):
            with pytest.raises(LockError, match="is being written by process"):
                work(config, run)
        with pytest.raises(LockError, match="is being written"), one_writer(run):
            pass
        assert use(run) == []  # who only reads may
    finally:
        other.release()
    with one_writer(run):
        assert (run / LOCK).exists()
    assert not (run / LOCK).exists()
