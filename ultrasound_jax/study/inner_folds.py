"""The training examples of a run dealt into parts, for what may look at no others."""

from dataclasses import replace

import numpy as np

from ultrasound_jax.data.examples import ExampleTable
from ultrasound_jax.data.splits import make_manifest
from ultrasound_jax.experiment import Experiment

Split = dict[str, np.ndarray]  # the places of `train`, `validation` and `test`


def inner_folds(experiment: Experiment, count: int) -> list[Split]:
    """The splits in which each part of the training patients is held out once.

    Parts are made as folds are: of whole patients, with each class in every part as far
    as there are enough of them. What the run validates and tests on is in none of them.

    Raises:
        SplitError: there are fewer patients than parts.
    """
    places = np.asarray(experiment.indices["train"])
    table = rows_of(experiment.source.table, places)
    seed = experiment.config.data.split_seed
    manifest = make_manifest(table, test_fraction=0.0, folds=count, seed=seed)
    found = []
    for fold in range(count):
        rows = manifest.indices(table, fold)
        found.append({name: places[part] for name, part in rows.items()})
    return found


def rows_of(table: ExampleTable, places: np.ndarray) -> ExampleTable:
    """The table of some examples only."""

    def some(column: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(column[i] for i in places) if column else column

    return replace(
        table,
        example_id=some(table.example_id),
        video_id=some(table.video_id),
        patient_id=some(table.patient_id),
        labels=table.labels[places],
        study_id=some(table.study_id),
        pixel_hash=some(table.pixel_hash),
        groups={name: some(column) for name, column in table.groups.items()},
    )
