"""`model.json`: all that is needed to use a run's weights, in plain words (waist 2).

{"format", "spec": fields with shape, dtype and role, "classes",
 "task": {"name", "options", "decision"},
 "network": {"name", "options", "outputs", "dtype", "remat"},
 "preprocessing": {"dataset", "options": of the builder, all of them},
 "thresholds": {level: {class: value}} or null, "thresholds_from",
 "made": command, commit, date, hardware, "versions",
  "mirrored", "upside_down": true where `config.evaluation` had it, and "window",
    "overlap" where it had a window,
  "init": of a run that started from other weights: what of which, and what these were
    trained on (`starting.py`),
  "bound": hashes of what belongs to the run, see `binding.py`,
  "digest": of all the rest, so that a file that was edited is told}
"""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax

from ultrasound_jax.data.manifest import keep_splits
from ultrasound_jax.data.source import builder_options
from ultrasound_jax.experiment import Experiment, network_settings
from ultrasound_jax.predict import binding
from ultrasound_jax.runs import provenance
from ultrasound_jax.runs.files import read_json, write_whole
from ultrasound_jax.training import compiled
from ultrasound_jax.types import UltrasoundError

NAME = "model.json"
FORMAT = 1
# How the network is shown a picture; options of `training.steps.answers`.
LOOKING = ("mirrored", "upside_down", "window", "overlap")
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
        **compiled.looking_of(config),
        **({"init": dict(experiment.init)} if experiment.init else {}),
        binding.KEY: binding.bound_of(experiment),
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


def begin(
    experiment: Experiment, folder: Path, say: Callable[[str], None] = print
) -> dict[str, str]:
    """Writes what is known of a run before it trains: its splits, and `model.json`.

    Returns what the run's checkpoints are bound to.

    Raises:
        BindingError: a run that continues began with other examples or class names.
        SplitError: it began with other splits. All are raised in every process.
    """
    leads = jax.process_index() == 0
    copy = experiment.config.data.manifest_out
    keep_splits(experiment.manifest, folder, copy=copy, writes=leads)
    bound = binding.bound_of(experiment)
    if not (folder / NAME).exists():
        if leads:
            write(describe(experiment), folder)
        return bound
    about = read(folder)
    where = {"data": experiment.source.name, "classes": experiment.source.name}
    where |= {"run": str(folder), "splits": str(folder / "splits.json")}
    binding.check(about, bound, where=where, say=say)
    if known := about.get(binding.KEY):
        return bound | {"run": known.get("run", bound["run"])}
    if leads:
        write(about | {binding.KEY: bound}, folder)
    return bound


@contextlib.contextmanager
def sensible(folder: Path) -> Iterator[None]:
    """Turns what goes wrong with the content of a `model.json` into one line."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise RunError(
            f"'{folder / NAME}' does not describe a run ({reason}); bring it back "
            "from a copy"
        ) from error


def write(tree: dict[str, Any], folder: Path) -> None:
    """Writes it into a run's folder, whole or not at all."""
    tree = tree | {"digest": binding.digest(tree)}
    write_whole(folder / NAME, f"{json.dumps(tree, indent=1)}\n".encode())


def read(folder: Path) -> dict[str, Any]:
    """What a run's `model.json` says.

    Raises:
        RunError: there is none, it is of a later version, or it was edited.
    """
    path = folder / NAME
    if not path.is_file() and (path.exists() or path.is_symlink()):
        raise RunError(f"'{path}' is no file; bring it back from a copy")
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
    if "digest" in tree and tree["digest"] != binding.digest(tree):
        raise RunError(
            f"'{path}' was changed after the run wrote it (its digest is another); "
            "bring it back from a copy"
        )
    known = tree.get(binding.KEY, {})
    if not isinstance(known, dict) or not all(
        isinstance(v, str) for v in known.values()
    ):
        raise RunError(f"'{path}': '{binding.KEY}' is no object of texts")
    return tree
