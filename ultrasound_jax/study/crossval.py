"""Cross-validation: each patient is judged by a network that never saw them."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ultrasound_jax import config as settings
from ultrasound_jax import evaluate
from ultrasound_jax import workdir as workdirs
from ultrasound_jax.analysis.table.mask_table import AnyTable, MaskTable, read_table
from ultrasound_jax.analysis.table.predictions import joined
from ultrasound_jax.analysis.table.splits import OUT_OF_FOLD
from ultrasound_jax.data.manifest import keep_splits
from ultrasound_jax.predict.binding import check_judged
from ultrasound_jax.pretrained import open_experiment
from ultrasound_jax.runs.files import read_json
from ultrasound_jax.train import train_and_evaluate
from ultrasound_jax.training import compiling
from ultrasound_jax.training.console import (
    Console,
    Stopwatch,
)
from ultrasound_jax.types import Settings

LONG = ("calibration", "operating", "conformal")  # recomputed from predictions.csv


def cross_validate(
    config: Settings,
    workdir: Path,
    *,
    of_fold: Callable[[Settings], object] = lambda own: None,
) -> dict:
    """Trains and judges every fold in `workdir/fold_<k>`, then pools the predictions.

    Which examples train, validate and test is the protocol `rotation` of
    `data/protocols.py`; all patients take part. A fold that is finished is not trained
    again, so that an interrupted study goes on with the same command. Returns the
    metrics of the pooled predictions, which it writes beside the folds.

    `of_fold` may change a fold's settings: where what it sees depends on who is judged.
    """
    console, clock = Console(), Stopwatch()
    with clock.of("opening"):
        whole = open_experiment(config, console.say)
    workdirs.claim_workdir(config, workdir)
    keep_splits(
        whole.manifest,
        workdir,
        copy=config.data.manifest_out,
        writes=jax.process_index() == 0,
    )
    alone, tables = [], []
    for fold in range(config.data.folds):
        folder = workdir / f"fold_{fold}"
        if not (folder / "metrics.json").exists():
            console.say(f"fold {fold + 1} of {config.data.folds}: {folder}")
            own = copy.deepcopy(config)
            own.data.fold = fold
            of_fold(own)
            with clock.of("training"):
                train_and_evaluate(own, folder)
        if jax.process_index() == 0:
            alone.append(read_json(folder / "metrics.json"))
            check_judged(folder, alone[-1])
            tables.append(read_table(folder / "predictions.csv"))
    if jax.process_index():
        return {}
    main = next(iter(whole.task.SELECT), "loss")
    return evaluate.write_report(
        pool(tables),
        whole,
        workdir,
        console.say,
        clock,
        facts={"minutes of all folds": minutes_of(alone)},
        tree={"folds": [summary_of_fold(metrics, main) for metrics in alone]},
    )


def cross_validate_all(
    configs: Mapping[str, Settings], folder: Path
) -> dict[str, dict[str, Any]]:
    """Cross-validates each of several settings in a folder of its own.

    Returns of each what is worth keeping of its metrics: the pooled numbers, what each
    fold says alone, and who computed them.
    """
    found = {}
    for name, given in configs.items():
        metrics = cross_validate(rotated(given), (folder / name).absolute())
        found[name] = worth_keeping(metrics, "folds")
    return found


def rotated(given: Settings) -> Settings:
    """A copy of settings as a script takes them, all patients rotating through folds.

    It also turns the compilation cache on.
    """
    config = copy.deepcopy(given)
    config.data.protocol, config.data.test_fraction = "rotation", 0.0
    settings.check(config)
    settings.complete(config)
    compiling.use_compilation_cache(config.compilation_cache)
    return config


def worth_keeping(metrics: Mapping[str, Any], *further: str) -> dict[str, Any]:
    """The pooled numbers of a cross-validation less what its table tells at length.

    `further` are other branches that are kept as they are.
    """
    pooled = {k: v for k, v in metrics[OUT_OF_FOLD].items() if k not in LONG}
    more = {name: metrics[name] for name in further}
    return {OUT_OF_FOLD: pooled, "run": metrics["run"], **more}


def minutes_of(folds: Sequence[dict]) -> str:
    """The time that training the folds took, whenever that was."""
    return f"{sum(float(m['run']['minutes']) for m in folds):.1f}"


def summary_of_fold(metrics: dict, select: str) -> dict:
    """A fold's own main number at each level, free of the other folds' calibration."""
    return {level: entry[select] for level, entry in levels_of(metrics["test"], select)}


def levels_of(split: dict, select: str) -> list[tuple[str, dict]]:
    """The levels of a split of `metrics.json` that have this number."""
    return [
        (name, entry)
        for name, entry in split.items()
        if isinstance(entry, dict) and select in entry
    ]


def pool(folds: Sequence[AnyTable]) -> AnyTable:
    """Joins the held-out rows of each fold's table into one, as split `out_of_fold`.

    Files of found masks are named from the folder of the folds.
    """
    held_out = [table.of_split("test") for table in folds]
    pooled = []
    for fold, table in enumerate(held_out):
        changes: dict[str, Any] = {
            "fold": np.full(len(table), fold),
            "split": (OUT_OF_FOLD,) * len(table),
        }
        if isinstance(table, MaskTable):
            files = (f"fold_{fold}/{name}" if name else "" for name in table.mask_file)
            changes["mask_file"] = tuple(files)
        pooled.append(replace(table, **changes))
    return joined(pooled)
