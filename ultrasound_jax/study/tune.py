"""The search for a learning rate, on validation patients alone: `--mode tune`.

The first trial has the settings' own values, the next ones are spread over the range,
as a few random ones may all lie together; then Optuna's tree-structured Parzen
estimator proposes. Its median rule ends what is worse than half of the others at the
same epoch. All that is known of the search lies in a journal in the workdir, so that a
killed search goes on, and several processes, each started by the same command, share
one. A trial is an ordinary run in `trial_<n>`: one that was killed continues from its
own checkpoint.
"""

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax

from ultrasound_jax import augment
from ultrasound_jax import workdir as workdirs
from ultrasound_jax.data.manifest import keep_splits
from ultrasound_jax.experiment import Experiment
from ultrasound_jax.pretrained import open_experiment
from ultrasound_jax.runs import locks
from ultrasound_jax.study.tune_result import (
    TuneError,
    conclude,
    folder_of,
    found,
    objective,
    selected,
    write_found,
)
from ultrasound_jax.train import Loop, train
from ultrasound_jax.training import compiled, optim
from ultrasound_jax.training.checkpoint import Checkpoints, check_folder
from ultrasound_jax.training.console import (
    Console,
    Stopwatch,
)
from ultrasound_jax.training.progress import ProgressError
from ultrasound_jax.training.steplog import TrainError
from ultrasound_jax.types import Settings

if TYPE_CHECKING:  # it takes a second to import, which no other mode should wait for
    from optuna import Study, Trial

STARTUP = 4  # trials before anything is pruned or the estimator proposes
SEARCHED = {"lr": ("lr",), "lr_and_weight_decay": ("lr", "weight_decay")}


def tune(config: Settings, workdir: Path) -> dict:
    """Searches `config.tune`'s ranges; returns what it writes to `tune.json`.

    The patients are those that training with these settings would train and validate
    on; nothing is ever computed on test patients. The first trial has the settings' own
    values, so that the result is no worse on validation than what one had. A trial
    whose loss is not finite counts as pruned. Raises TuneError where the validation has
    no pattern with both kinds of clips, or where no trial came to its end.
    """
    check_folder(workdir)
    console, clock = Console(), Stopwatch()
    if jax.process_count() > 1:
        raise TuneError(
            "--mode tune gives each process trials of its own: start the same command "
            "several times, without --distributed or --processes"
        )
    base = copy.deepcopy(config)
    base.train.epochs = config.tune.epochs or config.train.epochs
    with clock.of("opening"):
        experiment = open_experiment(base, console.say)
    workdirs.claim_workdir(config, workdir)
    with locks.wait_for(workdir / ".tune.lock"):
        keep_splits(experiment.manifest, workdir, copy=config.data.manifest_out)
        study = open_study(base, workdir)
    trials = Trials(experiment, study, workdir, console, clock)
    while taken := trials.take():
        trial, lock = taken
        try:
            trials.run(trial)
        finally:
            lock.release()
        write_found(found(study, experiment, clock), workdir)
    return conclude(found(study, experiment, clock), workdir, console.say)


