import json
import shutil

import jax
import pytest

from tests.conftest import ROOT, shrink
from ultrasound_jax import config as settings
from ultrasound_jax import evaluate, train
from ultrasound_jax import workdir as workdirs
from ultrasound_jax.analysis.table.predictions import Predictions
from ultrasound_jax.data.examples import SplitError
from ultrasound_jax.data.splits import make_manifest
from ultrasound_jax.study import crossval
from ultrasound_jax.training import sharding

pytestmark = pytest.mark.usefixtures("one_device")


def rotating(data_dir):
    config = settings.load(str(ROOT / "configs/luvnet.py"))
    shrink(config, data_dir)
    config.train.epochs = 1
    config.data.protocol, config.data.test_fraction = "rotation", 0.0
    return config


@pytest.fixture
def config(data_dir):
    return rotating(data_dir)


@pytest.fixture(scope="module")
def judged(data_dir, tmp_path_factory):
    """A whole study, made once: its folder, its metrics, whom each fold saw."""
    folder, seen = tmp_path_factory.mktemp("judged") / "study", {}
    whole = train.open_experiment

    def spy(config, say):
        opened = whole(config, say)
        patients = opened.source.table.patient_id
        seen[len(seen)] = {
            split: {patients[i] for i in places}
            for split, places in opened.indices.items()
        }
        return opened

    mesh = jax.sharding.Mesh(jax.devices()[:1], ("data",))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "open_experiment", spy)
        patch.setattr(sharding, "data_mesh", lambda: mesh)
        metrics = crossval.cross_validate(rotating(data_dir), folder)
    return folder, metrics, seen


@pytest.fixture
def study(judged, tmp_path):
    """A copy of it, to be changed."""
    return shutil.copytree(judged[0], tmp_path / "study")


def test_every_patient_is_judged_once_by_a_network_that_never_saw_them(judged):
    folder, metrics, seen = judged
    table = Predictions.read(folder / "predictions.csv")
    manifest = json.loads((folder / "splits.json").read_text())
    everyone = [e for p in manifest["parts"].values() for e in p["examples"]]
    assert sorted(table.example_id) == sorted(everyone)
    for fold, split in seen.items():
        judged = {
            p
            for p, f in zip(table.patient_id, table.fold.tolist(), strict=True)
            if f == fold
        }
        assert judged == split["test"]
        assert not judged & (split["train"] | split["validation"])
        assert not split["train"] & split["validation"]
    assert metrics["out_of_fold"]["clip"]["n"]["patients"] == 14
    assert len(metrics["folds"]) == 3
    assert (folder / "report.md").exists()


def test_a_finished_fold_is_not_trained_again(config, study, monkeypatch):
    before = (study / "predictions.csv").read_bytes()
    (study / "fold_1/metrics.json").unlink()
    trained = []
    train_fold = crossval.train_and_evaluate

    def spy(config, folder):
        trained.append(folder.name)
        return train_fold(config, folder)

    monkeypatch.setattr(crossval, "train_and_evaluate", spy)
    crossval.cross_validate(config, study)
    assert trained == ["fold_1"]
    assert (study / "predictions.csv").read_bytes() == before


def test_a_manifest_with_a_test_part_is_refused(config, tmp_path, experiment):
    table = experiment.source.table
    make_manifest(table, test_fraction=0.3, folds=3).write(tmp_path / "splits.json")
    config.data.manifest = str(tmp_path / "splits.json")
    with pytest.raises(SplitError, match="no test part"):
        crossval.cross_validate(config, tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_two_folds_leave_nothing_to_train_on_and_are_refused(config, tmp_path):
    config.data.folds = 2
    with pytest.raises(SplitError, match="3 or more folds"):
        crossval.cross_validate(config, tmp_path / "study")


def test_a_fold_is_judged_again_on_its_own_patients(study):
    folder = study / "fold_1"
    before = (folder / "predictions.csv").read_bytes()
    evaluate.evaluate_run(settings.read(folder), folder)
    assert (folder / "predictions.csv").read_bytes() == before


def test_the_folder_of_a_study_is_refused_to_training(config, study):
    file = str(ROOT / "configs/luvnet.py")
    why = {
        "study": "holds a cross-validation; give --mode crossval",
        "study/fold_1": "protocol='holdout'",
    }
    for folder, said in why.items():
        config.data.protocol, config.data.test_fraction = "holdout", 0.2
        with pytest.raises(settings.ConfigError, match=said):
            workdirs.resolve(
                config, file, mode="train", workdir=str(study.parent / folder), rest=[]
            )
