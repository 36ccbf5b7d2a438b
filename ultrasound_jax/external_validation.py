"""A finished run judged on another dataset: `--mode evaluate --config.data.name=…`.

What was learnt and chosen stays as it is: weights, preprocessing and thresholds are the
run's. Classes are matched by name; those that only one side has are left out and told.
Patients of the run must not be among those that are judged, where ids can tell, and
pictures of both sides are compared for near duplicates.
"""

import copy
import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ultrasound_jax import evaluate
from ultrasound_jax.analysis.table.levels import WAYS, levels_of
from ultrasound_jax.config import (
    ConfigError,
    check,
    flatten,
    override,
    parsed,
    read,
)
from ultrasound_jax.data import source as sources
from ultrasound_jax.data.audit.between import alike
from ultrasound_jax.data.dataset import open_dataset
from ultrasound_jax.data.examples import SplitError, some
from ultrasound_jax.data.manifest import Manifest
from ultrasound_jax.data.source import Source
from ultrasound_jax.data.spec import Spec, SpecError
from ultrasound_jax.predict import Run, model_file, open_run
from ultrasound_jax.predict.examples import with_source
from ultrasound_jax.predict.score_split import predictions
from ultrasound_jax.runs.bar import watched
from ultrasound_jax.training import sharding
from ultrasound_jax.training.console import Console, Stopwatch
from ultrasound_jax.types import Settings, UltrasoundError

PSEUDONYM = re.compile(r"P[0-9a-f]{10}")  # a keyed hash of the hospital's number
SPLIT = "test"  # what the other dataset is to the run
# What may be said of a judgement beside its data; all else was settled by training.
OF_JUDGING = (
    "compilation_cache",
    "data.data_dir",
    "data.eval_batch_size",
    "data.threads",
    "data.prefetch",
    "evaluation.replicates",
)


def judge(
    config: Settings, workdir: Path, assigned: Sequence[str], *, out: str, mode: str
) -> dict:
    """Does what a command line with settings and without a configuration file means.

    Settings of the data, or `--out`, judge the run elsewhere; those of OF_JUDGING only
    say how. Others are refused: another fold would judge patients that it was trained
    on, and another network would be ignored.
    """
    if mode != "evaluate":
        raise ConfigError(
            f"--mode {mode} takes --config=FILE; --out and settings of a finished run "
            "are for --mode evaluate"
        )
    data, others = {}, []
    for assignment in assigned:
        key, equals, text = assignment.partition("=")
        if key.startswith(("data.name", "data.options.", "data.manual_dir")):
            name = key.removeprefix("data.")
            data[name] = parsed(text) if name.startswith("options.") else text
        else:
            others.append(assignment)
    set_judging(config, others)
    if not data and not out:
        return evaluate.evaluate_run(config, workdir)
    prepared = model_file.read(workdir)["preprocessing"]["options"]
    changed = other_data(config, data, prepared)
    return judge_elsewhere(changed, workdir, out_folder(workdir, changed, out))


def set_judging(config: Settings, assigned: Sequence[str]) -> None:
    """Sets how a finished run is judged; ConfigError for what it was trained with."""
    before = dict(flatten(config))
    override(config, assigned)
    for key, value in flatten(config):
        if key not in OF_JUDGING and value != before.get(key):
            raise ConfigError(
                f"config.{key}={value!r} is not allowed: the run was trained with "
                f"{before.get(key)!r}; --mode evaluate takes data.name, data.options, "
                f"data.manual_dir, {', '.join(OF_JUDGING)}"
            )
    check(config)


