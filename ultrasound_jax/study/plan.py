"""What a study is: several networks, the same patients, the same folds, one folder."""

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
from flax import nnx

from ultrasound_jax import config as settings
from ultrasound_jax import tasks
from ultrasound_jax import workdir as workdirs
from ultrasound_jax.data.dataset import (
    open_dataset,
    splits_of,
)
from ultrasound_jax.data.manifest import Manifest
from ultrasound_jax.data.source import Source
from ultrasound_jax.data.spec import Spec
from ultrasound_jax.experiment import (
    make_network,
    network_settings,
)
from ultrasound_jax.runs import locks
from ultrasound_jax.runs.files import (
    read_json,
    write_whole,
)
from ultrasound_jax.types import Settings, UltrasoundError

# What must be the same for all, or the networks would answer different questions.
SHARED = (
    "data.name",
    "data.options",
    "data.folds",
    "data.split_seed",
    "data.protocol",
    "data.test_fraction",
    "evaluation",
)
# What is a network's own, or says where things lie.
OWN = ("model", "optim.lr", "tune", "data.fold", *workdirs.FREE)


class StudyError(UltrasoundError):
    """A study that cannot be run, or a part of it that failed."""


@dataclass(frozen=True)
class Study:
    """Networks by name with the settings of each, to be run in `folder`.

    `trials` is how many rates each network tries on validation patients before its
    folds train; 0 takes the settings' own rates.
    """

    folder: Path
    configs: Mapping[str, Settings]
    trials: int = 0

    @property
    def folds(self) -> range:
        """The folds, each of which is the test set once."""
        return range(next(iter(self.configs.values())).data.folds)

    def of_fold(self, name: str, fold: int) -> Settings:
        """The settings of one run, with the rate that tuning found."""
        config = copy.deepcopy(self.configs[name])
        config.data.fold = fold
        for key, value in (self.tuned(name) or {}).items():
            config.optim[key.removeprefix("optim.")] = value
        return config

    def to_tune(self, name: str) -> Settings:
        """The settings of a network's search, on fold 0."""
        config = copy.deepcopy(self.configs[name])
        config.tune.trials, config.data.fold = self.trials, 0
        return config

    def tuned(self, name: str) -> dict[str, float] | None:
        """What a finished search of this study found; None before."""
        path = self.tune_folder(name) / "tune.json"
        if not self.trials or not path.exists():
            return None
        tree = read_json(path)
        ended = [t for t in tree["trials"] if t["state"] in ("complete", "pruned")]
        if len(ended) < self.trials or tree["running"] or tree["best"] is None:
            return None
        return tree["best"]["settings"]

    def run_folder(self, name: str) -> Path:
        """Where a network's folds and their pooled predictions lie."""
        return self.folder / "runs" / name

    def tune_folder(self, name: str) -> Path:
        """Where a network's search lies."""
        return self.folder / "tune" / name


def make_study(
    configs: Mapping[str, Settings], folder: Path, *, trials: int = 0
) -> Study:
    """The study of these settings, cross-validated over all patients.

    Raises StudyError where the networks would not see the same examples, and
    ConfigError for a setting that is not allowed.
    """
    if not configs:
        raise StudyError("a study needs one network or more")
    if trials < 0:
        raise StudyError(f"{trials} trials: allowed is 0 or more")
    if jax.process_count() > 1:
        raise StudyError(
            "a study gives each process runs of its own: start the same command "
            "several times, without joining the processes"
        )
    folder = folder.absolute()
    chosen = {}
    for name, given in configs.items():
        config = copy.deepcopy(given)
        config.data.protocol, config.data.test_fraction = "rotation", 0.0
        config.data.manifest = str(folder / "splits.json")
        settings.check(config)
        settings.complete(config)
        chosen[name] = config
    for key, values in differences(chosen).items():
        if key.startswith(SHARED):
            told = ", ".join(f"{value!r} ({name})" for name, value in values.items())
            raise StudyError(f"config.{key} must be the same for all networks: {told}")
    return Study(folder, chosen, trials)


