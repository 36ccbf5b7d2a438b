"""A dataset as settings mean it: opened (built if missing), and split by patient."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ultrasound_jax.data import pipeline, protocols
from ultrasound_jax.data import source as sources
from ultrasound_jax.data.manifest import Manifest
from ultrasound_jax.data.source import Source
from ultrasound_jax.data.splits import make_manifest
from ultrasound_jax.types import Settings

Indices = dict[str, np.ndarray]  # the places of `train`, `validation` and `test`


def open_split(
    data: Settings,
    say: Callable[[str], None],
    *,
    leads: bool = True,
    wait: Callable[[], object] = lambda: None,
) -> tuple[Source, Manifest, Indices]:
    """The dataset, its splits, and which examples train, validate and test.

    Args:
        data: `config.data`.
        say: told where the dataset is built.
        leads: of several processes, whether this one builds what is missing.
        wait: returns when the dataset is built.
    """
    source = open_dataset(data, say, leads=leads, wait=wait)
    manifest = splits_of(data, source)
    indices = protocols.assign(
        manifest, source.table, protocol=data.protocol, fold=data.fold
    )
    return source, manifest, indices


def open_dataset(
    data: Settings,
    say: Callable[[str], None],
    *,
    leads: bool = True,
    wait: Callable[[], object] = lambda: None,
) -> Source:
    """The dataset; see `open_split`."""
    options = data.options.to_dict()
    if leads:
        sources.prepare(
            data.name,
            options=options,
            data_dir=data.data_dir,
            manual_dir=data.manual_dir,
            say=say,
        )
        sources.open_source(data.name, options=options, data_dir=data.data_dir)
    wait()
    return sources.open_source(data.name, options=options, data_dir=data.data_dir)


def splits_of(data: Settings, source: Source) -> Manifest:
    """The given or the computed splits, checked against the dataset.

    They say how it is opened, so that whoever has them can look at it again.
    """
    if data.manifest:
        manifest = Manifest.read(Path(data.manifest))
    else:
        manifest = make_manifest(
            source.table,
            test_fraction=data.test_fraction,
            folds=data.folds,
            seed=data.split_seed,
        )
    manifest.check(source.table)
    options = data.options.to_dict()
    whole = sources.builder_options(data.name, options, data.data_dir)
    return replace(manifest, built={"name": data.name, "options": whole})


def training_batches(
    source: Source,
    places: np.ndarray,
    data: Settings,
    *,
    seed: int,
    process: tuple[int, int] = (0, 1),
) -> Any:
    """The endless iterator of a process's training batches, sampled as `data` says."""
    return pipeline.train_batches(
        source,
        places,
        batch_size=data.batch_size,
        seed=seed,
        weights=pipeline.sampling_weights(source.table, places, data.sampling),
        process=process,
        threads=data.threads,
        prefetch=data.prefetch,
    )


def batches_once(
    source: Source,
    places: np.ndarray,
    data: Settings,
    *,
    process: tuple[int, int] = (0, 1),
) -> Any:
    """A process's share of some examples, each once and in order."""
    return pipeline.eval_batches(
        source,
        places,
        batch_size=data.eval_batch_size,
        process=process,
        threads=data.threads,
        prefetch=data.prefetch,
    )
