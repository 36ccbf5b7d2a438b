"""A run's folder without its training, for verbs that only look."""

import jax
import numpy as np
import pytest

from ultrasound_jax import config as settings
from ultrasound_jax import experiment
from ultrasound_jax.analysis.table.predictions import Predictions
from ultrasound_jax.predict import model_file
from ultrasound_jax.training import sharding
from ultrasound_jax.training.checkpoint import Checkpoints


def opened_on_one_device(config):
    """The experiment, and the mesh that it has while the generator waits."""
    with pytest.MonkeyPatch.context() as patch:
        mesh = jax.sharding.Mesh(jax.devices()[:1], ("data",))
        patch.setattr(sharding, "data_mesh", lambda: mesh)
        yield experiment.open_experiment(config, lambda line: None)


def leave(opened, folder, *, score):
    """Writes what training leaves, the weights as they started; the folder.

    Every score of predictions.csv is `score`.
    """
    folder.mkdir()
    settings.write(opened.config, folder)
    model_file.begin(opened, folder)
    weights = sharding.replicate((opened.params, opened.stats), opened.mesh)
    with Checkpoints(folder / "checkpoints") as checkpoints:
        checkpoints.save_best(1, weights)
    table, places = opened.source.table, opened.indices["test"]
    Predictions(
        example_id=tuple(table.example_id[i] for i in places),
        video_id=tuple(table.video_id[i] for i in places),
        patient_id=tuple(table.patient_id[i] for i in places),
        fold=np.zeros(len(places), int),
        split=("test",) * len(places),
        classes=table.classes,
        labels=table.labels[places].astype(float),
        scores=np.full((len(places), len(table.classes)), score),
        units=opened.source.spec.units,
    ).write(folder / "predictions.csv")
    return folder
