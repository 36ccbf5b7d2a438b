"""A finished run judged on another dataset."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from tests.command import run as command
from tests.conftest import TINY
from ultrasound_jax import config as settings
from ultrasound_jax import external_matching, external_validation, tasks, train
from ultrasound_jax.analysis.judge.run import judge_table
from ultrasound_jax.analysis.table.mask_table import read_table
from ultrasound_jax.data import source as sources
from ultrasound_jax.data.examples import SplitError
from ultrasound_jax.data.spec import Field, Spec, SpecError
from ultrasound_jax.predict import RunError, open_run
from ultrasound_jax.training.checkpoint import CheckpointError
from ultrasound_jax.types import UltrasoundError


@pytest.fixture(scope="module")
def trained(tmp_path_factory, data_dir):
    """A run on the tiny phantom, and the folder of its dataset."""
    from tests.conftest import shrink

    config = settings.load("configs/luvnet.py")
    shrink(config, data_dir)
    config.train.epochs = 1
    folder = tmp_path_factory.mktemp("external") / "run"
    train.train_and_evaluate(config, folder)
    return folder


def judged(trained, out, *more):
    return command("--mode=evaluate", f"--workdir={trained}", f"--out={out}", *more)


def test_a_run_is_judged_on_other_patients_of_the_same_kind(trained, tmp_path):
    own = {path.name: path.read_bytes() for path in trained.glob("*.*")}
    code, out, err = judged(
        trained,
        tmp_path / "out",
        "--config.data.options.seed=11",
        "--config.data.options.patients=5",
        "--config.evaluation.replicates=200",
    )
    assert code == 0, err
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    assert metrics["test"]["thresholds_from"] == "given"
    thresholds = open_run(trained, print).thresholds
    for level, of_level in thresholds.items():
        for name, value in of_level.items():
            assert metrics["test"][level]["classes"][name]["threshold"] == value
    table = read_table(tmp_path / "out/predictions.csv")
    assert set(table.split) == {"test"} and len(set(table.patient_id)) == 5
    report = (tmp_path / "out/report.md").read_text()
    assert "trained on" in report
    assert "given: those of an earlier run" in report
    assert "near duplicates" in out and "macro AUROC of clips" in out
    now = {path.name: path.read_bytes() for path in trained.glob("*.*")}
    assert now == own, "the run's own files stay as they are"


def test_the_run_s_own_patients_are_refused(trained, tmp_path):
    code, _, err = judged(trained, tmp_path / "out")
    assert code == 2 and "patients of the run's own splits would be judged" in err
    assert not (tmp_path / "out").exists()
    assert len(err.strip().splitlines()) == 1


def test_the_run_s_own_folder_and_a_full_one_are_refused(trained, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("x")
    for out, words in (
        (trained, "run's own folder"),
        (tmp_path / "full", "other files"),
    ):
        with pytest.raises(external_validation.ConfigError, match=words):
            external_validation.check_out(out, trained)


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        (
            "data.fold=1",
            "config.data.fold=1 is not allowed: the run was trained with 0",
        ),
        ("model.name=x3d_s", "the run was trained with 'luvnet'"),
        ("train.epochs=9", "--mode evaluate takes data.name, data.options"),
        ("data.eval_batch_size=0", "it must be 1 or more"),
        ("data.name=3", "config.data.name='3' is no dataset"),
    ],
)
def test_what_a_run_was_trained_with_is_not_changed_by_judging_it(
    trained, tmp_path, mistake, said
):
    """Another fold would be judged on patients that it was trained on."""
    config, before = settings.read(trained), (trained / "predictions.csv").read_bytes()
    with pytest.raises(UltrasoundError, match=re.escape(said)):
        external_validation.judge(config, trained, [mistake], out="", mode="evaluate")
    assert (trained / "predictions.csv").read_bytes() == before


def test_files_that_a_built_dataset_does_not_read_are_told(trained, tmp_path):
    """They may be another hospital's, and what is judged is not."""
    data = settings.read(trained).data
    assert external_validation.files_not_read(data) == {}
    with data.unlocked():
        data.manual_dir = str(tmp_path)
    (note,) = external_validation.files_not_read(data).values()
    assert re.fullmatch(r"not read, as \S+ is built already", note)
    data.data_dir = str(tmp_path)
    assert external_validation.files_not_read(data) == {}


def test_the_folder_of_a_cross_validation_is_not_written_over(trained, tmp_path):
    for name in ("config.json", "splits.json", "predictions.csv"):
        (tmp_path / name).write_text("pooled")
    with pytest.raises(settings.ConfigError, match="run's own folder"):
        external_validation.check_out(tmp_path, trained)


