"""`model.json`: all that is needed to use a run's weights, in plain words (waist 2).

{"format", "spec": fields with shape, dtype and role, "classes",
 "task": {"name", "options", "decision"},
 "network": {"name", "options", "outputs", "dtype", "remat"},
 "preprocessing": {"dataset", "options": of the builder, all of them},
 "thresholds": {level: {class: value}} or null, "thresholds_from",
 "made": command, commit, date, hardware, "versions",
 "init": of a run that started from other weights: what of which, and what these were
   trained on (`starting.py`)}
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from ultrasound_jax.data.manifest import keep_splits
from ultrasound_jax.data.source import builder_options
from ultrasound_jax.experiment import Experiment, network_settings
from ultrasound_jax.runs import provenance
from ultrasound_jax.runs.files import read_json, write_whole
from ultrasound_jax.types import UltrasoundError

NAME = "model.json"
FORMAT = 1
PARTS = ("spec", "classes", "task", "network", "preprocessing", "thresholds", "made")


class RunError(UltrasoundError):
    """A folder that holds no trained run, or one that cannot be used."""


def describe(experiment: Experiment) -> dict[str, Any]:
    """What `model.json` says of a run before it has been judged."""
    config, task = experiment.config, experiment.task
    facts = provenance.facts()
    return {
        "format": FORMAT,
        "spec": task.spec.to_json(),
        "classes": list(task.classes),
        "task": {
            "name": config.task.name,
            "options": config.task.options.to_dict(),
            "decision": task.decision,
        },
        "network": network_settings(config) | {"outputs": task.outputs},
        "preprocessing": {
            "dataset": config.data.name,
            "options": builder_options(
                config.data.name, config.data.options.to_dict(), config.data.data_dir
            ),
        },
        "thresholds": None,
        "thresholds_from": None,
        "made": facts,
        **({"init": dict(experiment.init)} if experiment.init else {}),
    }


def facts_of(experiment: Experiment) -> dict[str, str]:
    """What stands at the top of a report."""
    count = sum(int(p.size) for p in jax.tree.leaves(experiment.params))
    source = experiment.source
    patient = {"a patient here": source.patient} if source.patient else {}
    init = {"started from": started_from(experiment.init)} if experiment.init else {}
    return (
        provenance.facts()
        | patient
        | init
        | {
            "dataset": experiment.source.name,
            "data_hash": experiment.source.table.data_hash,
            "network": network_name(network_settings(experiment.config)),
            "parameters": f"{count:,}",
            "precision": experiment.config.dtype,
        }
    )


def started_from(init: Mapping[str, Any]) -> str:
    """Which weights a run began with, and what these had been trained on."""
    data = [
        f"{e['dataset']} (data {e['data_hash'][:12]})"
        for e in init.get("trained_on", ())
    ]
    return (
        f"{init['from']}, {init['part']} (weights {init['weights']}), trained on "
        f"{', '.join(data) or 'what it does not say'}"
    )


def network_name(about: Mapping[str, Any]) -> str:
    """Which network is meant, with its encoder where it has one."""
    encoder = about["options"].get("encoder")
    return about["name"] + (f" with {encoder}" if encoder else "")


def begin(experiment: Experiment, folder: Path) -> None:
    """Writes what is known of a run before it trains: its splits, and `model.json`.

    Raises:
        SplitError: a run that continues began with other splits; in every process.
    """
    leads = jax.process_index() == 0
    copy = experiment.config.data.manifest_out
    keep_splits(experiment.manifest, folder, copy=copy, writes=leads)
    if leads and not (folder / NAME).exists():
        write(describe(experiment), folder)


def write(tree: dict[str, Any], folder: Path) -> None:
    """Writes it into a run's folder, whole or not at all."""
    write_whole(folder / NAME, f"{json.dumps(tree, indent=1)}\n".encode())


def read(folder: Path) -> dict[str, Any]:
    """What a run's `model.json` says.

    Raises:
        RunError: there is none, or it is of a later version.
    """
    path = folder / NAME
    if not path.is_file():
        what = "no run"
        folds = sorted(folder.glob(f"fold_*/{NAME}"))
        if folds:
            what = f"a cross-validation; give one of its folds, as {folds[0].parent}"
        elif (folder / "config.json").is_file():
            what = "a run of an earlier version of the program, or one that never began"
        raise RunError(f"'{folder}' holds {what}: there is no {NAME} in it")
    tree = read_json(path)
    if not isinstance(tree, dict) or tree.get("format") != FORMAT:
        found = tree.get("format") if isinstance(tree, dict) else None
        raise RunError(f"'{path}' has the format {found!r}; {FORMAT} is known")
    if missing := [part for part in PARTS if part not in tree]:
        raise RunError(f"'{path}' lacks {', '.join(missing)}")
    return tree