def judge_elsewhere(config: Settings, workdir: Path, out: Path) -> dict:
    """Judges the run in `workdir` on the dataset of `config.data`; writes into `out`.

    Writes predictions.csv, metrics.json and report.md as a run has them, and returns
    the metrics. The run's own files stay as they are.

    Raises:
        ConfigError: `out` has other files.
        SpecError: the datasets have no class in common, or the other one's examples
            have another shape.
        SplitError: patients of the run are among those that would be judged.
    """
    console, clock = Console(), Stopwatch()
    check_out(out, workdir)
    with clock.of("opening"):
        run = open_run(workdir, console.say)
        unread = files_not_read(config.data)
        whole = open_dataset(config.data, console.say, **sharding.building())
        source, notes = matched(run, whole)
        notes |= unread
        check_patients(run, source, config)
        places = judged_places(run, source, notes)
        experiment = with_source(run, config, source, {SPLIT: places}, manifest=None)
        notes |= near_copies(run, source, console.say)
    with clock.of("evaluation"):
        out.mkdir(parents=True, exist_ok=True)
        table = predictions(
            experiment, run.weights, fold=0, splits=(SPLIT,), folder=out
        )
        thresholds = {}
        if run.task.decision != "mask":
            table = in_common(table, whole.classes)
            thresholds = thresholds_at(run, table, notes)
    for name, note in notes.items():
        console.say(f"{name}: {note}")
    facts = {"trained on": trained_on(run), **notes}
    return evaluate.write_report(
        table,
        experiment,
        out,
        console.say,
        clock,
        facts=facts,
        thresholds=thresholds,
    )


def out_folder(workdir: Path, config: Settings, given: str) -> Path:
    """Where the judgement is written: as given, or `on_<dataset>` in the run."""
    name = re.sub(r"\W+", "_", config.data.name)
    return Path(given).absolute() if given else workdir / f"on_{name}"


def check_out(out: Path, workdir: Path) -> None:
    """Refuses a folder that is the run's own, or holds something else."""
    own = ("model.json", "config.json", "splits.json")  # of a run, or of its folds
    if out == workdir or any((out / name).exists() for name in own):
        raise ConfigError(f"--out '{out}' is a run's own folder; give another one")
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out '{out}' is a file; it must be a folder")
    strange = out.exists() and any(p.name[0] != "." for p in out.iterdir())
    if strange and not (out / "predictions.csv").exists():
        raise ConfigError(
            f"--out '{out}' holds other files; give an empty or a new one"
        )


def other_data(
    config: Settings, overrides: Mapping[str, Any], prepared: Mapping[str, Any]
) -> Settings:
    """The run's settings with another dataset's in place of its own.

    The other builder's options are what the run's preprocessing says, where it has an
    option of that name, and then what the command line says.

    Args:
        config: the run's.
        overrides: `name`, `manual_dir`, `options.<option>`.
        prepared: every option of the run's builder, also those that its settings left
            to defaults: those of the other builder may be others.
    """
    changed = copy.deepcopy(config)
    data = dict(overrides)
    name = data.pop("name", config.data.name)
    options = {
        key.removeprefix("options."): data.pop(key)
        for key in list(data)
        if key.startswith("options.")
    }
    if name != config.data.name:
        known = sources.builder_options(name, {})
        options = {
            key: value for key, value in prepared.items() if key in known
        } | options
    else:
        options = config.data.options.to_dict() | options
    with changed.unlocked():
        changed.data.name = name
        changed.data.options = options
        changed.data.manifest = changed.data.manual_dir = ""
        for key, value in data.items():
            if key not in changed.data:
                raise ConfigError(
                    f"unknown setting 'config.data.{key}'; there are: "
                    f"{', '.join(sorted(changed.data))}"
                )
            changed.data[key] = value
    return changed


def files_not_read(data: Settings) -> dict[str, str]:
    """A note where files are given for a dataset that is built: they are not read.

    Another hospital's files need another `data_dir` than those of the same builder that
    were built before.
    """
    options = data.options.to_dict()
    builder = sources.open_builder(data.name, options, data.data_dir)
    if not data.manual_dir or not builder.is_prepared():
        return {}
    told = f"not read, as the dataset is built already in {builder.data_dir}"
    return {"files in data.manual_dir": told}


