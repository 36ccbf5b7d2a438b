"""The training loop: open the experiment, begin or continue, and go round.

Evaluate, save, then draw the batch, in that order: whatever ends the process, the same
command goes on from the last save and sees the batches that it would have seen.
"""

import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp

from ultrasound_jax import augment, evaluate
from ultrasound_jax.data.dataset import training_batches
from ultrasound_jax.experiment import Experiment
from ultrasound_jax.predict.model_file import begin
from ultrasound_jax.pretrained import open_experiment
from ultrasound_jax.training import compiled, optim, sharding, steps
from ultrasound_jax.training.checkpoint import BestWeights, Checkpoints, check_folder
from ultrasound_jax.training.console import (
    Console,
    Scalars,
    Stopwatch,
    parameter_table,
)
from ultrasound_jax.training.interrupts import SharedInterrupts
from ultrasound_jax.training.one_writer import check_free, one_writer
from ultrasound_jax.training.progress import Progress
from ultrasound_jax.training.steplog import StepLog
from ultrasound_jax.types import Settings
from ultrasound_jax.workdir import claim_workdir


def train_and_evaluate(config: Settings, workdir: Path) -> dict:
    """Trains (or continues) in `workdir`, then judges the best state on unseen data.

    Returns what it writes to `metrics.json`. SIGTERM and Ctrl-C save and leave with
    exit code 128 + signal. Nothing is written before the data is split and the step is
    known to fit.
    """
    check_folder(workdir)
    check_free(workdir)
    console, clock = Console(), Stopwatch()
    augmentation = augment.build(config.augment, data=config.data)
    copies = augmentation.copies
    with clock.of("opening"):
        experiment = open_experiment(config, console.say)
        plan = optim.make_plan(config, copies * len(experiment.indices["train"]))
        state = compiled.initial_state(experiment, plan.optimizer)
    console.say(parameter_table(state.params))
    console.say("compiling the steps (kept for the next run)")
    with clock.of("compile"):
        step = compiled.train_step(
            experiment,
            plan.optimizer,
            state,
            augment=augmentation,
            say=console.say,
        )
        _ = experiment.eval_step  # compiled here, where the time is counted

    with one_writer(workdir):
        claim_workdir(config, workdir)
        bound = begin(experiment, workdir, console.say)
        loop = Loop(experiment, plan, step, workdir, console, clock, copies=copies)
        with Checkpoints(
            workdir / "checkpoints", bound=bound, say=console.say
        ) as checkpoints:
            best = train(loop, state, checkpoints)
        return evaluate.report_run(
            experiment, best.weights, workdir, console.say, clock, note=best.note
        )


@dataclass(frozen=True)
class Loop:
    """What stays the same while a network trains.

    step: the compiled `(state, batch, rate_scale) -> (state, metrics)`.
    on_evaluation: told each epoch's number and validation.
    copies: how often an epoch has every example, see `augment.Augment.copies`.
    """

    experiment: Experiment
    plan: optim.Plan
    step: Callable
    workdir: Path
    console: Console
    clock: Stopwatch
    on_evaluation: Callable[[int, dict[str, float]], object] = lambda *_: None
    copies: int = 1


def train(loop: Loop, state: steps.TrainState, checkpoints: Checkpoints) -> BestWeights:
    """Runs the loop, telling each epoch's validation; returns the best weights."""
    experiment, plan, clock = loop.experiment, loop.plan, loop.clock
    console, config = loop.console, experiment.config
    batches = training_batches(
        experiment.source,
        experiment.indices["train"],
        config.data,
        seed=config.seed,
        process=sharding.place(),
        copies=loop.copies,
    )
    progress = Progress.begin(
        config, experiment.task.SELECT.get(config.train.select, 1)
    )
    host: dict = {"log": []}
    with clock.of("opening"):
        restored = checkpoints.restore(state)
    if restored:
        state, host = restored
        progress = Progress.from_json(host["progress"], config)
        if progress.best_step:  # lost ones are told now, not after the last epoch
            checkpoints.best(steps.evaluated(state))
        batches.set_state(host["batches"])
        clock.add(host["seconds"])
        console.say(f"continuing from step {int(state.step)} of {plan.total}")

    step, host_batches = int(state.step), batches.get_state()
    feed = sharding.ahead(((b, batches.get_state()) for b in batches), experiment.mesh)
    console.start(plan.total, done=step, examples_a_step=config.data.batch_size)
    with Scalars(loop.workdir, step=step) as scalars, SharedInterrupts() as interrupts:
        log = StepLog(scalars, experiment.source.table.example_id, host["log"])
        while True:
            epoch_ends = step > 0 and step % plan.steps_per_epoch == 0
            if epoch_ends and progress.evaluated < step:
                with clock.of("training"):
                    log.write(step, plan.rate(step - 1) * progress.rate_scale)
                with clock.of("evaluation"):
                    found = evaluate.validate(experiment, steps.evaluated(state))
                scalars.write(step, {f"validation/{k}": v for k, v in found.items()})
                if progress.judge(step, found):
                    with clock.of("saving"):
                        checkpoints.save_best(step, steps.evaluated(state))
                console.say(progress.line(step // plan.steps_per_epoch, found))
                loop.on_evaluation(step // plan.steps_per_epoch, found)

            number = interrupts.received()
            finished = step >= plan.total or progress.stopped
            due = epoch_ends or (step > 0 and step % config.train.save_every == 0)
            if number or finished or due:
                with clock.of("training"):
                    host = {"log": log.to_json(), "progress": progress.to_json()}
                    host |= {"batches": host_batches, "seconds": clock.rounded()}
                with clock.of("saving"):
                    checkpoints.save(step, state, host)
                    if number or finished:
                        checkpoints.wait()
            if number:
                console.close(f"{signal.Signals(number).name}: saved step {step}")
                raise SystemExit(128 + number)
            if finished:
                break

            with clock.of("data"):
                batch, (_, host_batches) = next(feed)
            with clock.of("training"):
                scale = jnp.float32(plan.scale(step) * progress.rate_scale)
                state, terms = loop.step(state, batch, scale)
                step += 1
                log.add(step, terms)
                if step % config.train.log_every == 0:
                    rate = plan.rate(step - 1) * progress.rate_scale
                    console.step(step, log.write(step, rate))
    console.close(clock.line())
    return checkpoints.best(steps.evaluated(state))
