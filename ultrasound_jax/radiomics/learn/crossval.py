"""Classifiers on features, cross-validated over patients: a run's folder.

splits.json       the outer folds
features.jsonl    the features, measured once
fold_<k>.json     of each fold: parameters, features, scores of its patients
predictions.csv   the scores of all, each by a classifier that never saw the patient
metrics.json, report.md, checklist.md, figures
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ultrasound_jax.analysis.judge.run import headline, judge_table
from ultrasound_jax.analysis.report import run_report
from ultrasound_jax.analysis.table.predictions import Predictions
from ultrasound_jax.analysis.table.splits import OUT_OF_FOLD
from ultrasound_jax.data import population
from ultrasound_jax.data.manifest import Manifest, fold_name, keep_splits
from ultrasound_jax.radiomics.errors import RadiomicsError
from ultrasound_jax.radiomics.learn.cases import Cases, part_of
from ultrasound_jax.radiomics.learn.classifiers import classifier, fitted_scores
from ultrasound_jax.radiomics.learn.selection import KINDS, select
from ultrasound_jax.radiomics.learn.tuning import inner_splits, tune
from ultrasound_jax.runs import provenance
from ultrasound_jax.runs.bar import Progress
from ultrasound_jax.runs.files import read_json, write_whole

SETTINGS = "radiomics.json"  # marks the folder of such a run


@dataclass(frozen=True)
class Plan:
    """How classifiers are made.

    classifier: see `classifiers`. selection: see `selection`. trials: of the search, 0
    for none. inner: folds of the search. seed: of search and classifiers. replicates:
    of the bootstrap.

    Raises:
        RadiomicsError: a name or number that is not allowed.
    """

    classifier: str = "boosting"
    selection: str = "lasso"
    trials: int = 50
    inner: int = 10
    seed: int = 42
    replicates: int = 2000

    def __post_init__(self) -> None:
        # Made once, so that a library that is missing is told before hours of work.
        kind = classifier(self.classifier)
        kind.make(kind.start, 0)
        if self.selection not in KINDS:
            raise RadiomicsError(
                f"selection {self.selection!r}; there are {', '.join(KINDS)}"
            )
        if self.trials < 0 or self.inner < 2:
            raise RadiomicsError(
                f"trials={self.trials}, inner={self.inner}; allowed are 0 and more, "
                "and 2 and more"
            )


def cross_validate(
    cases: Cases,
    values: Float[np.ndarray, "n f"] | Callable[[int], Float[np.ndarray, "n f"]],
    names: tuple[str, ...],
    manifest: Manifest,
    plan: Plan,
    folder: Path,
    *,
    about: Mapping[str, str],
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Trains and judges every fold; returns the metrics, written with a report.

    A fold that is done is not done again.

    Args:
        cases: the examples.
        values: their features; a function of the fold where they depend on who is
            held out.
        names: of the features.
        manifest: the outer folds.
        plan: how classifiers are made.
        folder: of the run.
        about: what the features are of, for the report.
        say: told how far it is and what came out.
    """
    keep_splits(manifest, folder)
    of_fold = values if callable(values) else lambda fold: values
    folds = [
        _fold(cases, of_fold(fold), names, manifest, fold, plan, folder, say)
        for fold in range(manifest.folds)
    ]
    table = _table(cases, manifest, folds)
    table.write(folder / "predictions.csv")
    return _report(cases, table, manifest, folds, plan, folder, about, say)


