"""A fold's probe as a network: the encoder, and the regression as its last layer.

Its file is what a training may start from, `config.init_from=PROBE`: each fold of a
cross-validation takes the probe that has seen neither whom the fold judges nor whom it
validates on. Nothing is lost by fine-tuning then but by its own steps.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx

from ultrasound_jax.data import source as sources
from ultrasound_jax.experiment import Experiment
from ultrasound_jax.models import torch_export
from ultrasound_jax.predict import weights
from ultrasound_jax.predict.model_file import network_name
from ultrasound_jax.pretrained import of_fold
from ultrasound_jax.starting import training_data
from ultrasound_jax.study.linear_probe import Linear


def write(
    experiment: Experiment, probe: Linear, patients: Sequence[str], folder: Path
) -> Path | None:
    """Writes the network of the experiment's fold; None if it has no such last layer.

    That is a linear `classifier` of the features with an output a class, as
    `image_classifier` and `frame_vote` have it.

    Args:
        experiment: whose encoder it is.
        probe: of its features.
        patients: whom the probe was fitted on.
        folder: of the probe.
    """
    model: Any = nnx.merge(
        experiment.network.evaluation, experiment.params, experiment.stats, copy=True
    )
    head = getattr(model, "classifier", None)
    shape = probe.weights.shape[::-1]
    if not isinstance(head, nnx.Linear) or head.kernel.shape != shape or not head.bias:
        return None
    scaled = probe.weights / probe.spread
    head.kernel[...] = np.float32(scaled.T)
    head.bias[...] = np.float32(probe.bias - scaled @ probe.mean)
    source, data = experiment.source, experiment.config.data
    init = experiment.init or {}
    own = training_data(
        data.name,
        sources.builder_options(data.name, data.options.to_dict(), data.data_dir),
        source.table.data_hash,
        patients,
    )
    settings = experiment.config.model
    about = {
        "network": network_name({"name": settings.name, "options": settings.options}),
        "classes": list(experiment.task.classes),
        "trained_on": [own, *init.get("trained_on", ())],
    }
    path = of_fold(folder, data.fold)
    weights.write(torch_export.state_of(model), about, path)
    return path
