"""From weights and a split to the predictions table, its metrics and the report."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax

from ultrasound_jax.analysis.judge.run import headline, judge_table, youden_thresholds
from ultrasound_jax.analysis.report import run_report
from ultrasound_jax.analysis.table.splits import OUT_OF_FOLD
from ultrasound_jax.data import population
from ultrasound_jax.experiment import Experiment
from ultrasound_jax.predict import binding, model_file, open_run
from ultrasound_jax.predict.examples import own_experiment
from ultrasound_jax.predict.score_split import (
    predict,
    predictions,
    table_of,
)
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.training.checkpoint import check_folder
from ultrasound_jax.training.console import Console, Stopwatch
from ultrasound_jax.training.one_writer import check_free, one_writer
from ultrasound_jax.types import ArrayTree, Settings

CHOSEN_ON = "validation"  # the split that thresholds are chosen on


def validate(experiment: Experiment, weights: ArrayTree) -> dict[str, float]:
    """The validation loss, and what the task selects on where it is defined."""
    columns, loss = predict(experiment, weights, CHOSEN_ON)
    places, fold = experiment.indices[CHOSEN_ON], experiment.config.data.fold
    split = (CHOSEN_ON,) * len(places)
    table = table_of(experiment, places, columns, fold=fold, split=split)
    return {"loss": loss} | experiment.task.quality(table)


def report_run(
    experiment: Experiment,
    weights: ArrayTree,
    workdir: Path,
    say: Callable[[str], None],
    clock: Stopwatch,
    *,
    note: str = "",
) -> dict:
    """Writes predictions.csv, metrics.json and report.md; returns the metrics.

    The thresholds that the validation patients chose go into `model.json`. `note` is
    what must be said of the weights, where they are not simply the best.
    """
    config = experiment.config
    with clock.of("evaluation"):
        table = predictions(
            experiment,
            weights,
            fold=config.data.fold,
            splits=(CHOSEN_ON, "test"),
            folder=workdir,
        )
    if jax.process_index() == 0:
        about = model_file.read(workdir)
        if chosen := youden_thresholds(table.of_split(CHOSEN_ON)):
            about |= {"thresholds": chosen, "thresholds_from": CHOSEN_ON}
            model_file.write(about, workdir)
    facts = {"weights": note} if note else {}
    metrics = write_report(table, experiment, workdir, say, clock, facts=facts)
    if note and metrics:
        say(f"these are the numbers of other weights: {note}")
    return metrics


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
    say("drawing the report's figures")
    # Whoever trains need not import what draws until there is something to draw.
    from ultrasound_jax.explain.draw.mask_sheet import sheet_blocks

    lines = model_file.facts_of(experiment) | {"minutes": clock.minutes()}
    lines |= facts or {}
    title = f"{lines['network']} on {lines['dataset']}"
    more = sheet_blocks(table, experiment.source, folder)
    people = population_of(table, experiment, folder)
    run_report.write_report(
        folder,
        table,
        metrics,
        title=title,
        facts=lines,
        population=people,
        more=more,
    )
    digest = binding.file_digest(folder / "predictions.csv")
    told = {"seconds": clock.rounded(), "predictions_sha256": digest}
    run = {"run": lines | told}
    metrics = metrics | run | dict(tree or {})
    text = json.dumps(metrics, indent=1, allow_nan=False)
    write_whole(folder / "metrics.json", f"{text}\n".encode())
    written = "report.md, checklist.md, metrics.json, predictions.csv"
    say("\n".join([*headline(metrics, table), f"written to {folder}: {written}"]))
    return metrics


def population_of(table: Any, experiment: Experiment, folder: Path) -> dict:
    """Who is in the data and its splits; also written as `population.json`."""
    source, pooled = experiment.source, OUT_OF_FOLD in table.split
    parts = population.parts_of(
        source.table, experiment.indices, experiment.manifest, pooled=pooled
    )
    found = population.describe(
        source.table,
        parts,
        account=source.account,
        units=source.spec.units,
        patient=source.patient,
    )
    text = json.dumps(found, indent=1, allow_nan=False)
    write_whole(folder / population.NAME, f"{text}\n".encode())
    return found


def evaluate_run(config: Settings, workdir: Path) -> dict:
    """Judges the best weights of a finished or interrupted run once more."""
    check_folder(workdir)
    check_free(workdir)
    console, clock = Console(), Stopwatch()
    with clock.of("opening"):
        run = open_run(workdir, console.say)
        experiment = own_experiment(run, config, console.say)
    with one_writer(workdir):
        return report_run(
            experiment, run.weights, workdir, console.say, clock, note=run.note
        )
