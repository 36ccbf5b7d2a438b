"""What a search for a learning rate found: `tune.json`, and what it says at its end."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ultrasound_jax.analysis.judge.run import write_metrics
from ultrasound_jax.experiment import Experiment
from ultrasound_jax.predict import model_file
from ultrasound_jax.training.console import Stopwatch
from ultrasound_jax.types import UltrasoundError

if TYPE_CHECKING:  # it takes a second to import, which no other mode should wait for
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

WORDS = {"macro_auroc": "macro AUROC", "mean_dice": "mean Dice"}


def selected(experiment: Experiment) -> str:
    """What a search is for: `train.select`, or the task's first where that is the loss.

    A loss would compare rates by how sure they make a network, not by how often it is
    right.
    """
    select = experiment.config.train.select
    return select if select in experiment.task.SELECT else [*experiment.task.SELECT][0]


def objective(select: str) -> str:
    """The same in words."""
    words = WORDS.get(select, select.replace("_", " "))
    return f"best validation {words} over the epochs of a trial"


class TuneError(UltrasoundError):
    """A search that cannot be made or that found nothing."""


def found(study: "Study", experiment: Experiment, clock: Stopwatch) -> dict[str, Any]:
    """The state of the search: the best so far, every trial, and the run."""
    trials = [t for t in study.get_trials(deepcopy=False) if t.state.name != "WAITING"]
    complete = [t for t in trials if t.state.name == "COMPLETE"]
    best = max(complete, key=lambda t: t.values[0], default=None)
    select = selected(experiment)
    config = experiment.config
    return {
        "objective": objective(select),
        "select": select,
        "fold": config.data.fold,
        "epochs": config.train.epochs,
        "wanted": config.tune.trials,
        "running": sum(t.state.name == "RUNNING" for t in trials),
        "best": None if best is None else _row(best, select),
        "trials": [_row(t, select) for t in trials],
        "run": model_file.facts_of(experiment) | {"minutes": clock.minutes()},
    }


def _row(trial: "FrozenTrial", select: str) -> dict[str, Any]:
    values = list(trial.intermediate_values.values())
    return {
        "trial": trial.number,
        "state": "interrupted"
        if trial.state.name == "FAIL"
        else trial.state.name.lower(),
        "settings": {f"optim.{k}": float(f"{v:.3g}") for k, v in trial.params.items()},
        select: max(values, default=None),
        "epochs": len(values),
        "note": trial.user_attrs.get("note", ""),
    }


def folder_of(trial: "Trial | FrozenTrial") -> str:
    """The name of a trial's folder; one that was killed keeps its first."""
    return trial.user_attrs.get("folder", f"trial_{trial.number:03d}")


def write_found(tree: dict[str, Any], workdir: Path) -> None:
    """Writes `tune.json`."""
    write_metrics(workdir / "tune.json", tree)


def conclude(
    tree: dict[str, Any], workdir: Path, say: Callable[[str], None]
) -> dict[str, Any]:
    """Writes and tells the result; refuses a search of which no trial finished."""
    write_found(tree, workdir)
    if tree["running"]:
        say(f"{tree['running']} trials still run in other processes")
    if tree["best"] is None:
        notes = {t["note"] for t in tree["trials"] if t["note"]}
        raise TuneError(
            f"'{workdir}': none of {len(tree['trials'])} trials came to its end"
            + (f"; one of them: {min(notes)}" if notes else "")
        )
    best = tree["best"]
    found = f"{tree['objective']}: {best[tree['select']]:.4f}"
    say(f"{found}, trial {best['trial']}, to train with")
    say(" ".join(f"--config.{k}={v:.3g}" for k, v in best["settings"].items()))
    return tree
