"""What of another dataset a finished run can judge: classes, examples, patients."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ultrasound_jax.analysis.table.levels import WAYS, levels_of
from ultrasound_jax.config import read
from ultrasound_jax.data import source as sources
from ultrasound_jax.data.audit.between import Alike, alike, not_all
from ultrasound_jax.data.examples import PSEUDONYM, SplitError, some
from ultrasound_jax.data.manifest import Manifest
from ultrasound_jax.data.source import Source
from ultrasound_jax.data.spec import PIXEL_MM, Spec, SpecError
from ultrasound_jax.predict import Run, binding
from ultrasound_jax.runs.bar import watched
from ultrasound_jax.types import Settings, UltrasoundError


def matched(run: Run, source: Source) -> tuple[Source, dict[str, str]]:
    """The source as the run's network reads it, and what was left out.

    Its labels are in the order of the run's classes, unknown where it has none.
    """
    own, other = run.spec, source.spec
    needed = (n for n, field in own.items() if field.role != "labels" and n != PIXEL_MM)
    for name in needed:
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
    if not own.of_role("labels"):
        for name in (n for n in own.of_role("number") if n != PIXEL_MM):
            if own[name].classes != other[name].classes:
                raise SpecError(
                    f"{source.name} has '{name}' with the levels "
                    f"{', '.join(other[name].classes) or 'none'}, the run was trained "
                    f"on {', '.join(own[name].classes)}"
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
    fields = {name: run.spec[name] for name in run.spec if name != PIXEL_MM}
    # Not what the network is given: masks are measured by it where the dataset has it.
    if PIXEL_MM in source.spec and run.task.decision == "mask":
        fields[PIXEL_MM] = source.spec[PIXEL_MM]
    spec = Spec(fields, source.spec.units)
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
    if not run.spec.of_role("labels"):
        can, why = np.ones(len(source), bool), ""
    elif run.task.decision == "argmax":
        can = np.asarray(((labels == 1).sum(axis=1) == 1) & (labels >= 0).all(axis=1))
        why = "not exactly one class of the run is true of them, as far as is known"
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
        own_level = called.get(level, level)  # a patient is called so everywhere
        found[level] = run.thresholds.get(own_level, dict.fromkeys(run.classes))
        if own_level not in run.thresholds:
            notes[f"thresholds of {level}"] = "the run has none, so nothing is decided"
    return found


def check_patients(
    run: Run, source: Source, config: Settings, say: Callable[[str], None]
) -> dict[str, str]:
    """What ids and pictures tell of patients that the run knows already.

    Ids tell where they are pseudonyms by a key: equal ones are of one person. Of the
    same builder they may be names of files, which another hospital has as well: then
    pictures decide, and where these cannot be compared, the ids. Of other datasets,
    equal ids say nothing.

    Raises:
        SplitError: patients of the run are among those that would be judged.
    """
    path = run.folder / "splits.json"
    manifest = Manifest.read(path)
    own = {"splits": binding.hash_of_splits(manifest, read(run.folder).data)}
    where = {"splits": str(path), "run": str(run.folder)}
    binding.check(run.about, own, where=where, say=lambda line: None)
    known = {p for part in manifest.parts.values() for p in part.patients}
    both = known & set(source.table.patient_id)
    if certain := {p for p in both if PSEUDONYM.fullmatch(p)}:
        raise SplitError(_refusal(source, certain))
    note, copies = near_copies(run, source, say)
    if not both or not same_patients(run, config.data):
        return {"near duplicates": note}
    if copies is None:
        raise SplitError(f"{_refusal(source, both)}. Pictures were {note}")
    if copies:
        patient = dict(
            zip(source.table.example_id, source.table.patient_id, strict=True)
        )
        seen = {patient[copy.example] for copy in copies}
        raise SplitError(f"{_refusal(source, seen)}. Their pictures are the run's own")
    ids = f"{some(both)} stand in both datasets, with other pictures: other patients"
    return {"near duplicates": note, "patient ids": ids}


def _refusal(source: Source, patients: set[str]) -> str:
    return (
        f"{source.name}: patients of the run's own splits would be judged: "
        f"{some(patients)}; an external judgement needs patients that the run has not "
        "seen"
    )


def same_patients(run: Run, data: Settings) -> bool:
    """Whether an id may mean the same patient in the run's dataset and in another."""
    about = run.about["preprocessing"]
    if data.name != about["dataset"]:
        return False
    options = sources.builder_options(data.name, data.options.to_dict())
    apart = sources.builder_class(data.name).OTHER_PATIENTS
    return all(options[name] == about["options"][name] for name in apart)


def near_copies(
    run: Run, source: Source, say: Callable[[str], None]
) -> tuple[str, list[Alike] | None]:
    """What is to be said of pictures of the run's own dataset in the other, and which.

    The run's dataset need not be there; then nothing can be compared, which is said.
    """
    data = read(run.folder).data
    where = {"options": data.options.to_dict(), "data_dir": data.data_dir}
    try:
        own = sources.open_source(run.about["preprocessing"]["dataset"], **where)
    except UltrasoundError as error:
        return f"not looked for: {error}", None
    say(f"comparing the pictures of {source.name} and {own.name}")
    found = alike(source, own, watch=watched("pictures"))
    part = not_all(source, own)
    part = f" (compared: {part})" if part else ""
    if not found:
        return f"none among the run's own pictures{part}", []
    shown = ", ".join(f"{one.example} ({one.other})" for one in found[:5])
    return (
        f"{len(found)} {source.spec.units[0]}s are like one of the run's own: {shown}"
        f"{' …' if found[5:] else ''}{part}"
    ), found


def trained_on(run: Run) -> str:
    """The run's own dataset, and when it was trained on it."""
    made = run.about["made"]
    return f"{run.about['preprocessing']['dataset']}, commit {made['commit']}"
