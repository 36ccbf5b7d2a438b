"""Radiomics of the true and of the found masks, in the folds of the networks."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from ultrasound_jax.datasets.regions.options import SKIP
from ultrasound_jax.predict.binding import check_judged
from ultrasound_jax.radiomics.extract import Settings as Measures
from ultrasound_jax.radiomics.learn import cases as learn_cases
from ultrasound_jax.radiomics.learn import crossval
from ultrasound_jax.radiomics.learn.cases import Cases as Measured
from ultrasound_jax.radiomics.learn.folds import of_cases
from ultrasound_jax.radiomics.learn.found_masks import found_masks
from ultrasound_jax.radiomics.learn.store import Features, Loader, measured
from ultrasound_jax.runs.files import read_json
from ultrasound_jax.study.stages.asked import RADIOMICS_FOUND, Asked
from ultrasound_jax.study.stages.cases import Cases
from ultrasound_jax.types import Settings

UNMEASURED = "unmeasured"
StrictMask = Callable[[int], Callable[[str], UInt8[np.ndarray, "h w"]]]


def classify(
    cases: Cases,
    kind: str,
    where: Settings,
    asked: Asked,
    folder: Path,
    *,
    processes: int,
    replicates: int,
    strict: StrictMask | None,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """The metrics of boosting on radiomics, and how many cases had nothing to measure.

    A mask that is empty, or that has no region to measure, gives the whole picture, or
    leaves the case out where `nothing` is `skip`.

    Args:
        cases: what is classified.
        kind: `radiomics_true` or `radiomics_found`.
        where: `config.data` of the segmenter with today's folders.
        asked: what is done with nothing; the search.
        folder: of the run.
        processes: that measure.
        replicates: of the bootstrap.
        strict: fold -> example -> mask, where masks depend on who is judged.
        say: told how far it is.
    """
    plan = crossval.Plan(trials=asked.trials, inner=asked.inner, replicates=replicates)
    measures = learn_cases.open_cases(
        where.name,
        options=where.options.to_dict(),
        data_dir=where.data_dir,
        manual_dir=where.manual_dir,
        classes=asked.classes,
        say=say,
    )
    if asked.nothing == SKIP and cases.nothing:
        kept = [name not in cases.nothing for name in measures.table.example_id]
        left = {"nothing was found": len(cases.nothing)}
        measures = measures.rows(np.array(kept), left)
    loaders: Mapping[int, Loader | None] = {0: None}
    if kind == RADIOMICS_FOUND:
        loaders = {0: found_masks(measures, cases.segmenter.folder)}
        if strict is not None:
            folds = range(cases.segmenter.manifest.folds)
            loaders = {fold: _of_masks(measures, strict(fold)) for fold in folds}
    folder.mkdir(parents=True, exist_ok=True)
    sets = {
        key: _measured(measures, load, folder, f"{key}", kind, asked, processes)
        for key, load in loaders.items()
    }
    lost = {row for found in sets.values() for row in found.reasons}
    if asked.nothing == SKIP and lost:
        chosen = np.ones(len(measures), bool)
        chosen[list(lost)] = False
        measures = measures.rows(chosen, {"a mask that cannot be measured": len(lost)})
        sets = {k: replace(f, values=f.values[chosen]) for k, f in sets.items()}
    about = {
        "dataset": measures.source.name,
        "data_hash": measures.table.data_hash,
        "network": f"boosting on {kind} of {measures.source.name}",
        "masks": "found, out of fold" if kind == RADIOMICS_FOUND else "the dataset's",
    }
    done = folder / "metrics.json"
    if done.is_file():
        metrics = read_json(done)
        check_judged(folder, metrics)
        say(f"{folder.name}: done before")
    else:
        metrics = crossval.cross_validate(
            measures,
            lambda fold: sets.get(fold, sets[0]).values,
            sets[0].names,
            of_cases(cases.segmenter.manifest, measures.table),
            plan,
            folder,
            about=about,
            say=say,
        )
    return {"metrics": metrics, UNMEASURED: len(lost)}


def _measured(
    cases: Measured,
    load: Loader | None,
    folder: Path,
    key: str,
    kind: str,
    asked: Asked,
    processes: int,
) -> Features:
    """The features; the whole picture's where a mask gives none, unless skipped."""
    path = folder / f"features_{key}.jsonl"
    found = measured(
        cases, Measures(), path, load=load, masks=kind, processes=processes
    )
    if not found.reasons or asked.nothing == SKIP:
        return found
    lost = sorted(found.reasons)
    chosen = np.zeros(len(cases), bool)
    chosen[lost] = True
    rest = measured(
        cases.rows(chosen, {}),
        Measures(),
        folder / f"whole_{key}.jsonl",
        load=_whole(cases.rows(chosen, {})),
        masks="the whole picture",
        processes=processes,
    )
    values = found.values.copy()
    values[lost] = rest.values
    return replace(found, values=values)


def _whole(cases: Measured) -> Loader:
    def load(row: int) -> tuple[np.ndarray, np.ndarray]:
        image, _ = cases.load(row)
        return image, np.ones_like(image)

    return load


def _of_masks(
    cases: Measured, mask: Callable[[str], UInt8[np.ndarray, "h w"]]
) -> Loader:
    def load(row: int) -> tuple[np.ndarray, np.ndarray]:
        image, _ = cases.load(row)
        return image, mask(cases.table.example_id[row])

    return load
