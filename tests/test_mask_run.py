"""A run that segments, from settings to the masks that it writes."""

import json

import cv2
import numpy as np
import pytest
from ml_collections import ConfigDict

from ultrasound_jax import config as settings
from ultrasound_jax import experiment as experiments
from ultrasound_jax import train
from ultrasound_jax.analysis.table.mask_table import read_table
from ultrasound_jax.predict import open_run
from ultrasound_jax.training import steps


def config_of(data_dir, *, given):
    config = settings.load("configs/busi.py:segment")
    config.data.name, config.data.data_dir = "lesion_phantom", str(data_dir)
    config.data.manual_dir = ""
    with config.unlocked():
        options = {"size": 32, "patients": 18, "images": 1, "seed": 3}
        config.data.options = ConfigDict(options)
        config.task.options = ConfigDict()
    config.model.options.update({"width": 4, "depth": 2})
    config.data.batch_size = config.data.eval_batch_size = 8
    config.data.folds, config.train.epochs = 3, 1
    config.augment, config.optim.ema = [], 0.0
    config.evaluation.replicates = 200
    settings.override(config, [f"task.options.{option}" for option in given])
    settings.complete(config)
    settings.check(config)
    return config


def test_what_is_counted_is_the_mask_that_is_written(data_dir, tmp_path, one_device):
    given = ["loss=fusionlungnet", "boundary=0.01", "ssim_borders=inside"]
    given += ["keep_components=1", "fill_holes=True", "smallest=3"]
    config = config_of(data_dir, given=given)
    train.train_and_evaluate(config, tmp_path)
    table = read_table(tmp_path / "predictions.csv")
    source = experiments.open_experiment(config, lambda line: None).source
    place = {name: i for i, name in enumerate(source.table.example_id)}
    seen = 0
    for row, (name, file) in enumerate(
        zip(table.example_id, table.mask_file, strict=True)
    ):
        found = cv2.imread(str(tmp_path / file), cv2.IMREAD_UNCHANGED) == 1
        truth = source.records[place[name]]["mask"][..., 0] == 1
        counts = [(found & truth).sum(), (found & ~truth).sum(), (~found & truth).sum()]
        assert counts == [table.tp[row, 0], table.fp[row, 0], table.fn[row, 0]]
        pieces, _ = cv2.connectedComponents(found.astype(np.uint8), connectivity=8)
        assert pieces <= 2 and (found.sum() >= 3 or not found.any())
        seen += found.any()
    assert seen, "a network after one epoch finds something somewhere"
    options = json.loads((tmp_path / "model.json").read_text())["task"]["options"]
    assert options["loss"] == "fusionlungnet" and options["boundary"] == 0.01
    run = open_run(tmp_path, print)
    assert set(run.task.terms.weights) == {"focal", "ssim", "iou", "boundary"}
    assert run.task.cleaning.keep_components == 1


def test_a_batch_that_cannot_be_divided_is_refused_before_anything_is_written(
    data_dir, tmp_path, one_device
):
    config = config_of(data_dir, given=["loss=focal_dice"])
    config.optim.accumulate = 2
    with pytest.raises(steps.StepError, match="accumulate=2 is not allowed"):
        train.train_and_evaluate(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
