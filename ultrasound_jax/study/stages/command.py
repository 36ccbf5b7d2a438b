"""Two stages: classifiers of the regions that a segmentation found.

    python -m ultrasound_jax.predict.stages --segmenter RUN --workdir DIR \\
        --classifier-config configs/busi.py

takes of each case the mask that a network found which never saw it, cuts the region
out, and cross-validates the classifier on regions of every kind and margin, in the
segmentation's folds. DIR gets a run for each, compare/ (all against the whole picture,
paired tests, Holm), stages.md and stages.json. The same command goes on where it ended.
"""

import argparse
import copy
import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from absl import logging

from ultrasound_jax.analysis.stats._parts import bootstrap
from ultrasound_jax.analysis.table.predictions import Predictions
from ultrasound_jax.media.regions import PARTS, SHAPES
from ultrasound_jax.predict.stages.segmenter import Segmenter, open_segmenter
from ultrasound_jax.runs import cli
from ultrasound_jax.runs.bar import say
from ultrasound_jax.study.stages import nested, radiomics, report
from ultrasound_jax.study.stages.asked import (
    KINDS,
    MARGINS,
    NOTHING,
    RADIOMICS,
    Asked,
    claim,
)
from ultrasound_jax.study.stages.cases import (
    Cases,
    open_cases,
    write_cases,
    write_found,
)
from ultrasound_jax.study.stages.variants import (
    Place,
    Variants,
    check_same,
    read_classifier,
    told,
)
from ultrasound_jax.training import compiling
from ultrasound_jax.training.one_writer import check_free, one_writer
from ultrasound_jax.types import Settings

PROGRAM = "python -m ultrasound_jax.predict.stages"


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the command."""
    given = parsed(argv)
    logging.set_verbosity(logging.ERROR)  # TFDS and Orbax tell of every file
    return cli.guard(lambda prompt: run(given))


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line's words as `run` takes them."""
    parser = cli.Parser(PROGRAM, description=__doc__)
    add_arguments(parser)
    return parser.parse_args(argv)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes."""
    default, add = Asked(), parser.add_argument
    add("--segmenter", type=Path, required=True, metavar="RUN", help="cross-validated")
    add("--classifier-config", required=True, metavar="FILE[:VARIANT]")
    add("--workdir", type=Path, required=True, metavar="DIR", help="of all runs")
    add("--set", nargs="+", default=[], metavar="KEY=VALUE", help="of the classifier")
    add("--kinds", nargs="+", choices=KINDS, default=list(default.kinds))
    add("--margins", nargs="+", type=margin, default=list(MARGINS), metavar="PERCENT")
    add("--part", choices=PARTS, default=default.part, help="of the mask that counts")
    add("--shape", choices=SHAPES, default=default.shape, help="of the box")
    add("--nothing", choices=NOTHING, default=default.nothing, help="if nothing found")
    add("--pixels", type=int, default=0, help="of cut pictures (the segmenter's)")
    add("--classes", nargs="+", default=[], help="to tell apart (default all)")
    add("--strict", action="store_true", help="segment K(K-1)/2 times more: see docs")
    add("--trials", type=int, default=default.trials, help="of radiomics' search")
    add("--inner", type=int, default=default.inner, help="folds of that search")
    add("--processes", type=int, default=1, help="that measure radiomics")
    add("--replicates", type=int, default=bootstrap.REPLICATES, help="of compare")
    add("--manual_dir", default=None, help="of the pictures (the segmentation's)")
    add("--data_dir", default=None, help="of built datasets (the segmentation's)")


def margin(text: str) -> int:
    """A margin as the command line has it: 0 to 400 percent."""
    value = int(text)
    if not 0 <= value <= 400:
        raise argparse.ArgumentTypeError("allowed is 0 to 400 percent")
    return value


def run(given: argparse.Namespace) -> None:
    """Does what is asked, as far as it is not done."""
    asked = Asked(
        kinds=tuple(given.kinds),
        margins=tuple(sorted({*given.margins})),
        part=given.part,
        shape=given.shape,
        nothing=given.nothing,
        pixels=given.pixels,
        classes=tuple(given.classes),
        strict=given.strict,
        trials=given.trials,
        inner=given.inner,
    )
    bootstrap.check_replicates(given.replicates)
    segmenter = open_segmenter(given.segmenter)
    config = read_classifier(given.classifier_config, given.set)
    check_same(config, segmenter)
    if asked.strict:
        nested.check_folds(segmenter)
    compiling.use_compilation_cache(config.compilation_cache)
    where = places_of(segmenter, given)
    place = Place(given.workdir.absolute())
    check_free(place.folder)
    table = segmenter.folder / "predictions.csv"
    digest = hashlib.sha256(table.read_bytes()).hexdigest()
    with one_writer(place.folder):
        cases = open_cases(segmenter, asked, where, say)
        claim(place.folder, told(asked, segmenter, digest))
        counts = cases.counts()
        say(f"nothing found on {counts['nothing_found']} of {counts['cases']} pictures")
        write_cases(cases, place.cases)
        if asked.strict:
            write_strict(cases, where, place)
        entries, tables = train(cases, config, where, asked, place, given)
        say("comparing")
        compared = report.compare(
            tables, place.folder / "compare", replicates=given.replicates
        )
        about = {
            "segmenter": segmenter.folder.name,
            "classifier": given.classifier_config,
            "asked": told(asked, segmenter, digest),
            "folds": segmenter.manifest.folds,
            "found": counts,
        }
        report.write(place.folder, about, entries, compared)
    say(f"written to {place.folder}: stages.md, stages.json, compare/compare.md")


def places_of(segmenter: Segmenter, given: argparse.Namespace) -> Settings:
    """The segmenter's `config.data`, with the folders that the command line says."""
    where = copy.deepcopy(segmenter.config.data)
    where.manifest = where.manifest_out = ""
    if given.manual_dir is not None:
        where.manual_dir = given.manual_dir
    if given.data_dir is not None:
        where.data_dir = given.data_dir
    return where


def write_strict(cases: Cases, where: Settings, place: Place) -> None:
    """Trains what strict masks take, and writes them fold by fold."""
    segmenter = cases.segmenter
    nested.train_pairs(segmenter, where, segmenter.manifest, place.nested, say)
    for fold in range(segmenter.manifest.folds):
        mask = nested.strict_mask(segmenter, place.nested, fold)
        write_found(cases, place.cases, f"found_{fold}", mask)


def train(
    cases: Cases,
    config: Settings,
    where: Settings,
    asked: Asked,
    place: Place,
    given: argparse.Namespace,
) -> tuple[dict, dict[str, Predictions]]:
    """Every variant's entry of stages.json, and its table."""
    entries, tables = {}, {}
    networks = Variants(cases, config, asked, place, say)
    variants = asked.variants()
    for number, (name, (kind, percent)) in enumerate(variants.items(), 1):
        say(f"{number} of {len(variants)}: {name}")
        if kind in RADIOMICS:
            strict = None
            if asked.strict:
                strict = partial(nested.strict_mask, cases.segmenter, place.nested)
            found = radiomics.classify(
                cases,
                kind,
                where,
                asked,
                place.run(name),
                processes=given.processes,
                replicates=config.evaluation.replicates,
                strict=strict,
                say=say,
            )
        else:
            found = networks.train(name, kind, percent)
        tables[name] = Predictions.read(place.run(name) / "predictions.csv")
        entries[name] = report.entry(found, tables[name], kind, percent)
    return entries, tables
