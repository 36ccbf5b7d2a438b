"""A segmentation of the lesion phantom and a classifier, tiny, for two stages."""

import contextlib
from pathlib import Path
from unittest import mock

import jax

from tests.study.stage_networks import CLASSIFY, SEGMENT
from ultrasound_jax import config as settings
from ultrasound_jax.study.crossval import cross_validate, rotated
from ultrasound_jax.study.stages import command
from ultrasound_jax.training import compiling, sharding

FOLDS, SIZE, REGION = 3, 32, 16
PICTURES = {"size": SIZE, "patients": 24, "images": 1, "clear": True}
CLASSIFIER = f"""
from configs._base import base

def get_config(arg=""):
    config = base()
    config.data.name = "lesion_phantom"
    with config.data.unlocked():
        config.data.options = {{"size": {REGION}}}
    config.data.folds = int(arg or {FOLDS})
    config.data.batch_size, config.data.eval_batch_size = 4, 8
    config.model.name, config.task.name = {CLASSIFY!r}, "multiclass"
    config.train.epochs, config.augment = 1, []
    config.evaluation.replicates = 200
    return config
"""


@contextlib.contextmanager
def one_device():
    """The program on one device, its compiled steps where the suite keeps them."""
    mesh = jax.sharding.Mesh(jax.devices()[:1], ("data",))
    with (
        mock.patch.object(sharding, "data_mesh", lambda: mesh),
        mock.patch.object(compiling, "use_compilation_cache", lambda folder: None),
    ):
        yield


def segmentation(data_dir, folds=FOLDS):
    """The settings of the first stage."""
    config = settings.defaults()
    config.data.name, config.data.data_dir = "lesion_phantom", str(data_dir)
    with config.data.unlocked():
        config.data.options = PICTURES
    config.data.folds = folds
    config.data.batch_size, config.data.eval_batch_size = 4, 8
    config.model.name, config.task.name = SEGMENT, "segmentation"
    config.train.select, config.train.epochs = "mean_dice", 1
    config.optim.lr, config.augment = 1e-2, []
    config.evaluation.replicates = 200
    return config


def segmented(root: Path, folds: int = FOLDS) -> Path:
    """A cross-validated segmentation in a folder."""
    config = segmentation(root / "data", folds)
    with one_device():
        cross_validate(rotated(config), root / "segmentation")
    (root / "classifier.py").write_text(CLASSIFIER)
    return root / "segmentation"


def words(segmenter: Path, workdir: Path, *more: str) -> list[str]:
    """The command line of two stages."""
    return [
        f"--segmenter={segmenter}",
        f"--classifier-config={segmenter.parent / 'classifier.py'}",
        f"--workdir={workdir}",
        "--replicates=200",
        *more,
    ]


def stages(segmenter: Path, workdir: Path, *more: str) -> int:
    """The exit code of the command."""
    with one_device():
        return command.main(words(segmenter, workdir, *more))