def matched(run: Run, source: Source) -> tuple[Source, dict[str, str]]:
    """The source as the run's network reads it, and what was left out.

    Its labels are in the order of the run's classes, unknown where it has none.
    """
    own, other = run.spec, source.spec
    for name in (n for n, field in own.items() if field.role != "labels"):
        if name not in other:
            raise SpecError(
                f"{source.name} has no field '{name}', which the run was trained on; "
                f"it has {', '.join(other)}"
            )
        if (own[name].shape, own[name].dtype) != (other[name].shape, other[name].dtype):
            raise SpecError(
                f"{source.name} has '{name}' as {other[name].dtype} "
                f"{other[name].shape}, the run was trained on {own[name].dtype} "
                f"{own[name].shape}; give --config.data.options to match"
            )
        longest = other[name].longest, own[name].longest
        if longest[0] > longest[1]:
            raise SpecError(
                f"{source.name} has clips of up to {longest[0]} frames, the run was "
                f"trained on {longest[1]}; give --config.data.options to match"
            )
    notes = {}
    if run.task.decision == "mask":
        theirs = [other[name].classes for name in other.of_role("mask")]
        if own[own.of_role("mask")[0]].classes not in theirs:
            raise SpecError(
                f"{source.name} has masks of {theirs or 'nothing'}, the run finds "
                f"{', '.join(run.classes)}"
            )
        return _as_read(run, source, source.table.labels, source.classes), notes
    common = [name for name in run.classes if name in source.classes]
    if not common:
        raise SpecError(
            f"{source.name} has the classes {', '.join(source.classes) or 'none'}, the "
            f"run {', '.join(run.classes)}: none is in both"
        )
    if run.task.decision == "argmax" and len(common) < 2:
        raise SpecError(
            f"{source.name} and the run have the class {common[0]} alone in common; "
            "between classes that exclude each other it takes two to decide"
        )
    for what, names in (
        ("classes of the run that the dataset lacks", run.classes),
        ("classes of the dataset that the run does not know", source.classes),
    ):
        if apart := [name for name in names if name not in common]:
            notes[what] = f"{', '.join(apart)} (left out)"
    return _as_read(run, source, *_columns(run, source)), notes


def _columns(run: Run, source: Source) -> tuple[np.ndarray, tuple[str, ...]]:
    place = {name: k for k, name in enumerate(source.classes)}
    labels = np.full((len(source), len(run.classes)), -1, np.int8)
    for k, name in enumerate(run.classes):
        if name in place:
            labels[:, k] = source.table.labels[:, place[name]]
        elif run.task.decision == "argmax":  # the classes exclude each other
            labels[:, k] = 0
    return labels, run.classes


def _as_read(
    run: Run, source: Source, labels: np.ndarray, classes: tuple[str, ...]
) -> Source:
    spec = Spec({name: run.spec[name] for name in run.spec}, source.spec.units)
    read = _Relabelled(source, labels)
    read.spec = spec
    read.classes = classes
    read.table = dataclasses.replace(source.table, labels=labels, classes=classes)
    return read


class _Relabelled(Source):
    """A source whose labels are in another order than its records have them."""

    def __init__(self, source: Source, labels: np.ndarray) -> None:
        self.__dict__.update(source.__dict__)
        self._labels = labels

    def _fill(self, batch: Any, row: int, name: str, record: Mapping[str, Any]) -> None:
        if self.spec[name].role == "labels":
            batch[name][row] = self._labels[batch["index"][row]]
        else:
            super()._fill(batch, row, name, record)


def judged_places(run: Run, source: Source, notes: dict[str, str]) -> np.ndarray:
    """The examples that can be judged; notes how many cannot, and why."""
    labels = source.table.labels
    can: np.ndarray
    if run.task.decision == "argmax":
        can = np.asarray(((labels == 1).sum(axis=1) == 1) & (labels >= 0).all(axis=1))
        why = "not exactly one class of the run is true of them, as far as is known"
    elif run.task.decision == "mask":
        can, why = np.ones(len(source), bool), ""
    else:
        can = np.asarray((labels >= 0).any(axis=1))
        why = "no class of the run is annotated in them"
    if not can.any():
        raise SpecError(f"{source.name}: no example can be judged, as {why}")
    if not can.all():
        notes[f"{source.spec.units[0]}s that are not judged"] = (
            f"{int((~can).sum())} of {len(can)}: {why}"
        )
    return np.flatnonzero(can)


