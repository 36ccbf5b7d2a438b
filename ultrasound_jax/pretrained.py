"""A finished run as the beginning of another: `config.init_from=RUN`.

What is taken are the weights that the run is judged by: the best by validation, and
averaged where it averaged them. Who trained them is kept in the new run's `model.json`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ultrasound_jax import experiment as experiments
from ultrasound_jax.config import ConfigError
from ultrasound_jax.experiment import Experiment
from ultrasound_jax.predict import open_run
from ultrasound_jax.predict.weights import about_of, state_of
from ultrasound_jax.runs.files import at_home
from ultrasound_jax.starting import Start, of_file, weights_hash
from ultrasound_jax.types import Settings


def open_experiment(config: Settings, say: Callable[[str], None]) -> Experiment:
    """As `experiment.open_experiment`, and its network may start from a run."""
    start = named_start(config, say)
    return experiments.open_experiment(config, say, start=start)


def named_start(config: Settings, say: Callable[[str], None]) -> Start | None:
    """The weights of the run or of the file `config.init_from`; None where it is "".

    Of a probe's folder they are those of its fold `config.data.fold`, which has seen
    the patients that train in a rotation, and nobody else.

    Raises:
        ConfigError, RunError, CheckpointError: see `start_of`.
        ModelError: it is a file without weights.
    """
    if not config.init_from:
        return None
    path = at_home(config.init_from)
    if (probe := of_fold(path, config.data.fold)).is_file():
        return of_file(probe)
    return start_of(path, say) if path.is_dir() else of_file(path)


def of_fold(folder: Path, fold: int) -> Path:
    """Where a probe keeps the network of a fold."""
    return folder / f"fold_{fold}.safetensors"


def start_of(path: Path, say: Callable[[str], None]) -> Start:
    """The best weights of a run, by its folder, `RUN/checkpoints` or `…/best`.

    Raises:
        ConfigError: it is the folder of the states that training continues from.
        RunError, CheckpointError: there is no run in it, or no weights.
    """
    folder = path.absolute()
    if folder.name == "latest" and folder.parent.name == "checkpoints":
        raise ConfigError(
            f"config.init_from='{path}' holds what training continues from; give the "
            f"run, '{folder.parent.parent}', whose best weights are taken"
        )
    if folder.name == "best" and folder.parent.name == "checkpoints":
        folder = folder.parent
    if folder.name == "checkpoints":
        folder = folder.parent
    run = open_run(folder, say)
    start = Start(f"{path} ({run.name})", state_of(run), {})
    about: dict[str, Any] = about_of(run)
    about["weights"] = weights_hash(start.state)
    trained_on = ", ".join(dict.fromkeys(e["dataset"] for e in about["trained_on"]))
    say(f"starting from {path}: best weights of {run.name}, trained on {trained_on}")
    return Start(start.source, start.state, about)
