"""What a search for a learning rate found: `tune.json`, and what it says at its end."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ultrasound_jax import evaluate
from ultrasound_jax.analysis.judge.run import write_metrics
from ultrasound_jax.experiment import Experiment
from ultrasound_jax.training.console import Stopwatch
from ultrasound_jax.types import UltrasoundError

if TYPE_CHECKING:  # it takes a second to import, which no other mode should wait for
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

OBJECTIVE = "best validation macro AUROC over the epochs of a trial"


class TuneError(UltrasoundError):
    """A search that cannot be made or that found nothing."""


def found(study: "Study", experiment: Experiment, clock: Stopwatch) -> dict[str, Any]:
    """Returns the state of the search: the best so far, every trial, and the run."""
    trials = [t for t in study.get_trials(deepcopy=False) if t.state.name != "WAITING"]
    complete = [t for t in trials if t.state.name == "COMPLETE"]
    best = max(complete, key=lambda t: t.values[0], default=None)
    config = experiment.config
    return {
        "objective": OBJECTIVE,
        "fold": config.data.fold,
        "epochs": config.train.epochs,
        "wanted": config.tune.trials,
        "running": sum(t.state.name == "RUNNING" for t in trials),
        "best": None if best is None else _row(best),
        "trials": [_row(t) for t in trials],
        "run": evaluate.run_facts(experiment, clock),
    }


def _row(trial: "FrozenTrial") -> dict[str, Any]:
    values = list(trial.intermediate_values.values())
    return {
        "trial": trial.number,
        "state": "interrupted"
        if trial.state.name == "FAIL"
        else trial.state.name.lower(),
        "settings": {f"optim.{k}": float(f"{v:.3g}") for k, v in trial.params.items()},
        "macro_auroc": max(values, default=None),
        "epochs": len(values),
        "note": trial.user_attrs.get("note", ""),
    }


def folder_of(trial: "Trial | FrozenTrial") -> str:
    """Returns the name of a trial's folder; one that was killed keeps its first."""
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
    say(f"{OBJECTIVE}: {best['macro_auroc']:.4f}, trial {best['trial']}, to train with")
    say(" ".join(f"--config.{k}={v:.3g}" for k, v in best["settings"].items()))
    return tree
