"""Runs on images whose task is not told by labels alone, from settings to report."""

import json

import numpy as np
import pytest
from ml_collections import ConfigDict
from sklearn.metrics import cohen_kappa_score

from ultrasound_jax import config as settings
from ultrasound_jax import external_validation, train
from ultrasound_jax.analysis.table.mask_table import read_table
from ultrasound_jax.data.spec import SpecError
from ultrasound_jax.predict import open_run


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("graded")


def config_of(data_dir, model, task, *, select, model_options=(), task_options=()):
    config = settings.load("configs/busi.py")
    config.data.name = "tests.graded_pictures:Graded"
    config.data.data_dir = str(data_dir)
    with config.unlocked():
        config.data.options = ConfigDict()
        config.model.options = ConfigDict(dict(model_options))
        config.task.options = ConfigDict(dict(task_options))
    config.data.batch_size = config.data.eval_batch_size = 8
    config.data.folds = 3
    config.model.name, config.task.name = model, task
    config.augment = [{"name": "brightness", "gain": 0.1, "shift": 0.05}]
    config.train.select, config.train.epochs = select, 1
    config.optim.ema = 0.0
    config.evaluation.replicates = 200
    settings.check(config)
    return config


def trained(config, folder):
    metrics = train.train_and_evaluate(config, folder)
    table = read_table(folder / "predictions.csv")
    return metrics["test"]["image"], table, (folder / "report.md").read_text()


def test_grades_are_learnt_judged_and_judged_elsewhere(data_dir, tmp_path, one_device):
    config = config_of(
        data_dir,
        "breast_cnn",
        "ordinal",
        select="quadratic_kappa",
        model_options={"width": 2},
    )
    found, table, report = trained(config, tmp_path / "run")
    assert table.classes == ("0", "1", "2", "3") and table.kind == "multiclass"
    unknown = np.isnan(table.labels).all(axis=1)
    assert unknown.any() and not np.isnan(table.scores).any()
    here = ~unknown & (np.array(table.split) == "test")
    truth = table.labels[here].argmax(axis=1)
    kappa = cohen_kappa_score(
        truth, table.scores[here].argmax(axis=1), weights="quadratic"
    )
    assert found["quadratic_kappa"] == pytest.approx(kappa, nan_ok=True)
    assert "quadratic-weighted kappa" in report and "sensitivity of 3" in report
    about = json.loads((tmp_path / "run/model.json").read_text())
    assert set(about["spec"]["fields"]) == {"image", "grade"}
    assert about["network"]["outputs"] == 3

    run = open_run(tmp_path / "run", print)
    scores = run.scores({"image": np.zeros((2, 32, 32, 1), np.uint8)})
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)

    config.data.name = "tests.graded_pictures:Elsewhere"
    external_validation.judge_elsewhere(config, tmp_path / "run", tmp_path / "out")
    other = read_table(tmp_path / "out/predictions.csv")
    assert other.classes == table.classes and len(other) == 40
    assert "quadratic-weighted kappa" in (tmp_path / "out/report.md").read_text()
    config.data.name = "tests.graded_pictures:Ungraded"
    with pytest.raises(SpecError, match="'grade' with the levels 0, 1, 2, the run was"):
        external_validation.judge_elsewhere(config, tmp_path / "run", tmp_path / "no")


def test_pictures_are_reproduced_and_their_errors_kept(data_dir, tmp_path, one_device):
    config = config_of(
        data_dir,
        "autoencoder",
        "reconstruction",
        select="mean_squared_error",
        model_options={"width": 2, "code": 8},
    )
    found, table, report = trained(config, tmp_path / "run")
    assert table.kind == "errors" and table.classes == ("image",)
    here = np.array(table.split) == "test"
    assert found["mean_squared_error"] == pytest.approx(table.mse[here].mean())
    assert "PSNR, dB" in report and "macro AUROC" not in report
    run = open_run(tmp_path / "run", print)
    shown = run.scores({"image": np.zeros((2, 32, 32, 1), np.uint8)})
    assert shown.shape == (2, 32, 32, 1) and 0 <= shown.min() and shown.max() <= 1


def test_one_logit_tells_two_classes_by_a_stepped_rate(data_dir, tmp_path, one_device):
    config = config_of(
        data_dir,
        "resnet18_mlp",
        "multiclass",
        select="macro_auroc",
        model_options={"width": 4, "hidden": 4},
        task_options={"loss": "bce"},
    )
    config.optim.schedule, config.optim.step_epochs = "step", 1
    found, table, report = trained(config, tmp_path / "run")
    assert table.classes == ("dark", "bright") and table.kind == "multiclass"
    assert 0 <= found["balanced_accuracy"] <= 1 and "decided bright" in report
    about = json.loads((tmp_path / "run/model.json").read_text())
    assert about["network"]["outputs"] == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("optim.schedule=stairs", "one of .'constant', 'cosine', 'step', 'plateau'."),
        ("optim.step_epochs=0", "1 or more"),
        ("optim.step_factor=1.0", "between 0 and 1"),
    ],
)
def test_a_schedule_that_cannot_be_is_one_line(given, said):
    config = settings.load("configs/busi.py")
    settings.override(config, [given])
    with pytest.raises(settings.ConfigError, match=f"is not allowed.*{said}") as error:
        settings.check(config)
    assert "\n" not in str(error.value)


def test_the_weights_of_the_focal_loss_can_be_given_on_a_command_line():
    config = settings.load("configs/busi.py")
    settings.override(
        config,
        ["task.options.loss=focal", "task.options.alpha=[0.75, 0.75, 0.25]"],
    )
    settings.complete(config)
    options = config.task.options.to_dict()
    assert options["alpha"] == [0.75, 0.75, 0.25] and options["gamma"] is None
