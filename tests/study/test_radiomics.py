"""Classifiers on radiomics and codes by a configuration, on made tumours."""

import copy
import json
import subprocess
import sys

import numpy as np
import pytest

from tests import command
from tests.conftest import ROOT
from tests.datasets.building import built
from tests.radiomics import made_folder
from ultrasound_jax import config as settings
from ultrasound_jax import workdir as workdirs
from ultrasound_jax.analysis.__main__ import main as analysis
from ultrasound_jax.analysis.table.predictions import Predictions
from ultrasound_jax.data.examples import SplitError
from ultrasound_jax.data.manifest import Manifest
from ultrasound_jax.datasets.pu2756.pu2756_dataset_builder import Builder
from ultrasound_jax.radiomics.learn import crossval as learn
from ultrasound_jax.radiomics.learn import store
from ultrasound_jax.study import radiomics as classifiers

CODE, FOLDS, SIZE = 16, 3, 32


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("tumours")
    made_folder.write(root / "manual")
    built(Builder, root / "manual", root / "built", size=SIZE)
    return root


@pytest.fixture
def make(data, one_device):
    """The settings of a variant, small, as a cross-validation has them."""

    def settings_of(variant, **changes):
        config = settings.load(f"{ROOT}/configs/pu2756.py:{variant}")
        config.data.data_dir, config.data.manual_dir = (
            str(data / "built"),
            str(data / "manual"),
        )
        config.data.options.size, config.data.folds = SIZE, FOLDS
        config.data.batch_size, config.data.eval_batch_size = 4, 8
        config.data.protocol, config.data.test_fraction = "rotation", 0.0
        config.train.epochs, config.evaluation.replicates = 1, 200
        config.radiomics.trials, config.radiomics.inner = 0, 2
        if variant != "radiomics":
            config.model.options.update({"code": CODE, "width": 8})
        for name, value in changes.items():
            config.radiomics[name] = value
        settings.check(config)
        settings.complete(config)
        return config

    return settings_of


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Where the mixture lies, made by the first test that asks."""
    return tmp_path_factory.mktemp("runs") / "mix"


@pytest.fixture
def mix(make, mixed):
    if not (mixed / "metrics.json").exists():
        classifiers.classify(make("mix"), mixed)
    return mixed


def counts(folder, fold=0):
    return json.loads((folder / f"fold_{fold}.json").read_text())["counts"]["features"]


def test_regions_are_classified_in_the_folds_of_the_networks(make, tmp_path):
    config = make("radiomics")
    metrics = classifiers.classify(config, tmp_path / "run")
    assert metrics["out_of_fold"]["image"]["macro_auroc"] > 0.9
    table = Predictions.read(tmp_path / "run/predictions.csv")
    assert len(table) == made_folder.EXAMS - 1  # one has no region
    assert counts(tmp_path / "run") == len(store.feature_names(store.Settings()))
    network = settings.load(f"{ROOT}/configs/pu2756.py:resnet18")
    source = classifiers.open_dataset(config.data, lambda line: None)
    network.data = config.data
    whole = classifiers.splits_of(network.data, source)
    fold = dict(zip(table.example_id, table.fold.tolist(), strict=True))
    for k in range(FOLDS):
        examples = set(whole.parts[f"fold_{k}"].examples)
        assert {name for name, of in fold.items() if of == k} == examples & fold.keys()
    assert metrics["left_out"] == {"the mask is empty": 1}
    assert config.to_dict() == json.loads((tmp_path / "run/config.json").read_text())


@pytest.mark.slow  # three autoencoders
def test_mixed_features_are_regions_and_codes_of_the_folds_own_autoencoder(mix):
    assert counts(mix) == len(store.feature_names(store.Settings())) + CODE
    places = [mix / f"codes/fold_{k}/features" for k in range(FOLDS)]
    codes = [np.load(place / "00000.npy")[:, 1:] for place in places]
    assert all(of.shape == (made_folder.EXAMS, CODE) for of in codes)
    about = [json.loads((place / "about.json").read_text()) for place in places]
    assert len({of["weights"] for of in about}) == FOLDS
    assert {of["output"] for of in about} == {"code"}
    manifest = Manifest.read(mix / "splits.json")
    for k in range(FOLDS):
        run = json.loads((mix / f"autoencoder/fold_{k}/splits.json").read_text())
        held_out = set(run["parts"][f"fold_{k}"]["patients"])
        assert {*manifest.parts[f"fold_{k}"].patients} <= held_out
        assert settings.read(mix / f"autoencoder/fold_{k}").data.fold == k
    assert "boosting on mix of pu2756" in (mix / "report.md").read_text()


@pytest.mark.slow  # three autoencoders
def test_what_is_done_is_not_done_again(mix, make, monkeypatch):
    def again(*rest, **more):
        raise AssertionError("it was done")

    monkeypatch.setattr(store, "_measure", again)
    monkeypatch.setattr(learn, "fitted_scores", again)
    from ultrasound_jax.study import crossval, features

    monkeypatch.setattr(crossval, "train_and_evaluate", again)
    monkeypatch.setattr(features, "_compute", again)
    before = (mix / "predictions.csv").read_bytes()
    classifiers.classify(make("mix"), mix)
    assert (mix / "predictions.csv").read_bytes() == before


@pytest.mark.slow  # three autoencoders
def test_an_autoencoder_that_was_cross_validated_serves_others(mix, make, tmp_path):
    config = make("mix", features="codes", codes=str(mix / "autoencoder"))
    classifiers.classify(config, tmp_path / "codes")
    assert counts(tmp_path / "codes") == CODE
    assert not (tmp_path / "codes/features.jsonl").exists()
    assert len(Predictions.read(tmp_path / "codes/predictions.csv")) == (
        made_folder.EXAMS
    )
    out = ["--out", str(tmp_path / "metrics"), "--replicates", "200"]
    assert analysis(["metrics", str(tmp_path / "codes"), *out]) == 0


@pytest.mark.slow  # three autoencoders
def test_codes_of_a_network_that_has_seen_who_is_judged_are_refused(
    mix, make, tmp_path
):
    other = make("mix", features="codes", codes=str(mix / "autoencoder"))
    other.data.split_seed = 5
    with pytest.raises(SplitError, match="has trained on"):
        classifiers.classify(other, tmp_path / "run")


def test_codes_of_another_program_are_taken_as_they_are(make, tmp_path):
    names = [f"E{k + 1:04d}" for k in range(made_folder.EXAMS)]
    codes = np.arange(2.0 * len(names)).reshape(-1, 2) % 5
    np.savez(tmp_path / "c.npz", example_id=np.array(names), codes=codes)
    config = make("mix", features="codes", codes=str(tmp_path / "c.npz"))
    classifiers.classify(config, tmp_path / "run")
    assert counts(tmp_path / "run") == 2


@pytest.mark.parametrize("mode", ["train", "probe", "tune"])
def test_other_modes_than_a_cross_validation_are_refused(make, tmp_path, mode):
    with pytest.raises(settings.ConfigError, match="for --mode crossval alone"):
        workdirs.resolve(
            make("radiomics"),
            "configs/pu2756.py:radiomics",
            mode=mode,
            workdir=str(tmp_path / "run"),
            rest=[],
        )


@pytest.mark.slow  # three autoencoders
def test_other_settings_are_another_run(mix, make):
    config = copy.deepcopy(make("mix"))
    config.radiomics.classifier = "forest"
    with pytest.raises(settings.ConfigError, match="radiomics.classifier='forest'"):
        classifiers.classify(config, mix)


@pytest.mark.slow
def test_the_program_classifies_by_the_shipped_configuration(data, tmp_path):
    words = ["--config=configs/pu2756.py:radiomics", "--mode=crossval"]
    changes = {
        "data.data_dir": data / "built",
        "data.options.size": SIZE,
        "data.folds": FOLDS,
        "radiomics.trials": 0,
        "evaluation.replicates": 200,
        "compilation_cache": "",
    }
    words += [f"--config.{name}={value}" for name, value in changes.items()]
    done = subprocess.run(  # noqa: S603
        [
            sys.executable,
            "-m",
            "ultrasound_jax.main",
            *words,
            f"--workdir={tmp_path}/r",
        ],
        cwd=ROOT,
        env=command.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(Predictions.read(tmp_path / "r/predictions.csv")) == (
        made_folder.EXAMS - 1
    )
