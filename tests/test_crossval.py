import json

import pytest

from ultrasound_jax import crossval, train
from ultrasound_jax.analysis.predictions import Predictions
from ultrasound_jax.data.examples import SplitError

pytestmark = pytest.mark.usefixtures("one_device")


@pytest.fixture
def config(tiny_config):
    tiny_config.train.epochs = 1
    return tiny_config


def test_every_patient_is_judged_once_by_a_network_that_never_saw_them(
    config, tmp_path, monkeypatch
):
    seen = {}
    whole = train.open_experiment

    def spy(config, say, **options):
        opened = whole(config, say, **options)
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

    def spy(config, folder, **options):
        trained.append(folder.name)
        return train_fold(config, folder, **options)

    monkeypatch.setattr(crossval, "train_and_evaluate", spy)
    crossval.cross_validate(config, tmp_path / "study")
    assert trained == ["fold_1"]
    assert (tmp_path / "study/predictions.csv").read_bytes() == before


def test_a_manifest_with_a_test_part_is_refused(config, tmp_path, experiment):
    experiment.manifest.write(tmp_path / "splits.json")
    config.data.manifest = str(tmp_path / "splits.json")
    with pytest.raises(SplitError, match="no test part"):
        crossval.cross_validate(config, tmp_path / "study")
    assert not (tmp_path / "study").exists()
