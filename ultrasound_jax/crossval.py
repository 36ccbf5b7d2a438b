"""Cross-validation: each patient is judged by a network that never saw them.

Fold `f` is held out as the test set, the next fold is the validation set that stops
training and sets thresholds, the rest is trained on. The original stops on the very
fold that it reports; here nothing of a fold reaches the network that predicts it.
"""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import jax
import numpy as np

from ultrasound_jax import config as settings
from ultrasound_jax import evaluate
from ultrasound_jax import experiment as experiments
from ultrasound_jax.analysis.evaluation import OUT_OF_FOLD
from ultrasound_jax.analysis.predictions import Predictions
from ultrasound_jax.data.examples import SplitError
from ultrasound_jax.data.sources import ClipSource
from ultrasound_jax.data.splits import Manifest, make_manifest
from ultrasound_jax.report import Console, Stopwatch
from ultrasound_jax.train import train_and_evaluate
from ultrasound_jax.types import Settings


def cross_validate(config: Settings, workdir: Path) -> dict:
    """Trains and judges every fold in `workdir/fold_<k>`, then pools the predictions.

    A fold that is finished is not trained again, so that an interrupted study goes on
    with the same command. Returns the metrics of the pooled predictions, which it
    writes beside the folds in the form of a single run.
    """
    console, clock = Console(), Stopwatch()
    folds = range(config.data.folds)
    with clock.of("opening"):
        split = partial(rotated_split, config, 0)
        whole = experiments.open_experiment(config, console.say, split=split)
    settings.claim_workdir(config, workdir)
    evaluate.write_manifest(whole, workdir)
    alone = []
    for fold in folds:
        folder = workdir / f"fold_{fold}"
        if not (folder / "metrics.json").exists():
            console.say(f"fold {fold + 1} of {len(folds)}: {folder}")
            with clock.of("training"):
                split = partial(rotated_split, config, fold)
                train_and_evaluate(config, folder, split=split)
        if jax.process_index() == 0:
            alone.append(json.loads((folder / "metrics.json").read_text()))
    if jax.process_index():
        return {}
    tables = [Predictions.read(workdir / f"fold_{f}/predictions.csv") for f in folds]
    return evaluate.write_report(
        pool(tables),
        whole,
        workdir,
        console.say,
        clock,
        facts={"minutes of all folds": minutes_of(alone)},
        tree={"folds": [summary_of_fold(metrics) for metrics in alone]},
    )


def minutes_of(folds: Sequence[dict]) -> str:
    """Returns the time that training the folds took, whenever that was."""
    return f"{sum(float(m['run']['minutes']) for m in folds):.1f}"


def summary_of_fold(metrics: dict) -> dict:
    """Returns a fold's own macro AUROC, free of the other folds' calibration."""
    levels = ("clip", "video_mean", "video_max")
    return {level: metrics["test"][level]["macro_auroc"] for level in levels}


def pool(folds: Sequence[Predictions]) -> Predictions:
    """Joins the held-out rows of each fold's table into one, as split `out_of_fold`."""
    tables = [table.of_split("test") for table in folds]
    return Predictions(
        example_id=tuple(i for t in tables for i in t.example_id),
        video_id=tuple(i for t in tables for i in t.video_id),
        patient_id=tuple(i for t in tables for i in t.patient_id),
        fold=np.repeat(np.arange(len(tables)), [len(t) for t in tables]),
        split=(OUT_OF_FOLD,) * sum(len(t) for t in tables),
        classes=tables[0].classes,
        labels=np.concatenate([t.labels for t in tables]),
        scores=np.concatenate([t.scores for t in tables]),
    )


def rotated_split(
    config: Settings, fold: int, source: ClipSource
) -> tuple[Manifest, dict[str, np.ndarray]]:
    """Returns fold `fold` as test, the next as validation, the others to train on."""
    data = config.data
    if data.manifest:
        manifest = Manifest.read(Path(data.manifest))
    else:
        manifest = make_manifest(
            source.table, test_fraction=0.0, folds=data.folds, seed=data.split_seed
        )
    manifest.check(source.table)
    if manifest.folds != data.folds or len(manifest.indices(source.table, 0)["test"]):
        raise SplitError(
            f"{data.manifest}: cross-validation takes a manifest of {data.folds} folds "
            f"and no test part; it has {manifest.folds} folds"
        )
    held_out = manifest.indices(source.table, fold)["validation"]
    validation = manifest.indices(source.table, (fold + 1) % data.folds)["validation"]
    others = np.setdiff1d(np.arange(len(source)), np.union1d(held_out, validation))
    return manifest, {"train": others, "validation": validation, "test": held_out}
