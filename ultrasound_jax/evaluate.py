"""From weights and a split to the predictions table, its metrics and the report."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ultrasound_jax.analysis.document import Block, Picture, Text, label
from ultrasound_jax.analysis.judge.run import (
    headline,
    judge_table,
    youden_thresholds,
)
from ultrasound_jax.analysis.report import run_report
from ultrasound_jax.analysis.table.mask_table import MaskTable
from ultrasound_jax.analysis.table.splits import default_split, rows_of
from ultrasound_jax.data.examples import SplitError
from ultrasound_jax.data.manifest import Manifest
from ultrasound_jax.data.source import Source
from ultrasound_jax.experiment import Experiment, network_name, network_settings
from ultrasound_jax.explain.draw.mask_sheet import mask_sheet
from ultrasound_jax.explain.errors import ExplainError
from ultrasound_jax.predict import model_file, open_run
from ultrasound_jax.predict.examples import own_experiment
from ultrasound_jax.predict.split import columns_of, mask_writer, table_of
from ultrasound_jax.runs import provenance
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.training.console import Console, Stopwatch
from ultrasound_jax.types import ArrayTree, Settings

CHOSEN_ON = "validation"  # the split that thresholds are chosen on


def predict(
    experiment: Experiment,
    weights: ArrayTree,
    split: str,
    *,
    full: bool = False,
    masks: Callable[[int, np.ndarray], str] | None = None,
) -> tuple[dict[str, np.ndarray], float]:
    """What the task keeps of a split's examples, in order, and the mean loss."""
    return columns_of(
        experiment.task,
        experiment.eval_step,
        weights,
        experiment.eval_batches(split),
        mesh=experiment.mesh,
        full=full,
        masks=masks,
    )


def validate(experiment: Experiment, weights: ArrayTree) -> dict[str, float]:
    """The validation loss, and what the task selects on where it is defined."""
    columns, loss = predict(experiment, weights, CHOSEN_ON)
    places = experiment.indices[CHOSEN_ON]
    task, fold = experiment.task, experiment.config.data.fold
    table = table_of(
        task, experiment.source, places, columns, fold=fold, split=CHOSEN_ON
    )
    return {"loss": float(loss)} | task.quality(table)


def predictions(
    experiment: Experiment,
    weights: ArrayTree,
    *,
    fold: int,
    splits: tuple[str, ...] = (CHOSEN_ON, "test"),
    folder: Path | None = None,
) -> Any:
    """The rows of the predictions table for these splits.

    `folder` is where found masks are written, for a task that has any.
    """
    used = [s for s in splits if len(experiment.indices[s])]
    masks = mask_writer(folder, experiment.source) if folder else None
    parts = [predict(experiment, weights, s, full=True, masks=masks)[0] for s in used]
    places = np.concatenate([experiment.indices[s] for s in used])
    columns = {k: np.concatenate([part[k] for part in parts]) for k in parts[0]}
    names = tuple(s for s in used for _ in experiment.indices[s])
    return table_of(
        experiment.task, experiment.source, places, columns, fold=fold, split=names
    )


def report_run(
    experiment: Experiment,
    weights: ArrayTree,
    workdir: Path,
    say: Callable[[str], None],
    clock: Stopwatch,
) -> dict:
    """Writes predictions.csv, metrics.json and report.md; returns the metrics.

    The thresholds that the validation patients chose go into `model.json`.
    """
    config = experiment.config
    with clock.of("evaluation"):
        table = predictions(experiment, weights, fold=config.data.fold, folder=workdir)
    if jax.process_index() == 0:
        about = model_file.read(workdir)
        if chosen := youden_thresholds(table.of_split(CHOSEN_ON)):
            about |= {"thresholds": chosen, "thresholds_from": CHOSEN_ON}
            model_file.write(about, workdir)
    return write_report(table, experiment, workdir, say, clock)


def write_report(
    table: Any,
    experiment: Experiment,
    folder: Path,
    say: Callable[[str], None],
    clock: Stopwatch,
    *,
    facts: Mapping[str, str] | None = None,
    tree: Mapping[str, Any] | None = None,
    thresholds: Mapping[str, Mapping[str, float | None]] | None = None,
) -> dict:
    """Writes a predictions table and all that is computed from it.

    `facts` are further lines at the top of the report, `tree` further branches of
    metrics.json. `thresholds` are another table's, by level and class; without, they
    are chosen on the validation rows.
    """
    if jax.process_index():
        return {}
    config = experiment.config
    with clock.of("evaluation"):
        table.write(folder / "predictions.csv")
        metrics = judge_table(
            table,
            replicates=config.evaluation.replicates,
            seed=config.seed,
            thresholds=thresholds,
        )
    lines = run_facts(experiment, clock) | dict(facts or {})
    title = f"{lines['network']} on {lines['dataset']}"
    more = sheet_of(table, experiment.source, folder)
    run_report.write_report(folder, table, metrics, title=title, facts=lines, more=more)
    run = {"run": lines | {"seconds": clock.rounded()}}
    metrics = metrics | run | dict(tree or {})
    text = json.dumps(metrics, indent=1, allow_nan=False)
    write_whole(folder / "metrics.json", f"{text}\n".encode())
    written = "report.md, metrics.json, predictions.csv"
    say("\n".join([*headline(metrics, table), f"written to {folder}: {written}"]))
    return metrics


def sheet_of(table: Any, source: Source, folder: Path) -> list[Block]:
    """The contact sheet of the masks that were found of unseen examples."""
    if not isinstance(table, MaskTable):
        return []
    split = default_split(table)
    judged = rows_of(table, split)
    try:
        image = mask_sheet(judged, source, folder)
    except ExplainError as error:
        return [Text(f"No contact sheet: {error}")]
    words = f"Best, median and worst of the {len(judged)} examples of {label(split)}."
    return [Picture("contact_sheet", image, "Found and true masks as outlines", words)]


def run_facts(experiment: Experiment, clock: Stopwatch) -> dict[str, str]:
    """What stands at the top of a report."""
    config = experiment.config
    count = sum(int(np.prod(p.shape)) for p in jax.tree.leaves(experiment.params))
    return provenance.facts() | {
        "dataset": experiment.source.name,
        "data_hash": experiment.source.table.data_hash,
        "network": network_name(network_settings(config)),
        "parameters": f"{count:,}",
        "precision": config.dtype,
        "minutes": f"{sum(clock.seconds.values()) / 60:.1f}",
    }


def write_manifest(experiment: Experiment, workdir: Path) -> None:
    """Writes the splits into the run, and where the settings ask for them.

    A run that continues must have the splits that it began with: SplitError otherwise,
    in every process.
    """
    path = workdir / "splits.json"
    if path.exists():
        begun, now = Manifest.read(path), experiment.manifest
        if now and (begun.data_hash, begun.parts) != (now.data_hash, now.parts):
            raise SplitError(
                f"{path}: the run began with other splits or data; its test patients "
                "would no longer be unseen. Give what it began with, or a new --workdir"
            )
    if jax.process_index() == 0 and experiment.manifest:
        wanted = experiment.config.data.manifest_out
        for target in (path, *([Path(wanted)] if wanted else [])):
            experiment.manifest.write(target)


def evaluate_run(config: Settings, workdir: Path) -> dict:
    """Judges the best weights of a finished or interrupted run once more."""
    console, clock = Console(), Stopwatch()
    with clock.of("opening"):
        run = open_run(workdir, console.say)
        experiment = own_experiment(run, config, console.say)
    return report_run(experiment, run.weights, workdir, console.say, clock)
