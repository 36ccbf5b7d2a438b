"""Classifiers on radiomics and on an autoencoder's codes: `config.radiomics`.

`--mode crossval` comes here where `config.radiomics.features` says so. The folds are
those of the networks on the same data, so that `compare` has pairs. Codes of a fold are
of an autoencoder that never saw the patients whom the fold judges, as an image that it
has learned to redraw is no new one; each fold therefore has an autoencoder and codes of
its own.
"""

import copy
import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from ultrasound_jax import config as configs
from ultrasound_jax import starting
from ultrasound_jax import workdir as workdirs
from ultrasound_jax.config import ConfigError
from ultrasound_jax.data.dataset import open_dataset, splits_of
from ultrasound_jax.data.manifest import Manifest
from ultrasound_jax.pretrained import open_experiment, start_of
from ultrasound_jax.radiomics.extract import Settings as Measures
from ultrasound_jax.radiomics.learn import crossval
from ultrasound_jax.radiomics.learn.cases import Cases, open_cases
from ultrasound_jax.radiomics.learn.codes import read_codes
from ultrasound_jax.radiomics.learn.folds import of_cases
from ultrasound_jax.radiomics.learn.selection import LASSO, NONE
from ultrasound_jax.radiomics.learn.store import Features, measured
from ultrasound_jax.study.crossval import cross_validate
from ultrasound_jax.study.features import kept_features
from ultrasound_jax.training.console import Console
from ultrasound_jax.training.one_writer import check_free, one_writer
from ultrasound_jax.types import Settings

CODE = "code"  # what an autoencoder calls it
Say = Callable[[str], None]


def classify(config: Settings, workdir: Path) -> dict[str, Any]:
    """Cross-validates classifiers in `workdir`; returns what metrics.json has.

    What is done is not done again: measured regions, trained autoencoders, folds.

    Raises:
        ConfigError: several processes, or codes of a network that makes none.
        RadiomicsError: the dataset has no masks, or see `Plan`.
        SplitError: an autoencoder has seen patients whom it makes codes of for a fold
            that judges them.
    """
    if jax.process_count() > 1:
        raise ConfigError("config.radiomics takes one process")
    check_free(workdir)
    how, console = config.radiomics, Console()
    plan = crossval.Plan(
        how.classifier,
        how.selection or (NONE if how.features == "codes" else LASSO),
        how.trials,
        how.inner,
        config.seed,
        config.evaluation.replicates,
    )
    source = open_dataset(config.data, console.say)
    manifest = splits_of(config.data, source)
    cases = open_cases(
        config.data.name,
        options=config.data.options.to_dict(),
        data_dir=config.data.data_dir,
        manual_dir=config.data.manual_dir,
        say=console.say,
    )
    with one_writer(workdir):
        workdirs.claim_workdir(config, workdir)
        cases, regions = _regions(cases, config, workdir, console.say)
        folds = of_cases(manifest, cases.table)
        names, codes = _codes(cases, folds, config, workdir, console.say)

        def values(fold: int) -> Float[np.ndarray, "n f"]:
            return np.concatenate([regions.values, codes(fold)], axis=1)

        every = (*regions.names, *names)
        return crossval.cross_validate(
            cases,
            values,
            every,
            folds,
            plan,
            workdir,
            about=_about(cases, config, plan, len(every)),
            say=console.say,
        )


def _about(
    cases: Cases, config: Settings, plan: crossval.Plan, count: int
) -> dict[str, str]:
    left = [f"{number} {reason}" for reason, number in cases.left_out.items()]
    search = f"{plan.trials} trials in {plan.inner} inner folds, seed {plan.seed}"
    what = config.radiomics.features
    return {
        "dataset": cases.source.name,
        "data_hash": cases.table.data_hash,
        "network": f"{plan.classifier} on {what} of {cases.source.name}",
        "features": f"{count}, selection {plan.selection}",
        "search": search if plan.trials else "none",
        **({"left out": "; ".join(left)} if left else {}),
        **({"a patient here": cases.source.patient} if cases.source.patient else {}),
    }


def _regions(
    cases: Cases, config: Settings, workdir: Path, say: Say
) -> tuple[Cases, Features]:
    """The cases that can be measured, and their radiomics; none where codes are."""
    how = config.radiomics
    if how.features == "codes":
        return cases, Features((), np.zeros((len(cases), 0)))
    file = workdir / "features.jsonl"
    measures = Measures(bin_width=how.bin_width)
    found = measured(cases, measures, file, processes=how.processes)
    why = Counter(reason.partition(";")[0] for reason in found.reasons.values())
    for reason, count in why.items():
        say(f"{count} examples without features: {reason}")
    chosen = np.ones(len(cases), bool)
    chosen[list(found.reasons)] = False
    return cases.rows(chosen, why), Features(found.names, found.values[chosen])


def _codes(
    cases: Cases, folds: Manifest, config: Settings, workdir: Path, say: Say
) -> tuple[tuple[str, ...], Callable[[int], np.ndarray]]:
    """The names of the codes, and those of every case as a fold's classifier gets them.

    They come from a file, from the folds of an autoencoder that was cross-validated, or
    from one that is cross-validated here.
    """
    how = config.radiomics
    if how.features == "radiomics":
        nothing = np.zeros((len(cases), 0))
        return (), lambda fold: nothing
    given = Path(how.codes).expanduser() if how.codes else None
    if given is not None and not given.is_dir():
        names, values = read_codes(given, cases.table.example_id)
        digest = hashlib.sha256(given.read_bytes()).hexdigest()[:12]
        say(f"{given} ({digest}) does not say whom the codes' network has seen")
        return names, lambda fold: values
    if given is None:
        given = workdir / "autoencoder"
        own = copy.deepcopy(config)
        own.radiomics.features = ""
        cross_validate(own, given)
    found = [
        _of_fold(cases, folds, config, given / f"fold_{fold}", fold, workdir, say)
        for fold in range(folds.folds)
    ]
    names = tuple(f"code_{k:04d}" for k in range(found[0].shape[1]))
    return names, lambda fold: found[fold]


def _of_fold(
    cases: Cases,
    folds: Manifest,
    config: Settings,
    run: Path,
    fold: int,
    workdir: Path,
    say: Say,
) -> np.ndarray:
    """The codes of all cases, by the network that did not see those of the fold."""
    start = start_of(run, say)
    held_out = folds.indices(cases.table, fold)["validation"]
    nobody = held_out[:0]
    judged = {"train": nobody, "validation": nobody, "test": held_out}
    starting.check_unseen(start, config.data, cases.table, judged, say)
    own = configs.read(run)
    own.data.data_dir, own.data.manual_dir = (
        config.data.data_dir,
        config.data.manual_dir,
    )
    own.init_from, own.init_part = str(run), "all"
    experiment = open_experiment(own, say)
    found = kept_features(
        experiment, workdir / "codes" / run.name, frames=1, output=CODE, say=say
    )
    place = {name: k for k, name in enumerate(experiment.source.table.example_id)}
    lost = [name for name in cases.table.example_id if name not in place]
    if lost:
        raise ConfigError(
            f"config.radiomics.codes='{config.radiomics.codes}' has no image of "
            f"{len(lost)} examples, such as {lost[0]!r}"
        )
    return found.values[[place[name] for name in cases.table.example_id]]
