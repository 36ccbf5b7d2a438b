import csv
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrasound_jax import evaluate, train
from ultrasound_jax.analysis.table.predictions import Predictions
from ultrasound_jax.config import ConfigError
from ultrasound_jax.data.examples import SplitError
from ultrasound_jax.data.manifest import Manifest
from ultrasound_jax.training import sharding
from ultrasound_jax.training.steplog import TrainError

pytestmark = pytest.mark.usefixtures("one_device")


@pytest.fixture(scope="module")
def finished(data_dir, tmp_path_factory):
    """A whole run, made once."""
    from tests.conftest import ROOT, shrink
    from ultrasound_jax import config as settings

    with pytest.MonkeyPatch.context() as patch:
        mesh = jax.sharding.Mesh(jax.devices()[:1], ("data",))
        patch.setattr(sharding, "data_mesh", lambda: mesh)
        config = settings.load(str(ROOT / "configs/luvnet.py"))
        shrink(config, data_dir)
        config.optim.ema = 0.5
        config.optim.schedule = "plateau"
        config.optim.clip_norm = 1.0
        config.task.options.class_weights = "balanced"
        config.data.sampling = "balanced"
        workdir = tmp_path_factory.mktemp("run") / "run"
        metrics = train.train_and_evaluate(config, workdir)
    return config, workdir, metrics


def test_a_run_leaves_what_a_reviewer_asks_for(finished):
    _, workdir, metrics = finished
    names = {p.name for p in workdir.iterdir()}
    assert names >= {
        "config.json",
        "splits.json",
        "predictions.csv",
        "metrics.json",
        "report.md",
        "checklist.md",
        "population.json",
        "flow.png",
        "roc_test.png",
        "roc_validation.png",
        "scalars.csv",
        "tensorboard",
        "checkpoints",
    }
    assert not any(name.startswith(".") for name in names)
    people = json.loads((workdir / "population.json").read_text())
    splits = json.loads((workdir / "splits.json").read_text())["counts"]
    for name in ("examples", "patients"):
        assert people["built"][name] == sum(part[name] for part in splits.values())
        assert people["parts"]["test"][name] == splits["test"][name]
    written = json.loads((workdir / "metrics.json").read_text())
    assert (
        written["test"]["clip"]["macro_auroc"]
        == (metrics["test"]["clip"]["macro_auroc"])
    )
    assert {"command", "commit", "date", "devices", "seconds"} <= set(written["run"])


def test_predictions_hold_each_held_out_example_once_under_its_own_patient(finished):
    _, workdir, _ = finished
    table = Predictions.read(workdir / "predictions.csv")
    manifest = Manifest.read(workdir / "splits.json")
    for split, part in (("test", "test"), ("validation", "fold_0")):
        rows = table.of_split(split)
        assert sorted(rows.example_id) == sorted(manifest.parts[part].examples)
        assert set(rows.patient_id) == set(manifest.parts[part].patients)


def test_scalars_are_written_as_csv(finished):
    config, workdir, _ = finished
    rows = list(csv.DictReader((workdir / "scalars.csv").read_text().splitlines()))
    names = {row["name"] for row in rows}
    assert {"train/loss", "train/grad_norm", "validation/loss"} <= names
    epochs = [r for r in rows if r["name"] == "validation/loss"]
    assert len(epochs) == config.train.epochs
    assert list((workdir / "tensorboard").glob("events*"))


def test_the_scores_are_the_best_weights_scores(finished):
    """The table agrees with a network restored and called outside the program."""
    from flax import nnx

    from ultrasound_jax import experiment as experiments
    from ultrasound_jax.training.checkpoint import Checkpoints

    config, workdir, _ = finished
    opened = experiments.open_experiment(config, lambda line: None)
    template = sharding.replicate((opened.params, opened.stats), opened.mesh)
    with Checkpoints(workdir / "checkpoints") as checkpoints:
        weights = checkpoints.restore_best(template)
    model = nnx.merge(opened.network.evaluation, *weights)
    table = Predictions.read(workdir / "predictions.csv").of_split("test")
    place = opened.source.table.example_id.index(table.example_id[0])
    batch = opened.source.load([place])
    clip = jnp.asarray(batch["clip"], jnp.float32) / 255
    logits = model(clip, jnp.asarray(batch["clip_length"]))["logits"]
    # float32 through a network of 20 layers, in another batch.
    places = [opened.source.table.example_id.index(e) for e in table.example_id]
    lengths = opened.source.load(places)["clip_length"]
    assert table.frames is not None and len(set(lengths.tolist())) > 1
    np.testing.assert_array_equal(table.frames, lengths)
    np.testing.assert_allclose(
        table.scores[0], np.asarray(jax.nn.sigmoid(logits))[0], atol=1e-5
    )


def test_a_loss_that_is_not_finite_stops_with_step_and_examples(tiny_config, tmp_path):
    tiny_config.optim.lr = 1e30
    tiny_config.optim.name = "sgd"
    tiny_config.train.log_every = 3
    with pytest.raises(TrainError, match=r"at step [2-9]; .*: P\d+") as stopped:
        train.train_and_evaluate(tiny_config, tmp_path / "run")
    assert "not finite" in str(stopped.value)
    saved = list((tmp_path / "run/checkpoints/latest").glob("[0-9]*"))
    assert not saved


