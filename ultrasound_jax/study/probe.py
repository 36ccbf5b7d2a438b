"""The baseline of every study: what a pretrained encoder sees, and one linear layer.

Nothing is trained but a logistic regression on frozen features, which takes seconds and
has one setting, chosen within the training patients. Folds, predictions table and
report are those of a cross-validation, so that the two can be compared row by row: a
network that does not beat this has learned nothing from the patients that ImageNet had
not taught already.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ultrasound_jax import evaluate, starting
from ultrasound_jax import workdir as workdirs
from ultrasound_jax.analysis.table.predictions import joined
from ultrasound_jax.analysis.table.splits import OUT_OF_FOLD
from ultrasound_jax.config import ConfigError
from ultrasound_jax.data import protocols
from ultrasound_jax.data.manifest import Manifest, keep_splits
from ultrasound_jax.experiment import Experiment, open_experiment
from ultrasound_jax.predict.model_file import network_name
from ultrasound_jax.predict.score_split import table_of
from ultrasound_jax.pretrained import named_start
from ultrasound_jax.study import linear_probe, probe_network
from ultrasound_jax.study.features import Features, kept_features
from ultrasound_jax.study.linear_probe import Linear
from ultrasound_jax.training.console import Console, Stopwatch
from ultrasound_jax.training.one_writer import check_free, one_writer
from ultrasound_jax.types import Settings

EXCLUSIVE = {"threshold": False, "argmax": True}  # by how a task decides


def probe(config: Settings, workdir: Path) -> dict:
    """Cross-validates a linear probe in `workdir`; returns what metrics.json has.

    The folds are those of `--mode crossval`: each is judged by a probe of all others,
    whose C was chosen by leaving these out one by one.

    Raises:
        ConfigError: there are no weights to start from, or several processes.
        SplitError: the weights have seen a patient, all of whom are judged.
    """
    if not config.init_from:
        raise ConfigError(
            "config.init_from='' is not allowed here: --mode probe is of a pretrained "
            "encoder; docs/pretrained.md says where there is one for everybody"
        )
    if jax.process_count() > 1:
        raise ConfigError("--mode probe takes one process; it is done in minutes")
    check_free(workdir)
    console, clock = Console(), Stopwatch()
    with clock.of("opening"):
        start = named_start(config, console.say)
        whole = open_experiment(config, console.say, start=start)
    exclusive = _exclusive(whole)
    if whole.manifest is None or start is None:
        raise ConfigError("--mode probe needs a dataset that is split into folds")
    for fold in range(whole.manifest.folds):
        indices = _rotated(whole, whole.manifest, fold)
        starting.check_unseen(
            start, config.data, whole.source.table, indices, lambda line: None
        )
    with one_writer(workdir):
        workdirs.claim_workdir(config, workdir)
        keep_splits(whole.manifest, workdir, copy=config.data.manifest_out)
        with clock.of("features"):
            features = kept_features(
                whole, workdir, frames=config.probe.frames, say=console.say
            )
        with clock.of("fitting"):
            fitted = _folds(whole, whole.manifest, features, exclusive=exclusive)
        table = joined([fold.table for fold in fitted])
        _keep_networks(whole, whole.manifest, fitted, workdir)
        facts = _facts(whole, features.values.shape[1], fitted)
        told = [{"c": fold.c, "inner": fold.reached} for fold in fitted]
        return evaluate.write_report(
            table,
            whole,
            workdir,
            console.say,
            clock,
            facts=facts,
            tree={"probe": told},
        )


@dataclass(frozen=True)
class Fold:
    """A fold's held-out predictions, how strict its probe is, and one to start from.

    That has not seen the patients either who validate what is trained from it.
    """

    table: Any
    c: float
    reached: Mapping[str, float | None]
    start: Linear


def _exclusive(experiment: Experiment) -> bool:
    """Whether classes exclude each other; refuses a task that is not of labels."""
    task, source = experiment.task, experiment.source
    of_labels = "labels" in task.NEEDS and task.classes == source.classes
    if not of_labels or task.decision not in EXCLUSIVE:
        raise ConfigError(
            f"config.task.name='{experiment.config.task.name}' is not allowed here: "
            "--mode probe tells the dataset's labels apart (multilabel, multiclass)"
        )
    return EXCLUSIVE[task.decision]


def _rotated(
    experiment: Experiment, manifest: Manifest, fold: int
) -> dict[str, np.ndarray]:
    """Who is judged in a fold; nobody validates, since inner folds do."""
    places = protocols.assign(
        manifest, experiment.source.table, protocol="rotation", fold=fold
    )
    return places | {"validation": places["validation"][:0]}


def _folds(
    experiment: Experiment,
    manifest: Manifest,
    features: Features,
    *,
    exclusive: bool,
) -> list[Fold]:
    table = experiment.source.table
    held_out = [
        _rotated(experiment, manifest, fold)["test"] for fold in range(manifest.folds)
    ]
    part = np.zeros(len(table.example_id), int)
    for fold, places in enumerate(held_out):
        part[places] = fold
    units = linear_probe.units_of(
        table.video_id,
        features.values.astype(np.float64),
        table.labels,
        part,
        features.frames,
    )
    folds = []
    for fold, places in enumerate(held_out):
        others = [k for k in range(manifest.folds) if k != fold]
        inner = {k: held_out[k] for k in others}
        c, reached = linear_probe.chosen(
            units.without(fold),
            experiment.config.probe.c,
            exclusive=exclusive,
            judge=lambda probes, inner=inner: _quality(
                experiment, features, inner, probes
            ),
        )
        probe = linear_probe.fit(units.without(fold), c, exclusive=exclusive)
        rows = _predicted(experiment, features, {fold: places}, {fold: probe})
        reached = {f"{tried:g}": value for tried, value in reached.items()}
        unseen = (fold, (fold + 1) % manifest.folds)  # as `protocols` rotates
        start = linear_probe.fit(units.without(*unseen), c, exclusive=exclusive)
        folds.append(Fold(rows, c, reached, start))
    return folds


def _keep_networks(
    experiment: Experiment, manifest: Manifest, folds: Sequence[Fold], folder: Path
) -> None:
    """Writes each fold's probe as a network to start from, where it can be one."""
    owner = np.array(experiment.source.table.patient_id)
    for number, fold in enumerate(folds):
        own = copy.deepcopy(experiment.config)
        own.data.fold = number
        places = protocols.assign(
            manifest, experiment.source.table, protocol="rotation", fold=number
        )
        seen = sorted({*owner[places["train"]].tolist()})
        probe_network.write(replace(experiment, config=own), fold.start, seen, folder)