class Other(sources.Source):
    """A dataset as far as classes and patients go."""

    def __init__(self, classes, labels, spec, patients=None):
        self.name, self.classes, self.spec = "other/1.0.0", classes, spec
        self.pixels, self.records = "clip", []
        names = tuple(f"e{i}" for i in range(len(labels)))
        from ultrasound_jax.data.examples import ExampleTable

        self.table = ExampleTable(
            names,
            names,
            tuple(patients or names),
            np.array(labels, np.int8),
            classes,
            "h",
        )

    def __len__(self):
        return len(self.table.example_id)


def test_classes_are_matched_by_name_and_the_rest_is_told(trained):
    run = open_run(trained, print)
    theirs = ("pleural_effusion", "fracture", "b_line")
    source = Other(theirs, [[1, 0, 0], [0, 1, -1], [-1, 1, -1]], run.spec)
    read, notes = external_matching.matched(run, source)
    assert read.classes == run.classes
    for k, name in enumerate(run.classes):
        expected = [-1] * 3
        if name in theirs:
            expected = source.table.labels[:, theirs.index(name)].tolist()
        assert read.table.labels[:, k].tolist() == expected
    left = {name for name in run.classes if name not in theirs}
    assert all(
        name in notes["classes of the run that the dataset lacks"] for name in left
    )
    assert "fracture" in notes["classes of the dataset that the run does not know"]
    places = external_matching.judged_places(run, read, notes)
    assert places.tolist() == [0, 1] or places.tolist() == [0]
    assert any("not judged" in name for name in notes)


def other_run(trained, task="multiclass", *, classes=(), more=(), **changes):
    """The trained run as if it told these classes apart, for another task."""
    run = open_run(trained, print)
    labels = replace(run.spec["labels"], shape=(len(classes),), classes=classes)
    fields = {**run.spec, "labels": labels, **dict(more)}
    spec = Spec(fields, changes.pop("units", run.spec.units))
    task = replace(tasks.build(task, spec, options={}), spec=spec)
    return replace(run, task=task, about={**run.about, **changes})


def test_what_else_the_network_learns_by_must_be_there(trained):
    count = Field(shape=(), dtype="float32", role="number")
    run = other_run(trained, classes=("a", "b"), more={"count": count})
    other = Other(("a", "b"), [[1, 0]], open_run(trained, print).spec)
    with pytest.raises(SpecError, match="has no field 'count'"):
        external_matching.matched(run, other)


def test_classes_that_exclude_each_other_need_two_in_common(trained):
    run = other_run(trained, classes=("benign", "malignant"))
    with pytest.raises(SpecError, match="class malignant alone in common"):
        external_matching.matched(run, Other(("malignant",), [[1]], run.spec))


def test_an_example_whose_other_class_is_unknown_is_not_judged(trained):
    run = other_run(trained, classes=("a", "b", "c"))
    labels = [[1, 0, 0], [1, -1, 0], [0, 0, 0], [0, 1, 1]]
    read, notes = external_matching.matched(
        run, Other(("c", "a", "b"), labels, run.spec)
    )
    places = external_matching.judged_places(run, read, notes)
    assert places.tolist() == [0], notes
    assert read.table.labels[0].tolist() == [0, 0, 1]


def test_thresholds_follow_the_words_of_the_other_dataset(trained):
    run = open_run(trained, print)
    table = read_table(trained / "predictions.csv").of_split("test")
    notes: dict[str, str] = {}
    same = external_matching.thresholds_at(run, table, notes)
    assert same == run.thresholds and not notes
    slices = replace(table, units=("slice", "slice"))
    found = external_matching.thresholds_at(run, slices, notes)
    assert found.pop("slice") == run.thresholds["clip"] and not notes
    patients = {level: run.thresholds[level] for level in found}
    assert found == patients and set(found) <= {"patient_mean", "patient_max"}

    own = {"image": run.thresholds["clip"]}
    words = {"units": ("image", "image"), "thresholds": own}
    images = other_run(trained, "multilabel", classes=run.classes, **words)
    lesions = replace(table, units=("image", "lesion"))
    found = external_matching.thresholds_at(images, lesions, notes)
    assert set(found) >= {"image", "lesion_mean", "lesion_max"}
    assert set(notes) >= {"thresholds of lesion_mean", "thresholds of lesion_max"}
    tree = judge_table(lesions, replicates=200, thresholds=found)["test"]
    assert tree["lesion_mean"]["classes"]["b_line"]["threshold"] is None
    kept = tree["image"]["classes"]["b_line"]["threshold"]
    assert kept == run.thresholds["clip"]["b_line"]


def test_a_dataset_of_the_run_that_is_no_longer_importable_is_said(trained):
    run = open_run(trained, print)
    gone = {**run.about["preprocessing"], "dataset": "gone_lab.images:Builder"}
    run = replace(run, about={**run.about, "preprocessing": gone})
    other = Other(run.classes, [[1, 0, 0, 0]], run.spec)
    note, copies = external_matching.near_copies(run, other, print)
    assert "not looked for: config.data.name='gone_lab" in note and copies is None


