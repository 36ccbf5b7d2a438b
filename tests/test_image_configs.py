"""The shipped configurations of still images: valid, and those that can be train."""

import csv

import cv2
import jax.numpy as jnp
import numpy as np
import pytest

from tests.conftest import ROOT
from tests.opened import begin
from ultrasound_jax import config as settings
from ultrasound_jax import experiment as experiments
from ultrasound_jax.datasets.lesion_phantom.patients import kind_of
from ultrasound_jax.datasets.lesion_phantom.picture import draw_picture
from ultrasound_jax.training import sharding

VARIANTS = {
    "resnet_attention": ("", "phantom", "clear", "busi", "skin_tumor"),
    "folder": ("", "segment"),
    "breast_cnn": ("", "phantom", "busi"),
    "pu2756": ("resnet18", "autoencoder", "radiomics", "mix"),
}
PATIENTS, SIZE = 18, 32


@pytest.fixture(scope="module")
def own_pictures(tmp_path_factory):
    """Class folders with masks and a sheet, of phantoms that are nobody."""
    folder = tmp_path_factory.mktemp("own")
    rows = [["file", "patient"]]
    for patient in range(PATIENTS):
        drawn = draw_picture(3, patient, 0, SIZE)
        name = f"{kind_of(3, patient)}/{patient:02d}"
        (folder / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(folder / f"{name}.png"), drawn.image)
        cv2.imwrite(str(folder / f"{name}_mask.png"), drawn.mask * 255)
        rows.append([f"{name}.png", patient])
    with (folder / "patients.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return folder


@pytest.mark.parametrize(
    ("file", "variant"), [(f, v) for f, names in VARIANTS.items() for v in names]
)
def test_a_configuration_of_images_is_valid(file, variant):
    config = settings.load(f"{ROOT}/configs/{file}.py:{variant}")
    settings.check(config)
    with pytest.raises(settings.ConfigError, match=f"{file}.py has no variant 'lung'"):
        settings.load(f"{ROOT}/configs/{file}.py:lung")


def small(name, data_dir):
    config = settings.load(f"{ROOT}/configs/{name}")
    config.data.data_dir = str(data_dir)
    config.data.options.size = SIZE
    config.data.batch_size, config.data.folds = 4, 3
    config.model.options.width = 4
    config.evaluation.replicates = 200
    return config


def assert_trains_two_steps(config):
    opened = experiments.open_experiment(config, lambda line: None)
    _, state, step, batches = begin(opened)
    for _ in range(2):
        batch = sharding.to_device(next(batches), opened.mesh)
        state, terms = step(state, batch, jnp.float32(1))
        assert np.isfinite(terms["loss"])
    assert int(state.step) == 2
    return opened


@pytest.mark.slow  # of the phantom; the folder's are two steps as well
def test_the_phantom_trains_two_steps_and_patients_are_on_one_side(
    data_dir, one_device
):
    config = small("resnet_attention.py", data_dir)
    config.data.options.patients, config.data.options.images = PATIENTS, 2
    opened = assert_trains_two_steps(config)
    patients, sides = opened.source.table.patient_id, {}
    for side, places in opened.indices.items():
        for place in places:
            sides.setdefault(patients[place], set()).add(side)
    assert len(sides) == PATIENTS
    assert all(len(where) == 1 for where in sides.values())


@pytest.mark.parametrize("variant", VARIANTS["folder"])
def test_pictures_of_a_folder_train_two_steps(
    own_pictures, data_dir, one_device, variant
):
    config = small(f"folder.py:{variant}", data_dir)
    config.data.manual_dir = str(own_pictures)
    config.data.options.mask_name = "*_mask"
    if variant == "segment":
        config.model.options.depth = 2
    opened = assert_trains_two_steps(config)
    assert len(opened.source) == PATIENTS and opened.source.patient == ""
