"""Classifiers on radiomics of a dataset's masks, cross-validated over patients.

    python -m ultrasound_jax.radiomics.classify busi --manual_dir DIR \\
        --classes benign malignant --workdir runs/busi_radiomics

measures every image that has a mask (kept in WORKDIR/features.jsonl), selects features,
tunes gradient boosting on training patients, and writes the predictions table, metrics
and report of a run. The same command continues what was interrupted.
"""

import argparse
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from ultrasound_jax.data.manifest import Manifest
from ultrasound_jax.radiomics.command import add_settings, settings_of
from ultrasound_jax.radiomics.errors import RadiomicsError
from ultrasound_jax.radiomics.learn import folds as outer
from ultrasound_jax.radiomics.learn.cases import Cases, open_cases
from ultrasound_jax.radiomics.learn.classifiers import CLASSIFIERS
from ultrasound_jax.radiomics.learn.codes import read_codes
from ultrasound_jax.radiomics.learn.crossval import Plan, claim, cross_validate
from ultrasound_jax.radiomics.learn.found_masks import found_masks
from ultrasound_jax.radiomics.learn.selection import KINDS, LASSO, NONE
from ultrasound_jax.radiomics.learn.store import VERSION, Features, measured
from ultrasound_jax.runs import cli, locks
from ultrasound_jax.runs.bar import say

