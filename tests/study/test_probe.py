"""The linear probe: fixed features, folds by patient, strictness from inner folds."""

import copy
import json

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import save_file
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.conftest import shrink
from ultrasound_jax import config as settings
from ultrasound_jax import models, train
from ultrasound_jax import workdir as workdirs
from ultrasound_jax.analysis.table.predictions import Predictions
from ultrasound_jax.data.examples import SplitError
from ultrasound_jax.data.manifest import Manifest
from ultrasound_jax.models import torch_export
from ultrasound_jax.predict.score_split import predict
from ultrasound_jax.pretrained import open_experiment
from ultrasound_jax.study import features, linear_probe
from ultrasound_jax.study.probe import probe
from ultrasound_jax.training import steps

ROWS, WIDTH = 60, 5


def units(classes=3, exclusive=True, seed=0):
    """Features of which the first ones tell the classes apart, not quite."""
    rng = np.random.default_rng(seed)
    labels = np.eye(classes, dtype=int)[rng.integers(0, classes, ROWS)]
    if not exclusive:
        labels = (rng.random((ROWS, classes)) < 0.3).astype(int)
    inputs = rng.normal(3.0, 2.0, (ROWS, WIDTH))
    inputs[:, :classes] += 2 * labels
    return linear_probe.Units(inputs, labels, np.arange(ROWS) % 4)


def theirs(c):
    model = LogisticRegression(C=c, class_weight="balanced", max_iter=10_000)
    return make_pipeline(StandardScaler(), model)


@pytest.mark.parametrize("classes", [2, 3])
def test_exclusive_classes_are_scikit_learns_balanced_regression(classes):
    given = units(classes)
    found = linear_probe.fit(given, 0.1, exclusive=True).scores(given.features)
    model = theirs(0.1).fit(given.features, given.labels.argmax(axis=1))
    np.testing.assert_allclose(found, model.predict_proba(given.features), atol=1e-6)


def test_more_features_than_examples_give_the_same_regression():
    given = units().without(1, 2, 3)
    wide = np.random.default_rng(0).normal(0, 1, (len(given.features), 40))
    wide[:, :WIDTH] = given.features
    few = linear_probe.Units(wide, given.labels, given.fold)
    found = linear_probe.fit(few, 0.01, exclusive=True).scores(wide)
    model = theirs(0.01).fit(wide, given.labels.argmax(axis=1))
    # Both stop where the gradient is below 1e-4, on ways of their own.
    np.testing.assert_allclose(found, model.predict_proba(wide), atol=1e-3)


def test_each_finding_is_a_regression_where_it_is_annotated():
    given = units(exclusive=False)
    given.labels[:9, 1] = -1
    found = linear_probe.fit(given, 0.1, exclusive=False).scores(given.features)
    for k in range(3):
        known = given.labels[:, k] >= 0
        model = theirs(0.1)[-1]
        scaled = (given.features - given.features.mean(0)) / given.features.std(0)
        model.fit(scaled[known], given.labels[known, k])
        wanted = model.predict_proba(scaled)[:, 1]
        np.testing.assert_allclose(found[:, k], wanted, atol=1e-6)


def test_a_finding_that_all_or_none_have_is_not_learned():
    given = units(exclusive=False)
    given.labels[:, 0], given.labels[:, 1] = 1, 0
    found = linear_probe.fit(given, 0.1, exclusive=False).scores(given.features)
    assert (found[:, :2] == 0.5).all() and found[:, 2].std() > 0


@pytest.mark.parametrize("there", [(0, 2), (1,)])
def test_a_class_that_nobody_has_gets_no_probability(there):
    given = units()
    kept = np.isin(given.labels.argmax(axis=1), there)
    few = linear_probe.Units(given.features[kept], given.labels[kept], given.fold[kept])
    found = linear_probe.fit(few, 0.1, exclusive=True).scores(few.features)
    absent = [k for k in range(3) if k not in there]
    assert found[:, absent].max() < 1e-12
    np.testing.assert_allclose(found.sum(axis=1), 1)
    if len(there) == 2:
        truth = few.labels.argmax(axis=1)
        model = theirs(0.1).fit(few.features, truth)
        wanted = model.predict_proba(few.features)
        np.testing.assert_allclose(found[:, there], wanted, atol=1e-6)


def test_a_feature_that_never_changes_is_no_division_by_zero():
    given = units()
    given.features[:, 4] = 7.0
    found = linear_probe.fit(given, 0.1, exclusive=True).scores(given.features)
    assert np.isfinite(found).all()


def test_rounding_of_a_feature_is_not_blown_up_to_a_feature():
    given = units()
    noise = np.random.default_rng(0).choice([-1, 0, 1], ROWS)
    given.features[:, 4] = np.float32(7.0) + noise * np.spacing(np.float32(7.0))
    found = linear_probe.fit(given, 0.1, exclusive=True)
    assert found.spread[4] == 1 and np.abs(found.weights[:, 4]).max() < 1e-4