def _quality(
    experiment: Experiment,
    features: Features,
    places: Mapping[int, np.ndarray],
    probes: Mapping[int, Linear],
) -> float | None:
    """What validation selects on, of the pooled predictions of inner folds."""
    task, select = experiment.task, experiment.config.train.select
    name = select if select in task.SELECT else next(iter(task.SELECT))
    table = _predicted(experiment, features, places, probes)
    found = task.quality(table).get(name)
    return None if found is None else found * task.SELECT[name]


def _predicted(
    experiment: Experiment,
    features: Features,
    places: Mapping[int, np.ndarray],
    probes: Mapping[int, Linear],
) -> Any:
    """The predictions table of the examples that each fold's probe has not seen."""
    tables = []
    for fold, rows in places.items():
        columns = {"scores": probes[fold].scores(features.values[rows])}
        if features.frames is not None:
            columns["frames"] = features.frames[rows]
        split = (OUT_OF_FOLD,) * len(rows)
        tables.append(table_of(experiment, rows, columns, fold=fold, split=split))
    return joined(tables)


def _facts(experiment: Experiment, width: int, folds: Sequence[Fold]) -> dict[str, str]:
    """What the report says of the probe, beside what it says of every run."""
    config = experiment.config
    named = network_name({"name": config.model.name, "options": config.model.options})
    strengths = ", ".join(f"{fold.c:g}" for fold in folds)
    return {
        "network": f"linear probe of {named}",
        "probe": f"balanced logistic regression of {width:,} standardised features, C "
        f"from inner folds: {strengths}",
    }
