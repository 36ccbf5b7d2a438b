"""From weights and a split to the predictions table, its metrics and the report."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from ultrasound_jax import provenance, sharding
from ultrasound_jax.analysis import evaluation, report
from ultrasound_jax.analysis.predictions import Predictions
from ultrasound_jax.checkpoint import CheckpointError, Checkpoints
from ultrasound_jax.experiment import Experiment, open_experiment
from ultrasound_jax.report import Console, Stopwatch, write_json
from ultrasound_jax.types import ArrayTree


def predict(
    experiment: Experiment, weights: ArrayTree, split: str
) -> tuple[np.ndarray, float]:
    """Returns the scores `n k` of a split's examples, in order, and the mean loss."""
    scores, total, weight = [], 0.0, 0.0
    feed = sharding.ahead(
        ((batch, None) for batch in experiment.eval_batches(split)), experiment.mesh
    )
    for batch, _ in feed:
        out = jax.device_get(experiment.eval_step(*weights, batch))
        scores.append(out["scores"])
        total += float(out["loss_total"])
        weight += float(out["loss_weight"])
    wanted = len(experiment.indices[split])
    return np.concatenate(scores)[:wanted], total / max(weight, 1.0)


def validate(experiment: Experiment, weights: ArrayTree) -> dict[str, float]:
    """Returns the validation loss and, where it is defined, the macro AUROC."""
    scores, loss = predict(experiment, weights, "validation")
    labels = experiment.source.table.labels[experiment.indices["validation"]]
    quality = experiment.task.quality(scores, labels)
    return {"loss": loss} | ({} if quality is None else {"macro_auroc": quality})


def predictions(
    experiment: Experiment,
    weights: ArrayTree,
    *,
    fold: int,
    splits: tuple[str, ...] = ("validation", "test"),
) -> Predictions:
    """Returns the rows of the predictions table for these splits."""
    table = experiment.source.table
    used = [s for s in splits if len(experiment.indices[s])]
    places = np.concatenate([experiment.indices[s] for s in used])
    labels = table.labels[places].astype(float)
    labels[labels < 0] = np.nan
    return Predictions(
        example_id=tuple(table.example_id[i] for i in places),
        video_id=tuple(table.video_id[i] for i in places),
        patient_id=tuple(table.patient_id[i] for i in places),
        fold=tuple(fold for _ in places),
        split=tuple(s for s in used for _ in experiment.indices[s]),
        classes=table.classes,
        labels=labels,
        scores=np.concatenate(
            [predict(experiment, weights, s)[0].astype(float) for s in used]
        ),
    )


def report_run(
    experiment: Experiment,
    weights: ArrayTree,
    workdir: Path,
    say: Callable[[str], None],
    clock: Stopwatch,
) -> dict:
    """Writes predictions.csv, metrics.json and report.md; returns the metrics."""
    config = experiment.config
    with clock.of("evaluation"):
        table = predictions(experiment, weights, fold=config.data.fold)
    return write_report(table, experiment, workdir, say, clock)


def write_report(
    table: Predictions,
    experiment: Experiment,
    workdir: Path,
    say: Callable[[str], None],
    clock: Stopwatch,
) -> dict:
    """Writes a predictions table and all that is computed from it."""
    if jax.process_index():
        return {}
    config = experiment.config
    with clock.of("evaluation"):
        table.write(workdir / "predictions.csv")
        metrics = evaluation.evaluate(
            table, replicates=config.evaluation.replicates, seed=config.seed
        )
    count = sum(int(np.prod(p.shape)) for p in jax.tree.leaves(experiment.params))
    run = provenance.facts() | {
        "dataset": experiment.source.name,
        "data_hash": experiment.source.table.data_hash,
        "network": f"{config.model.name} with {config.model.encoder}",
        "parameters": f"{count:,}",
        "minutes": f"{sum(clock.seconds.values()) / 60:.1f}",
    }
    metrics = metrics | {"run": run | {"seconds": clock.rounded()}}
    write_json(workdir / "metrics.json", metrics)
    title = f"{run['network']} on {run['dataset']}"
    report.write_report(workdir, metrics, table, title=title, facts=run)
    say(summary(metrics, workdir))
    return metrics


def summary(metrics: dict, workdir: Path) -> str:
    """Returns the headline and where the rest is."""
    clip = metrics["test"]["clip"]
    value, interval = clip["macro_auroc"], clip["macro_auroc_ci"]
    words = "not defined" if value is None else f"{value:.3f}"
    if interval and interval[0] is not None:
        words += f" [{interval[0]:.3f}, {interval[1]:.3f}]"
    return (
        f"test macro AUROC, clips: {words}\n"
        f"written: {workdir}/report.md, metrics.json, predictions.csv"
    )


def write_manifest(experiment: Experiment, workdir: Path) -> None:
    """Writes the splits into the run."""
    if jax.process_index() == 0:
        experiment.manifest.write(workdir / "splits.json")


def evaluate_run(config: ConfigDict, workdir: Path) -> dict:
    """Judges the best weights of a finished or interrupted run once more.

    The run's own `splits.json` is used, so that nothing depends on how splits are
    computed today.
    """
    console, clock = Console(), Stopwatch()
    if not (workdir / "checkpoints" / "best").is_dir():
        raise CheckpointError(
            f"'{workdir}' holds no checkpoint to evaluate; train with --mode train"
        )
    with config.unlocked():
        config.data.manifest = str(workdir / "splits.json")
    with clock.of("opening"):
        experiment = open_experiment(config, console.say)
    template = sharding.replicate(
        (experiment.params, experiment.stats), experiment.mesh
    )
    with Checkpoints(workdir / "checkpoints", say=console.say) as checkpoints:
        weights = checkpoints.restore_best(template)
    return report_run(experiment, weights, workdir, console.say, clock)


def read_metrics(workdir: Path) -> dict[str, Any]:
    """Reads what a run wrote."""
    return json.loads((workdir / "metrics.json").read_text())
