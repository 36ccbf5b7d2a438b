"""The training loop: open the experiment, begin or continue, and go round.

Evaluate, save, then draw the batch, in that order: whatever ends the process, the same
command goes on from the last save and sees the batches that it would have seen.
"""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ultrasound_jax import evaluate, optim, sharding, steps
from ultrasound_jax.checkpoint import Checkpoints
from ultrasound_jax.config import claim_workdir
from ultrasound_jax.experiment import Experiment, open_experiment
from ultrasound_jax.interrupts import Interrupts
from ultrasound_jax.progress import Progress
from ultrasound_jax.report import Console, Scalars, Stopwatch, parameter_table
from ultrasound_jax.types import ArrayTree, Settings, UltrasoundError


class TrainError(UltrasoundError):
    """Training that cannot go on."""


def train_and_evaluate(config: Settings, workdir: Path, **options: Any) -> dict:
    """Trains (or continues) in `workdir`, then judges the best state on unseen data.

    Returns the tree that it writes to `metrics.json`. `options` go to
    `open_experiment`. SIGTERM and Ctrl-C save and leave with exit code 128 + signal.
    Nothing is written before the data is split and the step is known to fit.
    """
    console, clock = Console(), Stopwatch()
    with clock.of("opening"):
        experiment = open_experiment(config, console.say, **options)
        plan = optim.make_plan(config, len(experiment.indices["train"]))
        state = experiment.initial_state(plan.optimizer)
    console.say(parameter_table(state.params))
    with clock.of("compile"):
        train_step = experiment.compile_train_step(plan.optimizer, state, console.say)
        experiment.eval_step  # noqa: B018 - compiled here, where its time is counted

    claim_workdir(config, workdir)
    evaluate.write_manifest(experiment, workdir)
    with Checkpoints(workdir / "checkpoints", say=console.say) as checkpoints:
        run = (plan, state, train_step, checkpoints, workdir, console, clock)
        weights = train(experiment, *run)
    return evaluate.report_run(experiment, weights, workdir, console.say, clock)


def train(
    experiment: Experiment,
    plan: optim.Plan,
    state: steps.TrainState,
    train_step: Callable,
    checkpoints: Checkpoints,
    workdir: Path,
    console: Console,
    clock: Stopwatch,
) -> ArrayTree:
    """Runs the loop and returns the best (params, stats)."""
    config = experiment.config
    batches, progress = experiment.train_batches(), Progress.begin(config)
    with clock.of("opening"):
        restored = checkpoints.restore(state)
    if restored:
        state, host = restored
        progress = Progress.from_json(host["progress"], config)
        batches.set_state(host["batches"])
        console.say(f"continuing from step {int(state.step)} of {plan.total}")

    step, unread, host_batches = int(state.step), [], batches.get_state()
    scalars = Scalars(workdir, step=step)
    feed = sharding.ahead(((b, batches.get_state()) for b in batches), experiment.mesh)
    console.start(plan.total, done=step, examples_a_step=config.data.batch_size)
    with Interrupts() as interrupts:
        while True:
            epoch_ends = step > 0 and step % plan.steps_per_epoch == 0
            if epoch_ends and progress.evaluated < step:
                read_scalars(unread, experiment, scalars, console)
                with clock.of("evaluation"):
                    found = evaluate.validate(experiment, steps.evaluated(state))
                better = progress.judge(step, found)
                scalars.write(step, {f"validation/{k}": v for k, v in found.items()})
                console.say(progress.line(step // plan.steps_per_epoch, found))
                if better:
                    with clock.of("saving"):
                        checkpoints.save_best(step, steps.evaluated(state))

            number = interrupts.received()
            finished = step >= plan.total or progress.stopped
            due = step > 0 and step % config.train.save_every == 0
            if number or finished or epoch_ends or due:
                read_scalars(unread, experiment, scalars, console)
                with clock.of("saving"):
                    host = {"progress": progress.to_json(), "batches": host_batches}
                    checkpoints.save(step, state, host)
                    if number or finished:
                        checkpoints.wait()
            if number:
                name = signal.Signals(number).name
                console.say(f"{name}: saved step {step}; the same command continues")
                raise SystemExit(128 + number)
            if finished:
                break

            with clock.of("data"):
                batch, (rows, host_batches) = next(feed)
            with clock.of("training"):
                rate_scale = jnp.float32(progress.rate_scale)
                state, terms = train_step(state, batch, rate_scale)
                step += 1
                unread.append((step, rows["index"], terms))
                if step % config.train.log_every == 0:
                    rate = plan.rate(step - 1) * progress.rate_scale
                    shown = read_scalars(unread, experiment, scalars, console)
                    scalars.write(step, {"train/learning_rate": rate})
                    console.step(step, shown)
    scalars.close()
    console.close()
    console.say(clock.line())
    return checkpoints.restore_best(steps.evaluated(state))


def read_scalars(
    unread: list, experiment: Experiment, scalars: Scalars, console: Console
) -> dict[str, float]:
    """Fetches the steps' scalars at once, writes their mean, stops on a bad loss."""
    if not unread:
        return {}
    fetched = jax.device_get([terms for *_, terms in unread])
    for (step, index, _), terms in zip(unread, fetched, strict=True):
        if not np.isfinite(terms["loss"]):
            each = terms["loss_per_example"]
            ids = [experiment.source.table.example_id[i] for i in index]
            bad = [i for i, x in zip(ids, each, strict=False) if not np.isfinite(x)]
            raise TrainError(
                f"the loss is {terms['loss']} at step {step}; examples whose own loss "
                f"is not finite: {', '.join(bad or ids)}; saved are the steps before"
            )
    step = unread[-1][0]
    unread.clear()
    means = {
        f"train/{name}": float(np.mean([terms[name] for terms in fetched]))
        for name in ("loss", "grad_norm")
    }
    scalars.write(step, means)
    return {"loss": means["train/loss"]}