def in_common(table: Any, classes: tuple[str, ...]) -> Any:
    """The columns of the classes that the dataset has.

    Scores of classes that exclude each other are made to add to one again, which asks
    the network which of these classes it is.
    """
    keep = [k for k, name in enumerate(table.classes) if name in classes]
    if len(keep) == len(table.classes):
        return table
    scores = table.scores[:, keep]
    if table.kind == "multiclass":
        scores = scores / np.maximum(scores.sum(axis=1, keepdims=True), 1e-12)
    return dataclasses.replace(
        table,
        classes=tuple(table.classes[k] for k in keep),
        labels=table.labels[:, keep],
        scores=scores,
    )


def thresholds_at(
    run: Run, table: Any, notes: dict[str, str]
) -> dict[str, Mapping[str, float | None]]:
    """The run's thresholds by the levels of a table, which may be called otherwise.

    A level that the run has never judged has none, which is noted; nothing is decided
    there.
    """
    if not run.thresholds:
        return {}
    own, other = run.spec.units, table.units
    called = {other[0]: own[0]}
    called |= {f"{other[1]}_{how}": f"{own[1]}_{how}" for how in WAYS}
    found: dict[str, Mapping[str, float | None]] = {}
    for level in levels_of(table):
        found[level] = run.thresholds.get(called[level], dict.fromkeys(run.classes))
        if called[level] not in run.thresholds:
            notes[f"thresholds of {level}"] = "the run has none, so nothing is decided"
    return found


def check_patients(run: Run, source: Source, config: Settings) -> None:
    """Refuses patients that the run was trained or chosen on.

    Ids can tell where both datasets are the same builder's, and where they are
    pseudonyms by a key: then equal ones are of one person. Of other datasets, equal ids
    say nothing.
    """
    manifest = Manifest.read(run.folder / "splits.json")
    known = {p for part in manifest.parts.values() for p in part.patients}
    both = known & set(source.table.patient_id)
    certain = {
        p for p in both if same_patients(run, config.data) or PSEUDONYM.fullmatch(p)
    }
    if certain:
        raise SplitError(
            f"{source.name}: patients of the run's own splits would be judged: "
            f"{some(certain)}; an external judgement needs patients that the run has "
            "never seen"
        )


def same_patients(run: Run, data: Settings) -> bool:
    """Whether an id means the same patient in the run's dataset and in another."""
    about = run.about["preprocessing"]
    if data.name != about["dataset"]:
        return False
    options = sources.builder_options(data.name, data.options.to_dict())
    apart = sources.builder_class(data.name).OTHER_PATIENTS
    return all(options[name] == about["options"][name] for name in apart)


def near_copies(run: Run, source: Source, say: Callable[[str], None]) -> dict[str, str]:
    """What an audit says of pictures of the run's own dataset in the other one.

    The run's dataset need not be there; then nothing can be compared, which is said.
    """
    about = run.about["preprocessing"]
    data = read(run.folder).data
    where = {"options": data.options.to_dict(), "data_dir": data.data_dir}
    try:
        own = sources.open_source(about["dataset"], **where)
    except UltrasoundError as error:
        return {"near duplicates": f"not looked for: {error}"}
    say(f"comparing the pictures of {source.name} and {own.name}")
    found = alike(source, own, watch=watched("pictures"))
    if not found:
        return {"near duplicates": "none among the run's own pictures"}
    shown = ", ".join(f"{one.example} ({one.other})" for one in found[:5])
    return {
        "near duplicates": f"{len(found)} {source.spec.units[0]}s are like one of the "
        f"run's own: {shown}{' …' if found[5:] else ''}"
    }


def trained_on(run: Run) -> str:
    """The run's own dataset, and when it was trained on it."""
    made = run.about["made"]
    return f"{run.about['preprocessing']['dataset']}, commit {made['commit']}"
