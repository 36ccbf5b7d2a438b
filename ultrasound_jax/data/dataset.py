"""A dataset as settings mean it: opened (built if missing), and split by patient."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ultrasound_jax.data import pipeline, protocols
from ultrasound_jax.data import source as sources
from ultrasound_jax.data.manifest import Manifest
from ultrasound_jax.data.source import Source
from ultrasound_jax.data.spec import COPY, Batch
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
    source = sources.open_source(data.name, options=options, data_dir=data.data_dir)
    if data.hu_width:
        source = source.windowed(data.hu_centre, data.hu_width)
    return source


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
    copies: int = 1,
) -> Any:
    """The endless iterator of a process's training batches, sampled as `data` says.

    With several `copies` an epoch has every example so often, and the field `copy` says
    which of them a row is.
    """
    weights = pipeline.sampling_weights(source.table, places, data.sampling)
    if weights is not None:
        weights = np.tile(weights, copies)
    read_from: pipeline.Source = source
    if copies > 1:
        read_from = Copies(source, len(source))
        places = np.concatenate([read_from.places(places, c) for c in range(copies)])
    return pipeline.train_batches(
        read_from,
        places,
        batch_size=data.batch_size,
        seed=seed,
        weights=weights,
        process=process,
        threads=data.threads,
        prefetch=data.prefetch,
    )


@dataclass(frozen=True)
class Copies:
    """A source whose examples are there several times, told apart by `copy`."""

    source: Source
    size: int

    def places(self, places: np.ndarray, copy: int) -> np.ndarray:
        """Where this copy of some examples lies."""
        return np.asarray(places) + copy * self.size

    def load(self, indices: np.ndarray) -> Batch:
        """Reads examples by the places of their copies."""
        copy, place = np.divmod(np.asarray(indices, np.int32), self.size)
        return self.source.load(place) | {COPY: copy.astype(np.int32)}


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