def test_early_stopping_ends_the_run(tiny_config, tmp_path, capsys):
    tiny_config.optim.lr = 1e-12
    tiny_config.optim.name = "sgd"
    tiny_config.train.epochs, tiny_config.train.patience = 30, 1
    tiny_config.train.select = "loss"
    tiny_config.augment = []
    train.train_and_evaluate(tiny_config, tmp_path / "run")
    out = capsys.readouterr().out
    assert "no better for long enough, stopping" in out
    assert "epoch 30" not in out


def test_a_given_manifest_is_used_as_it_is(finished, tiny_config, tmp_path):
    _, workdir, _ = finished
    tiny_config.data.manifest = str(workdir / "splits.json")
    tiny_config.data.manifest_out = str(tmp_path / "copy.json")
    tiny_config.train.epochs = 1
    train.train_and_evaluate(tiny_config, tmp_path / "run")
    again = (tmp_path / "run/splits.json").read_text()
    assert (tmp_path / "copy.json").read_text() == again
    assert json.loads(again) == json.loads((workdir / "splits.json").read_text())


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda parts: parts["test"]["examples"].append("nobody_0000"), "nobody_0000"),
        (
            lambda parts: parts["test"]["examples"].append(
                parts["fold_0"]["examples"].pop()
            ),
            "patient",
        ),
    ],
    ids=["an unknown id", "a patient on two sides"],
)
def test_a_leaking_manifest_is_refused_before_anything_is_written(
    finished, tiny_config, tmp_path, spoil, complaint
):
    _, workdir, _ = finished
    content = json.loads((workdir / "splits.json").read_text())
    spoil(content["parts"])
    path = tmp_path / "splits.json"
    path.write_text(json.dumps(content))
    tiny_config.data.manifest = str(path)
    with pytest.raises(SplitError, match=complaint):
        train.train_and_evaluate(tiny_config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_is_not_continued_with_other_splits(tiny_config, tmp_path):
    tiny_config.train.epochs = 1
    train.train_and_evaluate(tiny_config, tmp_path / "run")
    before = (tmp_path / "run/splits.json").read_bytes()
    content = json.loads(before)
    parts = content["parts"]
    names = ("patients", "examples")
    swapped = {k: {n: parts[k][n] for n in names} for k in ("test", "fold_0")}
    parts["test"].update(swapped["fold_0"])
    parts["fold_0"].update(swapped["test"])
    content["counts"]["test"], content["counts"]["fold_0"] = (
        content["counts"]["fold_0"],
        content["counts"]["test"],
    )
    path = tmp_path / "other.json"
    path.write_text(json.dumps(content))
    tiny_config.data.manifest = str(path)
    with pytest.raises((SplitError, ConfigError), match="began with|other settings"):
        train.train_and_evaluate(tiny_config, tmp_path / "run")
    assert (tmp_path / "run/splits.json").read_bytes() == before


def test_without_a_test_part_nothing_is_trained(tiny_config, tmp_path):
    tiny_config.data.test_fraction = 0.0
    with pytest.raises(SplitError, match="no test part"):
        train.train_and_evaluate(tiny_config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_starts_from_given_weights_and_says_so(tiny_config, capsys, tmp_path):
    from safetensors.numpy import save_file

    shapes = {"conv1.weight": (8, 3, 7, 7), "fc.weight": (4, 64), "fc.bias": (4,)}
    shapes |= norm("bn1", 8)
    width = 8
    for stage in range(1, 5):
        out = 8 * 2 ** (stage - 1)
        for block in range(2):
            name = f"layer{stage}.{block}"
            shapes[f"{name}.conv1.weight"] = (out, width, 3, 3)
            shapes[f"{name}.conv2.weight"] = (out, out, 3, 3)
            shapes |= norm(f"{name}.bn1", out) | norm(f"{name}.bn2", out)
            if width != out:
                shapes[f"{name}.downsample.0.weight"] = (out, width, 1, 1)
                shapes |= norm(f"{name}.downsample.1", out)
            width = out
    rng = np.random.default_rng(0)
    weights = {k: rng.uniform(size=s).astype(np.float32) for k, s in shapes.items()}
    save_file(weights, tmp_path / "resnet18.safetensors")
    tiny_config.init_from = str(tmp_path / "resnet18.safetensors")
    tiny_config.init_part = "encoder"
    lines = []
    from ultrasound_jax import experiment as experiments

    opened = experiments.open_experiment(tiny_config, lines.append)
    stem = opened.params["encoder"]["stem"]["conv"]["kernel"]
    np.testing.assert_array_equal(
        np.asarray(stem), weights["conv1.weight"].transpose(2, 3, 1, 0)
    )
    assert any("loaded" in line and "fc" in line for line in lines)


def norm(name, channels):
    parts = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{part}": (channels,) for part in parts}


def test_evaluation_needs_a_checkpoint(tiny_config, tmp_path):
    from ultrasound_jax.training.checkpoint import CheckpointError

    with pytest.raises(CheckpointError, match="--mode train"):
        evaluate.evaluate_run(tiny_config, tmp_path)