def _fold(
    cases: Cases,
    values: Float[np.ndarray, "n f"],
    names: tuple[str, ...],
    manifest: Manifest,
    fold: int,
    plan: Plan,
    folder: Path,
    say: Callable[[str], None],
) -> dict[str, Any]:
    path = folder / f"fold_{fold}.json"
    if path.exists():
        return read_json(path)
    parts = manifest.indices(cases.table, fold)
    train, test = parts["train"], parts["validation"]
    truth, kind = cases.truth, classifier(plan.classifier)
    table = part_of(cases.table, train, cases.table.labels[train])
    needed = plan.trials > 0 or kind.calibrated
    splits = inner_splits(table, plan.inner, plan.seed) if needed else []
    classes = len(cases.table.classes)
    what = f"fold {fold + 1} of {manifest.folds}"
    with Progress(plan.trials, "trials", of=what) as progress:
        tuned = tune(
            kind,
            values[train],
            truth[train],
            splits,
            classes=classes,
            selection=plan.selection,
            trials=plan.trials,
            seed=plan.seed,
            told=progress.advance,
        )
    learnt = select(values[train], truth[train], plan.selection)
    scores = fitted_scores(
        kind.make(tuned.params, plan.seed),
        learnt(values[train]),
        truth[train],
        learnt(values[test]),
        classes=classes,
        splits=splits if kind.calibrated else None,
    )
    found = {
        "parameters": tuned.params,
        "inner_auroc": tuned.auroc,
        "counts": learnt.counts,
        "selected": [names[k] for k in learnt.kept],
        "scores": dict(
            zip((cases.table.example_id[i] for i in test), scores.tolist(), strict=True)
        ),
    }
    write_whole(path, json.dumps(found, indent=1, allow_nan=False) + "\n")
    said = "" if tuned.auroc is None else f", inner AUROC {tuned.auroc:.3f}"
    say(f"{what}: {len(learnt.kept)} of {len(names)} features{said}")
    return found


def _table(
    cases: Cases, manifest: Manifest, folds: list[dict[str, Any]]
) -> Predictions:
    table = cases.table
    scores = {name: row for found in folds for name, row in found["scores"].items()}
    parts = [manifest.parts[fold_name(k)].examples for k in range(len(folds))]
    fold = {name: k for k, examples in enumerate(parts) for name in examples}
    return Predictions(
        example_id=table.example_id,
        video_id=table.video_id,
        patient_id=table.patient_id,
        fold=np.array([fold[name] for name in table.example_id]),
        split=(OUT_OF_FOLD,) * len(table.example_id),
        classes=table.classes,
        labels=table.labels.astype(np.float64),
        scores=np.array([scores[name] for name in table.example_id]),
        extra=dict(table.groups),
        units=cases.source.spec.units,
    )


def _report(
    cases: Cases,
    table: Predictions,
    manifest: Manifest,
    folds: list[dict[str, Any]],
    plan: Plan,
    folder: Path,
    about: Mapping[str, str],
    say: Callable[[str], None],
) -> dict[str, Any]:
    metrics = judge_table(table, replicates=plan.replicates, seed=plan.seed)
    facts = provenance.facts() | dict(about)
    people = population.describe(
        cases.table,
        population.parts_of(cases.table, {}, manifest, pooled=True),
        account=cases.source.account,
        units=cases.source.spec.units,
        patient=cases.source.patient,
    )
    text = json.dumps(people, indent=1, allow_nan=False)
    write_whole(folder / population.NAME, f"{text}\n")
    run_report.write_report(
        folder, table, metrics, title=about["network"], facts=facts, population=people
    )
    digest = hashlib.sha256((folder / "predictions.csv").read_bytes()).hexdigest()
    metrics |= {
        "run": facts | {"predictions_sha256": digest},
        "left_out": dict(cases.left_out),
        "folds": [
            {name: found[name] for name in ("parameters", "inner_auroc", "counts")}
            for found in folds
        ],
    }
    text = json.dumps(metrics, indent=1, allow_nan=False)
    write_whole(folder / "metrics.json", f"{text}\n")
    say("\n".join(headline(metrics, table)))
    say(f"written to {folder}: report.md, checklist.md, metrics.json, predictions.csv")
    return metrics


def claim(folder: Path, settings: Mapping[str, Any]) -> None:
    """Makes the folder this run's own, or continues the run that is in it.

    Raises:
        RadiomicsError: it holds something else, or a run with other settings.
    """
    path, told = folder / SETTINGS, json.loads(json.dumps(settings))
    if path.exists():
        begun = read_json(path)
        if begun != told:
            other = sorted(k for k in told if begun.get(k) != told[k])
            raise RadiomicsError(
                f"--workdir '{folder}' holds a run with other settings "
                f"({', '.join(other) or 'of another version'}); give the same to "
                "continue it, or another --workdir"
            )
        return
    if folder.exists() and any(one.name[0] != "." for one in folder.iterdir()):
        raise RadiomicsError(
            f"--workdir '{folder}' holds other files and no such run (no {SETTINGS}); "
            "give an empty or a new folder"
        )
    write_whole(path, json.dumps(told, indent=1) + "\n")
