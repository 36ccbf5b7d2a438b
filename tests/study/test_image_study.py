"""The study of images: its settings, and shrunk on the phantoms from end to end."""

import json

import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import save_file

from tests.conftest import ROOT
from tests.study.test_committed import script
from ultrasound_jax import config as settings
from ultrasound_jax import models
from ultrasound_jax.analysis.table.predictions import Predictions
from ultrasound_jax.models import torch_export
from ultrasound_jax.study import crossval, image_study, judged
from ultrasound_jax.study.image_recipes import AUGMENTS, NETWORKS, SHRUNK, Recipes

FOLDS = SHRUNK.changes["data.folds"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A random encoder in place of a pretrained one."""
    path = tmp_path_factory.mktemp("weights") / "encoder.safetensors"
    model = models.build("image_classifier", **SHRUNK.encoder, rngs=nnx.Rngs(1))
    save_file(torch_export.state_of(model.encoder), path)
    return str(path)


def where(tmp_path, **changes):
    given = {
        "configs": ROOT / "configs",
        "manual_dir": "d",
        "data_dir": "",
        "weights": "w.safetensors",
        "out": tmp_path,
        "breasts": {},
        "lungs": {},
    }
    return image_study.Where(**given | changes)


def test_every_training_of_the_full_study_is_a_valid_configuration(tmp_path):
    study = image_study.ImageStudy(where(tmp_path), image_study.FULL)
    for name, training in study._trainings.items():
        config = training.config.copy_and_resolve_references()
        if "policy" in {one["name"] for one in config.augment}:
            assert name.endswith(("fast", "random"))
            config.augment = []
        settings.check(config)
        settings.complete(config)
    names = [job.name for job in study.jobs()]
    assert len(names) == len(set(names)) > 35
    table = {f"table_{n}_{a}" for n in NETWORKS for a in AUGMENTS}
    assert table <= {*names}
    for job in study.jobs():  # what a job needs comes before it
        assert all(names.index(need) < names.index(job.name) for need in job.needs)


def test_what_is_compared_has_the_same_examples_in_the_same_folds(tmp_path):
    study = image_study.ImageStudy(where(tmp_path), image_study.FULL)
    recipes = Recipes(where(tmp_path), image_study.FULL)
    of = {"busi_probe": recipes.busi(), "pocus_probe": recipes.pocus()}
    of |= {name: training.config for name, training in study._trainings.items()}
    pairs = [(n, one) for n, t in study._trainings.items() for one in t.references]
    assert len(pairs) == 3 * 3 + 2 + 1 + 3 * 5
    for name, reference in pairs:
        assert of[name].data.to_dict() == of[reference].data.to_dict()
    by_image = {n: of[n].data.options.to_dict() for n in of if n.startswith("by_image")}
    for name, options in by_image.items():
        plain = of[name.replace("by_image_", "table_") + "_none"]
        assert options == plain.data.options.to_dict() | {"by_image": True}
        assert of[name].model == plain.model and of[name].optim == plain.optim


def test_frozen_last_and_whole_differ_in_what_is_trained(tmp_path):
    recipes = Recipes(where(tmp_path), image_study.FULL)
    parts = {p: recipes.tuned(recipes.busi(), p) for p in image_study.PARTS}
    stages = {p: config.optim.frozen_stages for p, config in parts.items()}
    assert stages == {"frozen": -1, "last": 6, "whole": 0}
    assert {c.init_from for c in parts.values()} == {"w.safetensors"}
    assert {c.init_part for c in parts.values()} == {"encoder"}


def run(weights, data_dir, out, *words):
    given = ["--shrink", f"--weights={weights}", f"--data_dir={data_dir}"]
    return script("images_study").main([*given, f"--out={out}", *words])


def read(out, name):
    return json.loads((out / f"results/images_{name}.json").read_text())


@pytest.mark.usefixtures("one_device")
def test_fine_tuning_stands_beside_its_probe_and_goes_on_after_a_kill(
    weights, data_dir, tmp_path, monkeypatch
):
    trained, train = [], crossval.train_and_evaluate

    def train_one(config, folder):
        if len(trained) == 1 and not (folder.parent / "fold_0/killed").exists():
            (folder.parent / "fold_0/killed").touch()
            raise SystemExit(128 + 15)
        trained.append(folder.name)
        return train(config, folder)

    monkeypatch.setattr(crossval, "train_and_evaluate", train_one)
    words = ["--jobs", "busi_frozen"]
    with pytest.raises(SystemExit):
        run(weights, data_dir, tmp_path, *words)
    assert (tmp_path / "results/images_busi_probe.json").exists()
    assert not (tmp_path / "results/images_busi_frozen.json").exists()
    assert run(weights, data_dir, tmp_path, *words) == 0
    assert trained == [f"fold_{k}" for k in range(FOLDS)]
    found = read(tmp_path, "busi_frozen")
    assert found["job"]["sizes"]["frozen stages"] == -1
    (against,) = found["against"]
    assert against["reference"] == "busi_probe"
    rows = {row["class"]: row for row in against["differences"]}
    level = found["out_of_fold"]["image"]
    probe = read(tmp_path, "busi_probe")["out_of_fold"]["image"]
    gap = level["macro_auroc"] - probe["macro_auroc"]
    assert rows["macro"]["difference"] == pytest.approx(gap, abs=1e-9)
    assert found["without_mixed_groups"]["left_out"] == {"patients": 0, "examples": 0}
    assert found["minutes_trained"] >= 0 and len(found["folds"]) == FOLDS
    tables = script("image_tables")
    monkeypatch.setattr(tables, "RESULTS", tmp_path / "results")
    lines = tables.busi_tuned().splitlines()
    rows = [line.split(" | ") for line in lines if line.startswith("| ")]
    assert [row[0] for row in rows[1:]] == [
        "| linear probe",
        "| frozen, a linear layer by gradient steps",
    ]
    assert rows[2][1].startswith(f"{level['macro_auroc']:.3f}")
    assert rows[2][4].startswith(f"{gap:+.3f} [")
    assert "commit" in lines[-1] and "busi_frozen" in lines[-1]
    assert tables.pocus_tuned().startswith("Not run yet")


@pytest.mark.slow
@pytest.mark.usefixtures("one_device")
def test_every_kind_of_job_ends_on_the_phantoms(weights, data_dir, tmp_path):
    names = ["elsewhere_busi_last", "elsewhere_pocus_luvnet_last"]
    names += ["table_resnet_attention_fast", "table_resnet_attention_random"]
    names += ["by_image_probe", "by_image_breast_cnn", "busi_phantom_last"]
    names += ["busi_head", "busi_last_mirrored"]
    assert run(weights, data_dir, tmp_path, "--jobs", *names) == 0
    for name in names:
        assert read(tmp_path, name)["job"]["name"] == name
    elsewhere = read(tmp_path, names[0])
    assert len(elsewhere["macro_auroc"]) == FOLDS and elsewhere["n"]["examples"] == 9
    searched = read(tmp_path, "search_resnet_attention")["policies"]
    assert {*searched["folds"]} == {str(k) for k in range(FOLDS)}
    fast = read(tmp_path, "table_resnet_attention_fast")
    kinds = [one["reference"].rpartition("_")[2] for one in fast["against"]]
    assert kinds == ["none", "random"]
    (own,) = read(tmp_path, "busi_last_mirrored")["against"]
    assert own["reference"] == "busi_last"
    started = read(tmp_path, "busi_phantom_last")["judged"]["started from"]
    assert "lesion_phantom" in started


@pytest.mark.slow
@pytest.mark.usefixtures("one_device")
def test_measured_steps_tell_the_minutes_of_the_plan(
    weights, data_dir, tmp_path, capsys
):
    words = ["--jobs", "busi_frozen", "search_breast_cnn"]
    assert run(weights, data_dir, tmp_path, "--measure", *words) == 0
    told = json.loads((tmp_path / "plan.json").read_text())["minutes"]
    assert {*told} == {"busi_frozen", "search_breast_cnn"} and min(told.values()) >= 0
    capsys.readouterr()
    assert run(weights, data_dir, tmp_path, "--plan", *words) == 0
    said = capsys.readouterr().out
    assert "about" in said and "3 of 3 jobs left" in said
    assert not (tmp_path / "results").exists()


def test_a_mistake_is_one_line(weights, data_dir, tmp_path, capsys):
    assert run(weights, data_dir, tmp_path, "--jobs", "busi_all") == 2
    assert "there is no job 'busi_all'; there are busi_probe" in capsys.readouterr().err
    assert run(weights, data_dir, tmp_path, "--lungs", "videos") == 2
    assert "'videos' is not allowed: it must be KEY=VALUE" in capsys.readouterr().err


def test_groups_of_two_labels_are_kept_and_dropped():
    labels = np.eye(3)[[0, 1, 2] * 6]
    patient = [f"p{k}" for k in range(18)]
    patient[1] = patient[0]  # benign and malignant
    rng = np.random.default_rng(0)
    scores = rng.dirichlet([1, 1, 1], 18)
    scores[[0, 1]] = [[0, 1, 0], [1, 0, 0]]  # both wrong
    names = tuple(f"e{k}" for k in range(18))
    table = Predictions(
        example_id=names,
        video_id=names,
        patient_id=tuple(patient),
        fold=np.arange(18) % 3,
        split=("out_of_fold",) * 18,
        classes=("benign", "malignant", "normal"),
        labels=labels,
        scores=scores,
        units=("image", "image"),
    )
    found = judged.without_mixed(table)
    assert found["left_out"] == {"patients": 1, "examples": 2}
    assert found["n"]["examples"] == 16
    right = (scores.argmax(1) == labels.argmax(1))[2:].mean()
    assert found["accuracy"] == pytest.approx(right)