class Trials:
    """The trials of one search, as one process takes and runs them.

    The step is compiled once for all rates: every rule of `optim.py` is linear in the
    rate, so that the step's own scale can stand for another one.
    """

    def __init__(
        self,
        experiment: Experiment,
        study: "Study",
        workdir: Path,
        console: Console,
        clock: Stopwatch,
    ) -> None:
        self._experiment, self._study, self._workdir = experiment, study, workdir
        self._console, self._clock = console, clock
        self._objective = objective(selected(experiment))
        self._compiled: tuple[float, Callable] | None = None
        config = experiment.config
        self._augmentation = augment.build(config.augment, data=config.data)

    def take(self) -> "tuple[Trial, locks.Lock] | None":
        """Begins the next trial, or one that was killed; None where nothing is left.

        Its lock is held until the caller releases it; a trial that runs and whose lock
        is free was killed.
        """
        from optuna.samplers import TPESampler

        config = self._experiment.config
        with locks.wait_for(self._workdir / ".tune.lock"):
            self._give_up_killed()
            states = [t.state.name for t in self._study.get_trials(deepcopy=False)]
            waiting = states.count("WAITING")
            begun = len(states) - states.count("FAIL") - waiting
            if begun >= config.tune.trials:
                return None
            if 0 < begun < STARTUP and not waiting:
                self._study.enqueue_trial(spread(config, begun))
            trial = self._study.ask()
            # A seed a trial: a search that was killed proposes as an unbroken one.
            self._study.sampler = TPESampler(
                seed=(10_007 * config.seed + trial.number) % 2**32,
                n_startup_trials=STARTUP,
            )
            lock = self._lock(trial.number)
            lock.take()
        return trial, lock

    def _lock(self, number: int) -> locks.Lock:
        return locks.Lock(self._workdir / f".trial_{number:03d}.lock")

    def _give_up_killed(self) -> None:
        """Puts the trials of dead processes back, with what they had reached."""
        from optuna.trial import TrialState

        running = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        for trial in running:
            lock = self._lock(trial.number)
            if not lock.take():
                continue
            notes = {
                "folder": folder_of(trial),
                "reached": {str(k): v for k, v in trial.intermediate_values.items()},
            }
            self._study.tell(trial.number, state=TrialState.FAIL)
            if trial.params:
                self._study.enqueue_trial(trial.params, user_attrs=notes)
            lock.release()

    def run(self, trial: "Trial") -> None:
        """Trains one trial to its end or until it is pruned, and tells the study."""
        from optuna import TrialPruned
        from optuna.trial import TrialState

        config = self._settings_of(trial)
        folder = self._workdir / folder_of(trial)
        values = ", ".join(f"{k} {config.optim[k]:.3g}" for k, *_ in searched(config))
        self._console.say(f"trial {trial.number}: {values}")
        judged = Judged(trial, selected(self._experiment))
        try:
            self._train(config, folder, judged)
            self._study.tell(trial, judged.best)
        except TrialPruned:
            self._study.tell(trial, state=TrialState.PRUNED)
            self._console.say(
                f"pruned: {self._objective.split(' over')[0]} {judged.best:.4f}"
            )
        except (TrainError, ProgressError) as error:
            trial.set_user_attr("note", str(error))
            self._study.tell(trial, state=TrialState.PRUNED)
            self._console.say(f"given up: {error}")
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)

    def _settings_of(self, trial: "Trial") -> Settings:
        """The run's settings; values have three digits, as they are printed."""
        config = copy.deepcopy(self._experiment.config)
        for name, low, high in searched(config):
            value = trial.suggest_float(name, low, high, log=True)
            config.optim[name] = float(f"{value:.3g}")
        return config

    def _train(self, config: Settings, folder: Path, judged: "Judged") -> None:
        plan = self._plan(config)
        state = compiled.initial_state(self._experiment, plan.optimizer)
        step = self._step(config, plan, state)
        workdirs.claim_workdir(config, folder)
        with Checkpoints(folder / "checkpoints", say=self._console.say) as checkpoints:
            # The clock goes with the checkpoint, so a trial has its own.
            loop = Loop(
                self._experiment,
                plan,
                step,
                folder,
                self._console,
                Stopwatch(),
                on_evaluation=judged,
                copies=self._augmentation.copies,
            )
            train(loop, state, checkpoints)

    def _plan(self, config: Settings) -> optim.Plan:
        examples = len(self._experiment.indices["train"])
        return optim.make_plan(config, self._augmentation.copies * examples)

    def _step(self, config: Settings, plan: optim.Plan, state: Any) -> Callable:
        decay = config.optim.weight_decay
        if self._compiled is None or self._compiled[0] != decay:
            base = copy.deepcopy(self._experiment.config)
            base.optim.weight_decay = decay
            reference = self._plan(base)
            with self._clock.of("compile"):
                step = compiled.train_step(
                    self._experiment,
                    reference.optimizer,
                    state,
                    augment=self._augmentation,
                    say=self._console.say,
                )
            self._compiled = decay, step
        step, ratio = (
            self._compiled[1],
            config.optim.lr / self._experiment.config.optim.lr,
        )
        return lambda state, batch, scale: step(state, batch, scale * ratio)


class Judged:
    """What a trial's epochs reached; prunes it, and knows what a killed one reached."""

    def __init__(self, trial: "Trial", select: str) -> None:
        self._trial, self._select, self._known = trial, select, set()
        self.best = -1.0
        for epoch, value in trial.user_attrs.get("reached", {}).items():
            self._report(int(epoch), value)

    def _report(self, epoch: int, value: float) -> None:
        self.best = max(self.best, value)
        if epoch not in self._known:
            self._trial.report(value, epoch)
            self._known.add(epoch)

    def __call__(self, epoch: int, validation: dict[str, float]) -> None:
        """Takes an epoch's validation; raises TrialPruned for a poor one."""
        from optuna import TrialPruned

        if self._select not in validation:
            raise TuneError(
                f"{self._select} is not defined on the validation patients (no class "
                "with both kinds of examples?), so there is nothing to search by; give "
                "another config.data.fold"
            )
        self._report(epoch, validation[self._select])
        if self._trial.should_prune():
            raise TrialPruned


def open_study(config: Settings, workdir: Path) -> "Study":
    """Opens the journal's study, or begins it with the settings' own values."""
    import optuna
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal = workdir / workdirs.JOURNAL
    study = optuna.create_study(
        storage=optuna.storages.JournalStorage(JournalFileBackend(str(journal))),
        study_name="tune",
        direction="maximize",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(
            n_startup_trials=STARTUP, n_warmup_steps=max(1, config.train.epochs // 4)
        ),
    )
    if not study.get_trials(deepcopy=False):
        own = {
            name: min(max(config.optim[name], low), high)
            for name, low, high in searched(config)
        }
        study.enqueue_trial(own)
    return study


def spread(config: Settings, place: int) -> dict[str, float]:
    """The values of startup trial `place`, from 1: log-evenly over the ranges.

    Where two settings are searched, the second takes the same values in another order.
    """
    parts, values = STARTUP - 1, {}
    for offset, (name, low, high) in enumerate(searched(config)):
        share = ((place - 1 + offset) % parts + 0.5) / parts
        values[name] = float(f"{low * (high / low) ** share:.3g}")
    return values


def searched(config: Settings) -> list[tuple[str, float, float]]:
    """The name in `config.optim`, lowest and highest value of each search."""
    limits = config.tune
    return [
        (name, limits[f"{name}_low"], limits[f"{name}_high"])
        for name in SEARCHED[limits.what]
    ]
