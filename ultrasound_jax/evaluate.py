"""From weights and a split to the predictions table, its metrics and the report."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ultrasound_jax.analysis.judge import evaluation
from ultrasound_jax.analysis.report import run_report
from ultrasound_jax.analysis.table.predictions import Predictions
from ultrasound_jax.data.examples import SplitError
from ultrasound_jax.data.manifest import Manifest
from ultrasound_jax.experiment import Experiment, network_name, open_experiment
from ultrasound_jax.runs import provenance
from ultrasound_jax.training import sharding
from ultrasound_jax.training.checkpoint import (
    CheckpointError,
    Checkpoints,
)
from ultrasound_jax.training.console import (
    Console,
    Stopwatch,
)
from ultrasound_jax.types import ArrayTree, Settings


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
        fold=np.full(len(places), fold),
        split=tuple(s for s in used for _ in experiment.indices[s]),
        classes=table.classes,
        labels=labels,
        scores=np.concatenate(
            [predict(experiment, weights, s)[0].astype(float) for s in used]
        ),
        extra={
            name: tuple(column[i] for i in places)
            for name, column in table.groups.items()
        },
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
    *,
    facts: Mapping[str, str] | None = None,
    tree: Mapping[str, Any] | None = None,
) -> dict:
    """Writes a predictions table and all that is computed from it.

    `facts` are further lines at the top of the report, `tree` further branches of
    metrics.json.
    """
    if jax.process_index():
        return {}
    config = experiment.config
    pooled = evaluation.OUT_OF_FOLD in table.split
    judge = evaluation.evaluate_out_of_fold if pooled else evaluation.evaluate
    with clock.of("evaluation"):
        table.write(workdir / "predictions.csv")
        metrics = judge(
            table, replicates=config.evaluation.replicates, seed=config.seed
        )
    lines = run_facts(experiment, clock) | dict(facts or {})
    title = f"{lines['network']} on {lines['dataset']}"
    run_report.write_report(workdir, metrics, table, title=title, facts=lines)
    run = {"run": lines | {"seconds": clock.rounded()}}
    metrics = metrics | run | dict(tree or {})
    evaluation.write_metrics(workdir / "metrics.json", metrics)
    say(summary(metrics, workdir))
    return metrics


def run_facts(experiment: Experiment, clock: Stopwatch) -> dict[str, str]:
    """Returns what stands at the top of a report."""
    config = experiment.config
    count = sum(int(np.prod(p.shape)) for p in jax.tree.leaves(experiment.params))
    return provenance.facts() | {
        "dataset": experiment.source.name,
        "data_hash": experiment.source.table.data_hash,
        "network": network_name(config),
        "parameters": f"{count:,}",
        "precision": config.dtype,
        "minutes": f"{sum(clock.seconds.values()) / 60:.1f}",
    }


def summary(metrics: dict, workdir: Path) -> str:
    """Returns the headline and where the rest is."""
    split = "test" if "test" in metrics else evaluation.OUT_OF_FOLD
    lines = []
    for level, level_name in (("clip", "clips"), ("video_mean", "videos")):
        value = metrics[split][level]["macro_auroc"]
        interval = metrics[split][level]["macro_auroc_ci"]
        words = "not defined" if value is None else f"{value:.3f}"
        if interval:
            words += f" [{interval[0]:.3f}, {interval[1]:.3f}]"
        lines.append(f"{split} macro AUROC of {level_name}: {words}")
    written = "report.md, metrics.json, predictions.csv"
    return "\n".join([*lines, f"written to {workdir}: {written}"])


def write_manifest(experiment: Experiment, workdir: Path) -> None:
    """Writes the splits into the run, and where the settings ask for them.

    A run that continues must have the splits that it began with: SplitError otherwise,
    in every process.
    """
    path = workdir / "splits.json"
    if path.exists():
        begun, now = Manifest.read(path), experiment.manifest
        if (begun.data_hash, begun.parts) != (now.data_hash, now.parts):
            raise SplitError(
                f"{path}: the run began with other splits or data; its test patients "
                "would no longer be unseen. Give what it began with, or a new --workdir"
            )
    if jax.process_index() == 0:
        wanted = experiment.config.data.manifest_out
        for target in (path, *([Path(wanted)] if wanted else [])):
            experiment.manifest.write(target)


def restore_run(
    config: Settings, workdir: Path, say: Callable[[str], None]
) -> tuple[Experiment, ArrayTree]:
    """Opens a run with its own `splits.json`; returns it with its best weights.

    Nothing depends on how splits are computed today. `config` is changed accordingly.
    """
    if not (workdir / "checkpoints" / "best").is_dir():
        raise CheckpointError(
            f"'{workdir}' holds no checkpoint to evaluate; train with --mode train"
        )
    with config.unlocked():
        config.data.manifest = str(workdir / "splits.json")
        config.init_from = ""
    experiment = open_experiment(config, say)
    template = sharding.replicate(
        (experiment.params, experiment.stats), experiment.mesh
    )
    with Checkpoints(workdir / "checkpoints", say=say) as checkpoints:
        return experiment, checkpoints.restore_best(template)


def evaluate_run(config: Settings, workdir: Path) -> dict:
    """Judges the best weights of a finished or interrupted run once more."""
    console, clock = Console(), Stopwatch()
    with clock.of("opening"):
        experiment, weights = restore_run(config, workdir, console.say)
    return report_run(experiment, weights, workdir, console.say, clock)
