"""Writes a run's weights as safetensors, under the names that PyTorch's originals have.

They are the weights that the run is judged by: the best by validation, averaged where
it averaged them. `config.init_from=FILE` starts from them, and so does PyTorch where it
has the same network. The file tells its classes, and the hashes of its weights and of
the data that it was trained on; no patient is named in it.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx
from safetensors import SafetensorError
from safetensors.numpy import save_file

from ultrasound_jax.config import read
from ultrasound_jax.data.manifest import TEST, Manifest, fold_name
from ultrasound_jax.models import torch_export
from ultrasound_jax.predict.run import Run, RunError, open_run
from ultrasound_jax.runs.files import whole_file
from ultrasound_jax.starting import (
    ABOUT,
    training_data,
    weights_hash,
    without_patients,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what this verb takes."""
    add = parser.add_argument
    add("run", type=Path, metavar="RUN", help="a trained run's folder")
    add("--out", type=Path, required=True, metavar="FILE.safetensors")


def run(given: argparse.Namespace) -> int:
    """Writes the file; returns the exit code."""
    if given.out.suffix != ".safetensors":
        raise RunError(f"--out {given.out}: it must end with .safetensors")
    opened = open_run(given.run)
    state = state_of(opened)
    write(state, about_of(opened), given.out)
    numbers = sum(value.size for value in state.values())
    print(
        f"wrote {given.out}: {opened.name}, best weights, {len(state)} tensors, "
        f"{numbers:,} numbers"
    )
    return 0


def write(state: dict[str, np.ndarray], about: dict[str, Any], path: Path) -> None:
    """Writes a state dict and what is told of it, whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    about = about | {
        "weights": weights_hash(state),
        "trained_on": without_patients(about["trained_on"]),
    }
    with whole_file(path) as temporary:
        try:
            save_file(state, temporary, {"format": "pt", ABOUT: json.dumps(about)})
        except SafetensorError as error:  # what safetensors makes of a full disk
            raise OSError(str(error)) from error


def state_of(run: Run) -> dict[str, Any]:
    """The weights that a run is judged by, under PyTorch's names."""
    return torch_export.state_of(nnx.merge(run.network.evaluation, *run.weights))


def about_of(run: Run) -> dict[str, Any]:
    """What is to be told of a run's weights, less their hash: see `starting.py`."""
    settings = read(run.folder).data
    manifest = Manifest.read(run.folder / "splits.json")
    unseen = TEST if settings.protocol == "holdout" else fold_name(settings.fold)
    patients = [
        patient
        for name, part in manifest.parts.items()
        if name != unseen
        for patient in part.patients
    ]
    own = training_data(
        run.about["preprocessing"]["dataset"],
        run.about["preprocessing"]["options"],
        manifest.data_hash,
        patients,
    )
    before = (run.about.get("init") or {}).get("trained_on", [])
    return {
        "network": run.name,
        "classes": list(run.classes),
        "trained_on": [own, *before],
    }