PROGRAM = "python -m ultrasound_jax.radiomics.classify"
RADIOMICS, CODES, MIX = "radiomics", "codes", "mix"
PUBLISHED = "published"
# What may differ when a run continues, as it does not change what is computed.
_FREE = ("workdir", "manual_dir", "data_dir", "processes", "cache", "codes", "masks")


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the command."""
    parser = cli.Parser(PROGRAM, description=__doc__)
    _add_data(parser)
    _add_features(parser)
    _add_learning(parser)
    given = parser.parse_args(argv)
    logging.set_verbosity(logging.ERROR)  # TFDS tells of every file
    return cli.guard(lambda prompt: _run(given))


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", metavar="DATASET", help="a dataset with masks")
    parser.add_argument(
        "--workdir", type=Path, required=True, metavar="DIR", help="the run's folder"
    )
    parser.add_argument("--manual_dir", default="", help="holds the dataset's files")
    parser.add_argument("--data_dir", default="", help="of built datasets")
    parser.add_argument(
        "--options", nargs="+", default=(), metavar="X=Y", help="of the dataset"
    )
    parser.add_argument(
        "--target",
        default="labels",
        help="which class is told: labels, or a class of the records such as label6",
    )
    parser.add_argument(
        "--classes",
        nargs="+",
        default=(),
        help="to tell apart; other examples are left out (default all that occur)",
    )
    parser.add_argument(
        "--folds",
        default="5",
        help=f"how many, or {PUBLISHED}: those of the dataset's own sheet (default 5)",
    )
    parser.add_argument(
        "--split_seed", type=int, default=0, help="of the folds (default 0)"
    )


def _add_features(parser: argparse.ArgumentParser) -> None:
    add_settings(parser)
    parser.add_argument(
        "--features",
        choices=(RADIOMICS, CODES, MIX),
        default=RADIOMICS,
        help="radiomics, another program's codes, or both",
    )
    parser.add_argument(
        "--codes",
        type=Path,
        metavar="FILE",
        help=".csv or .npz of an autoencoder's codes by example_id",
    )
    parser.add_argument(
        "--masks",
        type=Path,
        metavar="RUN",
        help="a segmentation whose found masks are measured, not the dataset's",
    )
    parser.add_argument(
        "--cache", type=Path, metavar="FILE", help="of measured features, to be shared"
    )
    parser.add_argument(
        "--processes", type=int, default=1, help="that measure (default 1)"
    )


def _add_learning(parser: argparse.ArgumentParser) -> None:
    plan = Plan()
    parser.add_argument(
        "--classifier", choices=tuple(CLASSIFIERS), default=plan.classifier
    )
    parser.add_argument(
        "--selection",
        choices=KINDS,
        help=f"of features (default {LASSO}, of codes alone {NONE})",
    )
    parser.add_argument(
        "--trials", type=int, default=plan.trials, help="of the search (default 50)"
    )
    parser.add_argument(
        "--inner", type=int, default=plan.inner, help="folds of the search (default 10)"
    )
    parser.add_argument(
        "--seed", type=int, default=plan.seed, help="of the search (default 42)"
    )
    parser.add_argument(
        "--replicates",
        type=int,
        default=plan.replicates,
        help="of the bootstrap over patients (default 2000)",
    )


def _run(given: argparse.Namespace) -> None:
    if (given.codes is None) != (given.features == RADIOMICS):
        raise RadiomicsError(
            f"--features {given.features}: --codes FILE goes with {CODES} and {MIX}, "
            f"and not with {RADIOMICS}"
        )
    given.selection = given.selection or (NONE if given.features == CODES else LASSO)
    plan = Plan(
        given.classifier,
        given.selection,
        given.trials,
        given.inner,
        given.seed,
        given.replicates,
    )
    number = _fold_number(given.folds)
    cases = open_cases(
        given.dataset,
        options=_options(given.options),
        data_dir=given.data_dir,
        manual_dir=given.manual_dir,
        target=given.target,
        classes=given.classes,
        say=say,
    )
    given.workdir.mkdir(parents=True, exist_ok=True)
    with locks.attempt(given.workdir / ".radiomics.lock") as taken:
        if not taken:
            raise RadiomicsError(
                f"--workdir '{given.workdir}' is written by another process"
            )
        claim(given.workdir, _told(given, cases))
        cases, features = _features(cases, given)
        if number is None:
            chosen = outer.published_cases(cases, say)
            features = _rows(features, cases, chosen)
            cases, manifest = chosen, outer.published_folds(chosen, say)
        else:
            manifest = outer.own_folds(cases.table, number, given.split_seed)
        _learn(cases, features, manifest, plan, given)


def _learn(
    cases: Cases,
    features: Features,
    manifest: Manifest,
    plan: Plan,
    given: argparse.Namespace,
) -> None:
    left = [f"{count} {reason}" for reason, count in cases.left_out.items()]
    tuning = f"{plan.trials} trials in {plan.inner} inner folds, seed {plan.seed}"
    about = {
        "dataset": cases.source.name,
        "data_hash": cases.table.data_hash,
        "network": f"{plan.classifier} on {given.features} of {cases.source.name}",
        "features": f"{len(features.names)}, selection {plan.selection}",
        "search": tuning if plan.trials else "none",
        "masks": "found ones" if given.masks else "the dataset's",
        **({"left out": "; ".join(left)} if left else {}),
        **({"a patient here": cases.source.patient} if cases.source.patient else {}),
    }
    cross_validate(
        cases,
        features.values,
        features.names,
        manifest,
        plan,
        given.workdir,
        about=about,
        say=say,
    )


def _features(cases: Cases, given: argparse.Namespace) -> tuple[Cases, Features]:
    """The cases that have features, and these."""
    found = Features((), np.zeros((len(cases), 0)))
    if given.features != CODES:
        load = found_masks(cases, given.masks) if given.masks else None
        found = measured(
            cases,
            settings_of(given),
            given.cache or given.workdir / "features.jsonl",
            load=load,
            masks=_digest(_table_of(given.masks)) if given.masks else "",
            processes=given.processes,
        )
        counts = Counter(reason.partition(";")[0] for reason in found.reasons.values())
        for reason, count in counts.items():
            say(f"{count} examples without features: {reason}")
        chosen = np.ones(len(cases), bool)
        chosen[list(found.reasons)] = False
        whole, cases = cases, cases.rows(chosen, counts)
        found = _rows(found, whole, cases)
    if given.codes:
        names, codes = read_codes(given.codes, cases.table.example_id)
        values = np.concatenate([found.values, codes], axis=1)
        found = Features((*found.names, *names), values)
    return cases, found


def _rows(features: Features, cases: Cases, chosen: Cases) -> Features:
    """The features of some of the cases."""
    rows = np.flatnonzero(np.isin(cases.places, chosen.places))
    return Features(features.names, features.values[rows])


def _fold_number(text: str) -> int | None:
    """How many folds are asked for; None for the published ones."""
    if text == PUBLISHED:
        return None
    if not text.isdecimal() or int(text) < 2:
        raise RadiomicsError(
            f"--folds {text}: allowed are numbers from 2 and {PUBLISHED}"
        )
    return int(text)


def _options(words: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise RadiomicsError(f"--options {word}: allowed is NAME=VALUE")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def _told(given: argparse.Namespace, cases: Cases) -> Mapping[str, Any]:
    """The settings that a run's folder is of."""
    told = {name: value for name, value in vars(given).items() if name not in _FREE}
    return told | {
        "version": VERSION,
        "data_hash": cases.table.data_hash,
        "codes_sha256": _digest(given.codes) if given.codes else "",
        "masks_sha256": _digest(_table_of(given.masks)) if given.masks else "",
    }


def _table_of(run: Path) -> Path:
    return run / "predictions.csv" if run.is_dir() else run


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise RadiomicsError(f"{path}: cannot be read: {error.strerror}") from error


if __name__ == "__main__":
    sys.exit(main())