def test_a_recording_counts_once_however_many_examples_it_has():
    names = ("a", "b", "a", "c", "a")
    inputs = np.arange(10.0).reshape(5, 2)
    labels = np.array([[1, 0], [0, 1], [1, 0], [1, 1], [0, 0]])
    found = linear_probe.units_of(names, inputs, labels, np.array([3, 1, 3, 0, 3]))
    np.testing.assert_array_equal(
        found.features, [inputs[[0, 2]].mean(0), *inputs[[1, 3, 4]]]
    )
    frames = np.array([3, 1, 1, 1, 1])
    weighed = linear_probe.units_of(names, inputs, labels, np.zeros(5, int), frames)
    np.testing.assert_allclose(weighed.features[0], (3 * inputs[0] + inputs[2]) / 4)
    np.testing.assert_array_equal(found.labels, labels[[0, 1, 3, 4]])
    np.testing.assert_array_equal(found.fold, [3, 1, 0, 3])


def test_the_best_of_inner_folds_is_chosen_and_the_strictest_of_equals():
    given = units().without(3)
    worth = {0.001: 0.7, 0.01: 0.9, 0.1: 0.9, 1.0: None}
    asked = []

    def judge(probes):
        assert sorted(probes) == [0, 1, 2]
        asked.append(probes)
        return [*worth.values()][len(asked) - 1]

    choose = linear_probe.chosen
    best, reached = choose(given, [1.0, 0.1, 0.001, 0.01], exclusive=True, judge=judge)
    assert best == 0.01 and reached == worth
    left_out = linear_probe.fit(given.without(1), 0.01, exclusive=True)
    np.testing.assert_array_equal(asked[1][1].weights, left_out.weights)
    nothing = choose(given, [0.1, 0.01], exclusive=True, judge=lambda probes: None)
    assert nothing == (0.01, {0.01: None, 0.1: None})


def test_frames_are_the_middles_of_equal_parts():
    found = features.spread_places(np.array([12, 10, 3, 2, 1, 0]), 3)
    wanted = [[2, 6, 10], [1, 5, 8], [0, 1, 2], [0, 1, 1], [0, 0, 0], [0, 0, 0]]
    np.testing.assert_array_equal(found, wanted)


@pytest.fixture
def config(data_dir, tmp_path, one_device):
    """Three folds of tiny phantoms, and a random encoder for a pretrained one."""
    config = settings.load("configs/probe.py")
    shrink(config, data_dir)
    config.model.options = {"encoder": "resnet18", "width": 8, "pooling": "mean"}
    config.data.protocol, config.data.test_fraction = "rotation", 0.0
    config.probe.frames, config.probe.c = 2, [0.01, 1.0]
    config.init_from = write_encoder(tmp_path / "encoder.safetensors", seed=1)
    settings.check(config)
    settings.complete(config)
    return config


def write_encoder(path, seed):
    model = models.build("resnet18", width=8, rngs=nnx.Rngs(seed))
    save_file(torch_export.state_of(model.encoder), path)
    return str(path)


def test_every_patient_is_judged_once_in_the_folds_of_a_cross_validation(
    config, tmp_path
):
    metrics = probe(config, tmp_path / "run")
    table = Predictions.read(tmp_path / "run/predictions.csv")
    manifest = Manifest.read(tmp_path / "run/splits.json")
    for fold in range(3):
        judged = {
            example
            for example, f in zip(table.example_id, table.fold.tolist(), strict=True)
            if f == fold
        }
        assert judged == set(manifest.parts[f"fold_{fold}"].examples)
    assert table.frames is not None and table.frames.min() > 0
    assert set(table.split) == {"out_of_fold"} and len(table) == len(
        set(table.example_id)
    )
    assert [entry["c"] in (0.01, 1.0) for entry in metrics["probe"]] == [True] * 3
    assert all(entry["inner"].keys() == {"0.01", "1"} for entry in metrics["probe"])
    assert "macro_auroc" in metrics["out_of_fold"]["clip"]
    report = (tmp_path / "run/report.md").read_text()
    assert "linear probe of frame_vote with resnet18" in report
    assert "64 standardised features" in report
    assert "encoder.safetensors" in report


