"""The study of masks: its settings, and shrunk on the phantoms from end to end."""

import json

import pytest
from flax import nnx
from safetensors.numpy import save_file

from tests.conftest import ROOT
from tests.study.test_committed import script
from ultrasound_jax import config as settings
from ultrasound_jax import models
from ultrasound_jax.models import torch_export
from ultrasound_jax.study import mask_study
from ultrasound_jax.study.mask_recipes import LESIONS, LUNGS, SHRUNK

ENCODER = SHRUNK.networks["busi_encoder"]["encoder"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A random encoder in place of a pretrained one."""
    path = tmp_path_factory.mktemp("weights") / "encoder.safetensors"
    model = models.build("image_classifier", encoder=ENCODER, rngs=nnx.Rngs(1))
    save_file(torch_export.state_of(model.encoder), path)
    return str(path)


def study_in(folder, sizes=mask_study.FULL):
    where = mask_study.Where(ROOT / "configs", "d", "", "w.safetensors", folder)
    return mask_study.MaskStudy(where, sizes)


@pytest.mark.parametrize("sizes", [mask_study.FULL, SHRUNK], ids=["full", "shrunk"])
def test_every_training_is_a_valid_configuration(tmp_path, sizes):
    study = study_in(tmp_path, sizes)
    for training in study._trainings.values():
        config = training.config.copy_and_resolve_references()
        settings.check(config)
        settings.complete(config)
    names = [job.name for job in study.jobs()]
    assert len(names) == len(set(names))
    assert {f"busi_{n}" for n in LESIONS} | {f"lungs_{n}" for n in LUNGS} <= {*names}
    for job in study.jobs():  # what a job needs comes before it
        assert all(names.index(need) < names.index(job.name) for need in job.needs)


def run(weights, data_dir, out, *words):
    given = ["--shrink", f"--weights={weights}", f"--data_dir={data_dir}"]
    return script("masks_study").main([*given, f"--out={out}", *words])


@pytest.mark.slow
@pytest.mark.usefixtures("one_device")
def test_networks_are_compared_and_judged_elsewhere_as_tables_tell(
    weights, data_dir, tmp_path, monkeypatch
):
    jobs = ["busi_unet", "busi_mirrored", "elsewhere_unet", "stages"]
    assert run(weights, data_dir, tmp_path, "--jobs", *jobs) == 0
    found = {
        path.stem.removeprefix("masks_"): json.loads(path.read_text())
        for path in (tmp_path / "results").iterdir()
    }
    assert {*found} == {*jobs, "busi_encoder", "lungs_unet"}
    level = {n: found[n]["out_of_fold"]["image"] for n in ("busi_unet", "busi_encoder")}
    (against,) = found["busi_unet"]["against"]
    gap = level["busi_unet"]["mean_dice"] - level["busi_encoder"]["mean_dice"]
    assert against["reference"] == "busi_encoder"
    assert against["differences"][0]["difference"] == pytest.approx(gap, abs=1e-9)
    folds = SHRUNK.changes["data.folds"]
    assert len(found["elsewhere_unet"]["mean_dice"]) == folds
    tables = script("mask_tables")
    monkeypatch.setattr(tables, "RESULTS", tmp_path / "results")
    rows = [
        line for line in tables.lesions().splitlines() if line.startswith("| U-Net")
    ]
    assert [row.split(" | ")[0] for row in rows] == [
        "| U-Net, ImageNet encoder",
        "| U-Net from scratch",
    ]
    shown = f"{level['busi_unet']['mean_dice']:.3f}"
    assert shown in rows[1] and f"{gap:+.3f}" in rows[1]
    kinds = [row.split(" | ")[0] for row in tables.stages().splitlines()[2:6]]
    assert kinds == [f"| {words}" for words in tables.KINDS.values()]
    assert "U-Net" in tables.lungs() and "phantom_ct" in tables.lungs_elsewhere()
