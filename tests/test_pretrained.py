"""Pretrained here, fine-tuned there: a run is the beginning of another."""

import copy
import json

import jax
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from tests.conftest import TINY, shrink
from ultrasound_jax import config as settings
from ultrasound_jax import pretrained, train
from ultrasound_jax.data.examples import SplitError
from ultrasound_jax.data.manifest import Manifest
from ultrasound_jax.models import ModelError
from ultrasound_jax.predict import open_run
from ultrasound_jax.predict.__main__ import main as predict
from ultrasound_jax.starting import of_file, weights_hash
from ultrasound_jax.types import UltrasoundError


@pytest.fixture(scope="module")
def config(data_dir):
    config = settings.load("configs/luvnet.py")
    shrink(config, data_dir)
    config.train.epochs = 1
    config.optim.ema = 0.5  # what is judged, and so what is taken, are averages
    return config


@pytest.fixture(scope="module")
def source(config, tmp_path_factory):
    """A run to start from."""
    folder = tmp_path_factory.mktemp("pretrained") / "source"
    train.train_and_evaluate(config, folder)
    return folder


@pytest.fixture(scope="module")
def written(source, tmp_path_factory):
    """Its weights as a file."""
    path = tmp_path_factory.mktemp("weights") / "source.safetensors"
    assert predict(["weights", str(source), "--out", str(path)]) == 0
    return path


def elsewhere(config, init, **changes):
    """The same with other patients, starting from `init`."""
    config = copy.deepcopy(config)
    with config.data.unlocked():
        config.data.options = TINY | {"seed": 11}
    config.init_from = str(init)
    settings.override(
        config, [f"{k.replace('__', '.')}={v}" for k, v in changes.items()]
    )
    settings.complete(config)
    return config


def opened(config):
    lines = []
    return pretrained.open_experiment(config, lines.append), "\n".join(lines)


def same(one, other):
    ones, others = jax.tree.leaves(one), jax.tree.leaves(other)
    return [np.array_equal(a, b) for a, b in zip(ones, others, strict=True)]


@pytest.mark.parametrize("named", ["", "checkpoints", "checkpoints/best"])
def test_a_run_starts_from_the_best_weights_of_another(source, config, named):
    found, said = opened(elsewhere(config, source / named))
    run = open_run(source, print)
    assert all(same((found.params, found.stats), run.weights))
    assert "best weights of luvnet with resnet18, trained on lus_phantom" in said
    assert "left as initialised nothing" in said


def test_a_file_of_a_run_gives_the_same_weights_and_knows_the_data(
    source, written, config
):
    by_run, _ = opened(elsewhere(config, source))
    by_file, _ = opened(elsewhere(config, written))
    assert all(same((by_run.params, by_run.stats), (by_file.params, by_file.stats)))
    assert by_run.init["weights"] == by_file.init["weights"]
    (one,), (other,) = by_run.init["trained_on"], by_file.init["trained_on"]
    assert one["data_hash"] == other["data_hash"] and one["seen"] == other["seen"]


def test_a_file_of_weights_names_no_patient(source, written):
    splits = json.loads((source / "splits.json").read_text())["parts"]
    with safe_open(written, framework="numpy") as file:
        text = json.dumps(file.metadata())
    patients = {p for part in splits.values() for p in part["patients"]}
    assert patients and "data_hash" in text
    assert not any(patient in text for patient in patients)
    trained_on = json.loads(json.loads(text)["ultrasound_jax"])["trained_on"]
    assert trained_on and not any("patients" in entry for entry in trained_on)


def test_an_encoder_is_taken_into_another_network(source, config):
    changed = elsewhere(config, source, init_part="encoder")
    changed.model.name = "frame_vote"
    with changed.model.unlocked():
        changed.model.options = {"encoder": "resnet18", "width": 8}
    settings.complete(changed)
    found, said = opened(changed)
    run = open_run(source, print)
    assert all(same(found.params["encoder"], run.weights[0]["encoder"]))
    assert "ignored 1 of attn_query_vecs" in said and "left as initialised 2 of" in said


def test_another_network_is_refused_with_what_does_not_fit(source, config):
    changed = elsewhere(config, source, model__options__width=4)
    does_not_fit = r"source \(luvnet.*LuvNet.*wrong \d+ \(attn_query_vecs is"
    with pytest.raises(ModelError, match=does_not_fit):
        opened(changed)


