"""A trained run with examples to judge or to look at."""

from collections.abc import Callable

import numpy as np

from ultrasound_jax.data import protocols
from ultrasound_jax.data.dataset import open_dataset
from ultrasound_jax.data.examples import SplitError
from ultrasound_jax.data.manifest import Manifest
from ultrasound_jax.data.source import Source
from ultrasound_jax.data.spec import SpecError
from ultrasound_jax.experiment import Experiment
from ultrasound_jax.predict import binding
from ultrasound_jax.predict.run import Run
from ultrasound_jax.training import sharding
from ultrasound_jax.types import Settings


def own_experiment(
    run: Run, config: Settings, say: Callable[[str], None]
) -> Experiment:
    """A trained run with its own dataset and `splits.json`.

    Nothing depends on how splits are computed today.

    Raises:
        BindingError, SpecError, SplitError: the dataset or the splits are no longer
            what the run was trained on.
    """
    whole = open_dataset(config.data, say, **sharding.building())
    check_spec(run, whole)
    source = whole.reading(run.spec)
    path = run.folder / "splits.json"
    if not path.is_file():
        raise SplitError(
            f"{path} is not there: without it nobody knows which patients the run has "
            "not seen; judge it on another dataset"
        )
    manifest = Manifest.read(path)
    found = {
        "data": binding.hash_of_examples(source.table),
        "classes": binding.hash_of_classes(run.spec),
        "splits": binding.hash_of_splits(manifest, config.data),
    }
    where = {"data": source.name, "classes": source.name}
    where |= {"splits": str(path), "run": str(run.folder)}
    binding.check(run.about, found, where=where, say=lambda line: None)
    manifest.check(source.table)
    indices = protocols.assign(
        manifest, source.table, protocol=config.data.protocol, fold=config.data.fold
    )
    return with_source(run, config, source, indices, manifest)


def check_spec(run: Run, source: Source) -> None:
    """Refuses a dataset whose fields or class names are not those of the run.

    Raises:
        SpecError: one of them is another.
    """
    for name, own in run.spec.items():
        theirs = source.spec[name] if name in source.spec else None
        if theirs is not None and theirs.classes != own.classes:
            raise SpecError(
                f"{source.name} has the classes {', '.join(theirs.classes)}, the run "
                f"in '{run.folder}' was trained on {', '.join(own.classes)}: bring "
                "back the dataset that it was trained on"
            )
        if theirs != own:
            raise SpecError(
                f"{source.name} has '{name}' as {theirs or 'no field'}, the run in "
                f"'{run.folder}' was trained on {own}: bring back the dataset that it "
                "was trained on"
            )


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
