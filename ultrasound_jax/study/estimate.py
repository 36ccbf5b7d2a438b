"""How long a study takes here: measured steps times how many there are."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ultrasound_jax import augment
from ultrasound_jax.analysis.judge.run import write_metrics
from ultrasound_jax.data.dataset import training_batches
from ultrasound_jax.experiment import Experiment
from ultrasound_jax.pretrained import open_experiment
from ultrasound_jax.runs import provenance
from ultrasound_jax.study.plan import Study
from ultrasound_jax.training import compiled as programs
from ultrasound_jax.training import optim, sharding, steps
from ultrasound_jax.types import Settings

REPEATS = 3  # steps that are timed; the first one is not


def estimate(study: Study, say: Callable[[str], None]) -> dict[str, Any]:
    """Times each network's steps, tells and returns the hours, writes `estimate.json`.

    One worker that does all of it is assumed; with `n` alike it is an `n`th. Searches
    are counted without pruning and early stopping is not counted on, so that it is
    rather too long than too short. What is finished is not counted.
    """
    rows = []
    for name in study.configs:
        rows.append({"network": name} | measure(study, name))
        say(line(rows[-1]))
    hours = sum(row["hours"] for row in rows)
    say(f"{hours:.2f} hours for one worker on {jax.devices()[0].device_kind}")
    tree = {"networks": rows, "hours": hours, "run": provenance.facts()}
    write_metrics(study.folder / "estimate.json", tree)
    return tree


def line(row: dict[str, Any]) -> str:
    """A network's measurement for the screen."""
    return (
        f"{row['network']:<20} compile {row['compile_s']:6.1f} s, step "
        f"{row['step_s'] * 1e3:8.1f} ms x {row['steps']:>6,}, evaluation "
        f"{row['evaluation_s']:6.1f} s an epoch, {row['runs']} runs: "
        f"{row['hours']:.2f} h"
    )


def measure(study: Study, name: str) -> dict[str, Any]:
    """Opens, compiles and times one network on fold 0."""
    found = of_run(study.of_fold(name, 0))
    config = study.of_fold(name, 0)
    left = sum(
        not (study.run_folder(name) / f"fold_{fold}" / "metrics.json").exists()
        for fold in study.folds
    )
    trials = study.trials if study.trials and study.tuned(name) is None else 0
    epochs = config.tune.epochs or config.train.epochs
    an_epoch, a_run = found.pop("epoch_s"), found.pop("run_s")
    seconds = left * a_run
    seconds += trials * epochs * an_epoch + (found["compile_s"] if trials else 0.0)
    return found | {"runs": left, "trials": trials, "hours": seconds / 3600}


def of_run(config: Settings) -> dict[str, Any]:
    """Opens, compiles and times one training: seconds of its parts, and of all."""
    opened = time.monotonic()
    experiment = open_experiment(config, lambda line: None)
    move = augment.build(config.augment, data=config.data)
    plan = optim.make_plan(config, move.copies * len(experiment.indices["train"]))
    state = programs.initial_state(experiment, plan.optimizer)
    started = time.monotonic()
    opening_s = started - opened
    compiled = programs.train_step(
        experiment,
        plan.optimizer,
        state,
        augment=move,
        say=lambda line: None,
    )
    _ = experiment.eval_step  # compiled here, where the time is counted
    compile_s = time.monotonic() - started
    step_s, state = train_seconds(experiment, compiled, state)
    batches = -(-len(experiment.indices["validation"]) // config.data.eval_batch_size)
    evaluation_s = eval_seconds(experiment, steps.evaluated(state)) * batches
    an_epoch = plan.steps_per_epoch * step_s + evaluation_s
    a_run = opening_s + compile_s + config.train.epochs * an_epoch + 2 * evaluation_s
    return {
        "opening_s": opening_s,
        "compile_s": compile_s,
        "step_s": step_s,
        "steps": plan.total,
        "evaluation_s": evaluation_s,
        "epoch_s": an_epoch,
        "run_s": a_run,
    }


def train_seconds(
    experiment: Experiment, compiled: Callable, state: steps.TrainState
) -> tuple[float, steps.TrainState]:
    """The median seconds of a step with its batch read, and the new state."""
    places, data = experiment.indices["train"], experiment.config.data
    move = augment.build(experiment.config.augment, data=data)
    batches = training_batches(
        experiment.source,
        places,
        data,
        seed=experiment.config.seed,
        copies=move.copies,
    )
    times = []
    for _ in range(1 + REPEATS):
        started = time.monotonic()
        batch = sharding.to_device(dict(next(batches)), experiment.mesh)
        state, terms = compiled(state, batch, jnp.float32(1))
        jax.block_until_ready(terms)
        times.append(time.monotonic() - started)
    return median(times[1:]), state


def eval_seconds(experiment: Experiment, weights: Any) -> float:
    """The median seconds of one batch of the evaluation."""
    rows = experiment.source.spec.empty(experiment.config.data.eval_batch_size)
    batch = sharding.to_device(rows, experiment.mesh)
    times = []
    for _ in range(1 + REPEATS):
        started = time.monotonic()
        jax.block_until_ready(experiment.eval_step(*weights, batch))
        times.append(time.monotonic() - started)
    return median(times[1:])


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return float(np.median(values))
