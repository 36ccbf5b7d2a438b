import json

import pytest

from tests.conftest import ROOT
from ultrasound_jax import config as settings
from ultrasound_jax import evaluate, train
from ultrasound_jax import workdir as workdirs
from ultrasound_jax.analysis.table.predictions import Predictions
from ultrasound_jax.data.examples import SplitError
from ultrasound_jax.data.splits import make_manifest
from ultrasound_jax.study import crossval

pytestmark = pytest.mark.usefixtures("one_device")


@pytest.fixture
def config(tiny_config):
    tiny_config.train.epochs = 1
    tiny_config.data.protocol, tiny_config.data.test_fraction = "rotation", 0.0
    return tiny_config


def test_every_patient_is_judged_once_by_a_network_that_never_saw_them(
    config, tmp_path, monkeypatch
):
    seen = {}
    whole = train.open_experiment

    def spy(config, say):
        opened = whole(config, say)
        patients = opened.source.table.patient_id
        seen[len(seen)] = {
            split: {patients[i] for i in places}
            for split, places in opened.indices.items()
        }
        return opened

    monkeypatch.setattr(train, "open_experiment", spy)
    metrics = crossval.cross_validate(config, tmp_path / "study")
    table = Predictions.read(tmp_path / "study/predictions.csv")
    manifest = json.loads((tmp_path / "study/splits.json").read_text())
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
    assert (tmp_path / "study/report.md").exists()


def test_a_finished_fold_is_not_trained_again(config, tmp_path, monkeypatch):
    crossval.cross_validate(config, tmp_path / "study")
    before = (tmp_path / "study/predictions.csv").read_bytes()
    (tmp_path / "study/fold_1/metrics.json").unlink()
    trained = []
    train_fold = crossval.train_and_evaluate

    def spy(config, folder):
        trained.append(folder.name)
        return train_fold(config, folder)

    monkeypatch.setattr(crossval, "train_and_evaluate", spy)
    crossval.cross_validate(config, tmp_path / "study")
    assert trained == ["fold_1"]
    assert (tmp_path / "study/predictions.csv").read_bytes() == before


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


def test_a_fold_is_judged_again_on_its_own_patients(config, tmp_path):
    crossval.cross_validate(config, tmp_path / "study")
    folder = tmp_path / "study/fold_1"
    before = (folder / "predictions.csv").read_bytes()
    evaluate.evaluate_run(settings.read(folder), folder)
    assert (folder / "predictions.csv").read_bytes() == before


def test_the_folder_of_a_study_is_refused_to_training(config, tmp_path):
    crossval.cross_validate(config, tmp_path / "study")
    file = str(ROOT / "configs/luvnet.py")
    why = {
        "study": "holds a cross-validation; give --mode crossval",
        "study/fold_1": "protocol='holdout'",
    }
    for folder, said in why.items():
        config.data.protocol, config.data.test_fraction = "holdout", 0.2
        with pytest.raises(settings.ConfigError, match=said):
            workdirs.resolve(
                config, file, mode="train", workdir=str(tmp_path / folder), rest=[]
            )
