"""Runs of masks on phantoms: squares, views, TIFs, and one clinic after another."""

import json

import cv2
import numpy as np
import pytest

from tests.conftest import ROOT
from ultrasound_jax import config as settings
from ultrasound_jax import pretrained, train
from ultrasound_jax.analysis.table.mask_table import MaskTable, read_table
from ultrasound_jax.data.source import open_source
from ultrasound_jax.predict import open_run

SIDE = 32
LESIONS = {"size": SIDE, "patients": 12, "images": 1, "seed": 0, "clear": True}
LUNGS = {"size": SIDE, "patients": 12, "slices": 2, "seed": 0}


def config_of(data_dir, name, options):
    config = settings.load(f"{ROOT}/configs/unet.py")
    with config.data.unlocked():
        config.data.name, config.data.options = name, options
    config.data.data_dir = str(data_dir)
    config.model.options.update({"width": 2, "depth": 1})
    config.data.batch_size = config.data.eval_batch_size = 4
    config.data.folds, config.train.epochs = 3, 1
    config.evaluation.replicates = 200
    return config


@pytest.fixture(scope="module")
def lungs(data_dir, tmp_path_factory):
    """A run of Hounsfield units, in squares, of four views, with masks as TIF."""
    config = config_of(data_dir, "phantom_ct", LUNGS)
    config.data.hu_centre, config.data.hu_width = -500.0, 1000.0
    config.train.crop, config.evaluation.window = 16, 16
    config.evaluation.mirrored = config.evaluation.upside_down = True
    config.evaluation.mask_file = "tif"
    settings.complete(config)
    settings.check(config)
    folder = tmp_path_factory.mktemp("lungs") / "run"
    train.train_and_evaluate(config, folder)
    return folder


def test_a_run_tells_how_pictures_were_shown_and_through_which_window(lungs):
    about = json.loads((lungs / "model.json").read_text())
    looking = ("mirrored", "upside_down", "window", "overlap")
    assert [about[name] for name in looking] == [True, True, 16, 0.5]
    assert about["spec"]["fields"]["image"]["values"] == [-1000.0, 0.0]


def test_masks_lie_beside_the_table_as_tif_and_are_what_the_run_says(lungs, data_dir):
    table = read_table(lungs / "predictions.csv")
    assert isinstance(table, MaskTable)
    assert {name[-4:] for name in table.mask_file} == {".tif"}
    source = open_source("phantom_ct", options=LUNGS, data_dir=str(data_dir))
    place = {name: i for i, name in enumerate(source.table.example_id)}
    run = open_run(lungs, print)
    chosen = range(0, len(table), 3)
    rows = source.load(np.array([place[table.example_id[i]] for i in chosen]))
    scores = run.scores({"image": rows["image"]})[..., 0]
    for i, score in zip(chosen, scores, strict=True):
        path = lungs / table.mask_file[i]
        mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert mask is not None and mask.dtype == np.uint8
        assert path.read_bytes()[:2] in (b"II", b"MM")
        assert mask.sum() == table.tp[i] + table.fp[i]
        near = np.abs(score - 0.5) < 1e-4
        np.testing.assert_array_equal((score > 0.5)[~near], mask[~near] > 0)
    assert (lungs / "contact_sheet.png").exists()


def test_masks_learnt_of_one_clinic_are_a_beginning_for_another(
    data_dir, tmp_path, one_device
):
    """BUSI for PU2756, in small: same structure, other patients, all weights kept."""
    first = config_of(data_dir, "lesion_phantom", LESIONS)
    settings.complete(first)
    train.train_and_evaluate(first, tmp_path / "first")
    other = config_of(data_dir, "lesion_phantom", LESIONS | {"seed": 1})
    other.init_from = str(tmp_path / "first")
    settings.complete(other)
    lines = []
    opened = pretrained.open_experiment(other, lines.append)
    weights = open_run(tmp_path / "first", print).weights[0]
    kept = np.array(opened.params["classifier"]["kernel"][...])
    np.testing.assert_array_equal(kept, weights["classifier"]["kernel"][...])
    assert opened.init is not None and opened.init["left_fresh"] == {}
    trained_on = opened.init["trained_on"]
    assert [one["dataset"].split("/")[0] for one in trained_on] == ["lesion_phantom"]
