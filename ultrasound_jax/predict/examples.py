"""A trained run with examples to judge or to look at."""

from collections.abc import Callable

import numpy as np

from ultrasound_jax.data import protocols
from ultrasound_jax.data.dataset import open_dataset
from ultrasound_jax.data.examples import SplitError
from ultrasound_jax.data.manifest import Manifest
from ultrasound_jax.data.source import Source
from ultrasound_jax.experiment import Experiment
from ultrasound_jax.predict.run import Run
from ultrasound_jax.training import sharding
from ultrasound_jax.types import Settings


def own_experiment(
    run: Run, config: Settings, say: Callable[[str], None]
) -> Experiment:
    """A trained run with its own dataset and `splits.json`.

    Nothing depends on how splits are computed today.

    Raises:
        SpecError, SplitError: the dataset is no longer what the run was trained on.
    """
    source = open_dataset(config.data, say, **sharding.building()).reading(run.spec)
    path = run.folder / "splits.json"
    if not path.is_file():
        raise SplitError(
            f"{path} is not there: without it nobody knows which patients the run has "
            "not seen; judge it on another dataset"
        )
    manifest = Manifest.read(path)
    manifest.check(source.table)
    indices = protocols.assign(
        manifest, source.table, protocol=config.data.protocol, fold=config.data.fold
    )
    return with_source(run, config, source, indices, manifest)


def with_source(
    run: Run,
    config: Settings,
    source: Source,
    indices: dict[str, np.ndarray],
    manifest: Manifest | None,
) -> Experiment:
    """A trained run with examples to judge it on."""
    mesh = sharding.data_mesh()
    return Experiment(
        config=config,
        mesh=mesh,
        source=source,
        manifest=manifest,
        indices=indices,
        task=run.task,
        network=run.network,
        params=run.weights[0],
        stats=run.weights[1],
        init=run.about.get("init"),
    )