def test_features_are_the_mean_of_frames_and_computed_once(
    config, tmp_path, monkeypatch
):
    monkeypatch.setattr(features, "PART", 10)
    opened = train.open_experiment(config, lambda line: None)
    found = features.kept_features(opened, tmp_path, frames=2)
    network = nnx.merge(opened.network.evaluation, opened.params, opened.stats)
    place = 3
    (clip,) = opened.source.load([place])["clip"]
    length = int(opened.source.load([place])["clip_length"][0])
    chosen = features.spread_places(np.array([length]), 2)[0]
    out = network(clip=jnp.float32(clip[None, chosen]) / 255)
    wanted = np.asarray(out["features"][0]).mean(0)
    np.testing.assert_allclose(found.values[place], wanted, atol=1e-5)
    assert found.frames is not None and found.frames[place] == length

    files = sorted((tmp_path / "features").glob("*.npy"))
    assert len(files) == -(-len(found.values) // 10) > 2
    files[1].unlink()  # as after an interruption
    asked = []
    read = opened.source.load
    monkeypatch.setattr(
        type(opened.source), "load", lambda s, at: asked.extend(at) or read(at)
    )
    again = features.kept_features(opened, tmp_path, frames=2)
    np.testing.assert_array_equal(again.values, found.values)
    assert sorted(i for i in asked if i >= 0) == list(range(10, 20))


def test_features_of_other_weights_are_made_anew(config, tmp_path):
    said = []
    first = train.open_experiment(config, lambda line: None)
    one = features.kept_features(first, tmp_path, frames=2, say=said.append)
    write_encoder(config.init_from, seed=2)
    second = train.open_experiment(config, lambda line: None)
    other = features.kept_features(second, tmp_path, frames=2, say=said.append)
    assert np.abs(one.values - other.values).max() > 0.01
    assert len(said) == 1 and "features of other weights or examples" in said[0]


def test_a_fold_starts_from_a_probe_of_those_who_train_in_it_alone(config, tmp_path):
    config.probe.frames = 100  # all, as the network has it
    metrics = probe(config, tmp_path / "run")
    table = Predictions.read(tmp_path / "run/predictions.csv")
    own = copy.deepcopy(config)
    own.init_from, own.init_part, own.data.fold = str(tmp_path / "run"), "all", 1
    started = open_experiment(own, lambda line: None)
    columns, _ = predict(started, (started.params, started.stats), "test")
    encoded = open_experiment(config, lambda line: None)
    found = features.kept_features(encoded, tmp_path / "run", frames=100)
    examples = encoded.source.table
    part = np.array(
        [table.fold[table.example_id.index(n)] for n in examples.example_id]
    )
    values = found.values.astype(np.float64)
    given = linear_probe.units_of(
        examples.video_id, values, examples.labels, part, found.frames
    )
    c = metrics["probe"][1]["c"]
    wanted = linear_probe.fit(given.without(1, 2), c, exclusive=False)
    places = started.indices["test"]
    np.testing.assert_allclose(
        columns["scores"], wanted.scores(values[places]), atol=1e-4
    )
    own.init_from = str(tmp_path / "run/fold_0.safetensors")
    with pytest.raises(SplitError, match="trained on this very dataset"):
        open_experiment(own, lambda line: None)


def test_a_network_without_features_is_refused_by_name(config, tmp_path):
    opened = train.open_experiment(config, lambda line: None)

    class Silent(nnx.Module):
        def __call__(self, clip, lengths):
            return {"logits": clip.mean((1, 2, 3))}

    network, params, stats = steps.split(Silent())
    object.__setattr__(opened, "network", network)
    object.__setattr__(opened, "params", params)
    object.__setattr__(opened, "stats", stats)
    with pytest.raises(features.FeaturesError, match="no 'features'.*returns logits"):
        features.kept_features(opened, tmp_path, frames=2)


def test_a_probe_without_weights_or_classes_is_refused(config, tmp_path):
    fresh = copy.deepcopy(config)
    fresh.init_from = ""
    with pytest.raises(settings.ConfigError, match="--mode probe is of a pretrained"):
        probe(fresh, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_weights_that_have_seen_any_patient_are_refused(config, tmp_path):
    own = copy.deepcopy(config)
    own.data.protocol, own.data.test_fraction = "holdout", 0.2
    own.init_from, own.train.epochs = "", 1
    train.train_and_evaluate(own, tmp_path / "trained")
    config.init_from = str(tmp_path / "trained")
    with pytest.raises(SplitError, match="has trained on"):
        probe(config, tmp_path / "run")


def test_the_folder_of_a_probe_is_its_own(config, tmp_path):
    (tmp_path / "run/features").mkdir(parents=True)
    (tmp_path / "run/config.json").write_text(json.dumps(config.to_dict()))
    given = {"workdir": str(tmp_path / "run"), "rest": []}
    for mode in ("train", "crossval", "evaluate"):
        with pytest.raises(settings.ConfigError, match="give --mode probe"):
            workdirs.resolve(None, "", mode=mode, **given)
    assert workdirs.resolve(None, "", mode="probe", **given)[0].data.folds == 3
    (tmp_path / "run/fold_0").mkdir()
    (tmp_path / "run/fold_0/config.json").write_text("{}")
    with pytest.raises(settings.ConfigError, match="holds a cross-validation"):
        workdirs.resolve(None, "", mode="probe", **given)
    assert workdirs.workdir_name("configs/probe.py:busi", "probe") == (
        "runs/probe-busi-probe"
    )


def test_strengths_must_be_above_zero(config):
    config.probe.c = [0.1, 0.0]
    with pytest.raises(settings.ConfigError, match=r"config.probe.c\[1\]=0.0 is not"):
        settings.check(config)
    config.probe.c = []
    with pytest.raises(settings.ConfigError, match="probe.c.* one number or more"):
        settings.check(config)