def differences(configs: Mapping[str, Settings]) -> dict[str, dict[str, Any]]:
    """The settings that are not alike, beside each network's own.

    An even-handed study has none.
    """
    trees = {name: dict(settings.flatten(config)) for name, config in configs.items()}
    keys = sorted({key for tree in trees.values() for key in tree})
    found = {}
    for key in keys:
        values = {name: tree.get(key) for name, tree in trees.items()}
        alike = len({repr(value) for value in values.values()}) == 1
        if not alike and not _under(key, OWN):
            found[key] = values
    return found


def shared_settings(study: Study) -> dict[str, Any]:
    """The settings that all networks have, without where things lie."""
    apart = differences(study.configs)
    first = next(iter(study.configs.values()))
    return {
        key: value
        for key, value in settings.flatten(first)
        if key not in apart and not _under(key, OWN)
    }


def _under(key: str, branches: tuple[str, ...]) -> bool:
    return any(key == branch or key.startswith(f"{branch}.") for branch in branches)


def prepare(study: Study, say: Callable[[str], None]) -> Source:
    """Builds what is missing of the dataset, writes the splits once, checks networks.

    Every run reads the same `splits.json`. Raises the network's own error where one
    cannot read clips of this shape, before anything trains.
    """
    config = copy.deepcopy(next(iter(study.configs.values())))
    study.folder.mkdir(parents=True, exist_ok=True)
    path = study.folder / "splits.json"
    with locks.wait_for(study.folder / ".prepare.lock"):
        source = open_dataset(config.data, say)
        if not path.exists():
            config.data.manifest = ""
            splits_of(config.data, source).write(path)
    manifest = Manifest.read(path)
    manifest.check(source.table)
    if manifest.folds != len(study.folds):
        raise StudyError(
            f"{path} has {manifest.folds} folds and the study {len(study.folds)}: give "
            "the settings that the study began with, or a new folder"
        )
    if manifest.seed is not None and manifest.seed != config.data.split_seed:
        raise StudyError(
            f"{path} was split with seed {manifest.seed}; config.data.split_seed="
            f"{config.data.split_seed} is not allowed: give that seed, or a new folder"
        )
    for name, shape in abstract_networks(study, source):
        say(f"{name}: {shape:,} parameters")
    return source


def abstract_networks(study: Study, source: Source) -> Iterator[tuple[str, int]]:
    """Builds each network without its arrays and yields its name and parameters."""
    for name, config in study.configs.items():
        yield name, count_parameters(config, source.spec)


def count_parameters(config: Settings, spec: Spec) -> int:
    """How many numbers train on such examples, without making any of them."""
    options = settings.task_options(config)
    task = tasks.build(config.task.name, spec, options=options)
    about = network_settings(config)
    model = nnx.eval_shape(lambda: make_network(about, task, seed=config.seed))
    leaves = jax.tree.leaves(nnx.state(model, nnx.Param))
    return sum(leaf.size for leaf in leaves)


def check_runs(study: Study) -> None:
    """Refuses a study whose folder has runs by other settings, or by another rate.

    Raises StudyError. To be asked before any work, as what is finished is skipped, and
    again before results are written, which tell these settings.
    """
    for name in study.configs:
        search = study.tune_folder(name)
        if study.trials and (search / "config.json").exists():
            _check_run(study.to_tune(name), search)
        for fold in study.folds:
            folder = study.run_folder(name) / f"fold_{fold}"
            if not (folder / "config.json").exists():
                continue
            if study.trials and study.tuned(name) is None:
                raise StudyError(
                    f"'{folder}' was trained before the search for its rate ended; "
                    "give the --tune that the study began with, or another --out"
                )
            _check_run(study.of_fold(name, fold), folder)


def _check_run(config: Settings, folder: Path) -> None:
    if changed := workdirs.changes(config, folder):
        raise StudyError(
            f"'{folder}' holds a run with other settings: {'; '.join(changed[:3])}"
            f"{'; …' if changed[3:] else ''}. Give the settings that the study began "
            "with, or another --out"
        )


def write_settings(study: Study) -> None:
    """Writes `study.json`: what is alike, what is not, and which networks there are."""
    tree = {
        "networks": {
            name: {"model": config.model.to_dict(), "optim.lr": config.optim.lr}
            for name, config in study.configs.items()
        },
        "trials": study.trials,
        "shared": shared_settings(study),
        "not_alike": differences(study.configs),
    }
    text = json.dumps(tree, indent=1, sort_keys=True)
    write_whole(study.folder / "study.json", f"{text}\n".encode())