def test_no_class_in_common_is_refused(trained):
    run = open_run(trained, print)
    with pytest.raises(SpecError, match="has the classes cyst, the run .*: none is in"):
        external_matching.matched(run, Other(("cyst",), [[1]], run.spec))


def test_ids_and_pictures_tell_who_was_trained_on(trained, tiny_config, monkeypatch):
    run = open_run(trained, print)
    known = json.loads((trained / "splits.json").read_text())["parts"]
    patient = known["fold_0"]["patients"][0]
    one = Other(run.classes, [[1, 0, 0, 0]], run.spec, [patient])

    def told(name, found, note="looked at"):
        tiny_config.data.name = name
        monkeypatch.setattr(
            external_matching, "near_copies", lambda *given: (note, found)
        )
        return external_matching.check_patients(run, one, tiny_config, print)

    copy = external_matching.Alike("e0", "other", 0.99)
    assert told("lus_clips", [copy]) == {"near duplicates": "looked at"}
    notes = told("lus_phantom", [])
    assert f"{patient} (1 in all) stand in both" in notes["patient ids"]
    with pytest.raises(SplitError, match=f"would be judged: {patient}.*own$"):
        told("lus_phantom", [copy])
    with pytest.raises(SplitError, match="Pictures were not looked for: gone"):
        told("lus_phantom", None, "not looked for: gone")
    monkeypatch.setattr(external_matching, "PSEUDONYM", re.compile(patient))
    with pytest.raises(SplitError, match=f"would be judged: {patient}"):
        told("lus_clips", [])  # a pseudonym is of one person, whatever the dataset


def test_files_alone_rebuild_the_run_s_own_dataset(tiny_config, tmp_path, monkeypatch):
    seen = []

    def evaluated(*given):
        seen.append(given)
        return {}

    monkeypatch.setattr(external_validation.evaluate, "evaluate_run", evaluated)
    assigned = [f"data.manual_dir={tmp_path}"]
    external_validation.judge(tiny_config, tmp_path, assigned, out="", mode="evaluate")
    assert seen == [(tiny_config, tmp_path)]
    assert tiny_config.data.manual_dir == str(tmp_path)


def test_an_unfinished_or_old_folder_is_one_line(tmp_path):
    with pytest.raises(CheckpointError, match="train with --mode train"):
        open_run(tmp_path, print)
    (tmp_path / "checkpoints" / "best").mkdir(parents=True)
    with pytest.raises(RunError, match=r"no run: there is no model\.json"):
        open_run(tmp_path, print)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(RunError, match="earlier version"):
        open_run(tmp_path, print)
    (tmp_path / "model.json").write_text('{"format": 1, "spec": {}}')
    with pytest.raises(RunError, match="lacks classes, task"):
        open_run(tmp_path, print)
    (tmp_path / "model.json").unlink()
    (tmp_path / "fold_0").mkdir()
    (tmp_path / "fold_0" / "model.json").write_text("{}")
    with pytest.raises(RunError, match="a cross-validation; give one of its folds"):
        open_run(tmp_path, print)


def test_a_run_needs_neither_its_dataset_nor_its_configuration(
    trained, tmp_path, monkeypatch
):
    def gone(*args, **more):
        raise AssertionError("the dataset was opened")

    run = open_run(trained, print)
    monkeypatch.setattr(sources, "open_source", gone)
    monkeypatch.setattr(sources, "open_builder", gone)
    (tmp_path / "moved").mkdir()
    for name in ("model.json", "checkpoints"):
        (tmp_path / "moved" / name).symlink_to(trained / name)
    moved = open_run(tmp_path / "moved", print)
    rng = np.random.default_rng(0)
    shape, _ = run.spec.shapes()["clip"]
    batch = {
        "clip": rng.integers(0, 255, (2, *shape)).astype(np.uint8),
        "clip_length": np.array([shape[0], 2], np.int32),
    }
    scores = moved.scores(batch)
    assert scores.shape == (2, 4) and ((scores >= 0) & (scores <= 1)).all()
    np.testing.assert_array_equal(scores, run.scores(batch))
    with pytest.raises(RunError, match="'clip' is uint8"):
        moved.scores({**batch, "clip": batch["clip"][:, :, :4]})


def test_options_that_the_other_builder_has_follow_the_run(trained):
    config = settings.read(trained)
    prepared = open_run(trained, print).about["preprocessing"]["options"]
    with config.unlocked():
        del config.data.options["size"]  # left to the default of the run's builder
    changed = external_validation.other_data(
        config, {"name": "pocus", "manual_dir": "x"}, prepared
    )
    options = changed.data.options.to_dict()
    assert options["size"] == TINY["size"] and options["frame_rate"] == 5.0
    assert "patients" not in options and changed.data.manual_dir == "x"