def test_a_head_for_other_classes_is_left_as_initialised_and_told(
    source, config, monkeypatch
):
    """Whatever depends on how many classes there are: here queries and two layers."""
    start = pretrained.start_of(source, print)
    about = start.about | {"classes": ["one", "two", "three", "four"]}
    other = pretrained.Start(start.source, start.state, about)
    monkeypatch.setattr(pretrained, "start_of", lambda path, say: other)
    found, said = opened(elsewhere(config, source))
    assert "tells one, two, three, four apart, not these classes" in said
    fresh = found.init["left_fresh"]
    assert fresh == {"attn_query_vecs": 1, "attn_fc": 1, "fc_out_final": 2}
    run = open_run(source, print)
    assert all(same(found.params["encoder"], run.weights[0]["encoder"]))
    kept = same(found.params, run.weights[0])
    assert not all(kept) and sum(kept) > len(kept) / 2


@pytest.mark.parametrize("kind", ["run", "file"])
def test_weights_that_have_seen_test_patients_are_refused(
    source, written, config, kind
):
    changed = copy.deepcopy(config)
    changed.init_from = str(source if kind == "run" else written)
    changed.data.split_seed = 5  # other patients are held out
    settings.complete(changed)
    said = {
        "run": "has trained on .* of the .* test patients",
        "file": "by other split",
    }
    with pytest.raises(SplitError, match=said[kind]):
        opened(changed)


def test_they_are_known_again_in_a_dataset_of_other_options(source, config):
    changed = copy.deepcopy(config)
    changed.init_from = str(source)
    changed.data.split_seed = 5
    settings.override(changed, ["data.options.frame_rate=6.0"])
    settings.complete(changed)
    with pytest.raises(SplitError, match="has trained on .* of the .* test patients"):
        opened(changed)


def test_the_same_splits_are_no_leak(source, written, config):
    for init in (source, written):
        changed = copy.deepcopy(config)
        changed.init_from = str(init)
        settings.complete(changed)
        found, said = opened(changed)
        assert found.init["from"] == init.name
    assert "does not say" not in said


def test_another_fold_is_told_as_selection_favours_it(source, config):
    changed = copy.deepcopy(config)
    changed.init_from, changed.data.fold = str(source), 1
    settings.complete(changed)
    _, said = opened(changed)
    patients = Manifest.read(source / "splits.json").parts["fold_1"].patients
    assert f"trained on {len(patients)} of the {len(patients)} validation pat" in said


def test_what_a_run_started_from_stays_with_it_and_with_those_behind(
    source, config, tmp_path, capsys
):
    train.train_and_evaluate(elsewhere(config, source), tmp_path / "second")
    init = json.loads((tmp_path / "second/model.json").read_text())["init"]
    (first,) = init["trained_on"]
    assert init["from"] == "source" and init["part"] == "all"
    manifest = Manifest.read(source / "splits.json")
    assert first["data_hash"] == manifest.data_hash
    report = (tmp_path / "second/report.md").read_text()
    assert "started from" in report and manifest.data_hash[:12] in report
    capsys.readouterr()
    assert predict(["describe", str(tmp_path / "second")]) == 0
    assert "started from: source, all (weights" in capsys.readouterr().out

    third = copy.deepcopy(config)  # back to the patients of the very first
    third.init_from, third.data.split_seed = str(tmp_path / "second"), 5
    settings.complete(third)
    with pytest.raises(SplitError, match="has trained on .* of the .* test patients"):
        opened(third)


def test_what_training_continues_from_is_no_beginning(source, config):
    changed = elsewhere(config, source / "checkpoints/latest")
    with pytest.raises(settings.ConfigError, match="give the run, '.*source'"):
        opened(changed)


def test_weights_under_another_ending_are_not_written(source, tmp_path, capsys):
    assert predict(["weights", str(source), "--out", str(tmp_path / "w.pt")]) == 2
    assert "must end with .safetensors" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "told",
    [
        {"classes": 5},
        {"classes": [["a_line"]]},
        {"trained_on": 5},
        {"trained_on": [5]},
        {"trained_on": [{"dataset": "lus_phantom", "patients": ["x"]}]},
    ],
)
def test_words_of_another_kind_in_a_file_are_as_none(tmp_path, told):
    state = {"a": np.zeros(3, np.float32)}
    about = told | {"weights": weights_hash(state)}
    path = tmp_path / "odd.safetensors"
    save_file(state, path, {"ultrasound_jax": json.dumps(about)})
    assert of_file(path).about == {"weights": weights_hash(state)}


def test_a_home_that_is_nobodys_is_one_line(config):
    with pytest.raises(UltrasoundError, match="~nobody-at-all"):
        opened(elsewhere(config, "~nobody-at-all/weights.safetensors"))
