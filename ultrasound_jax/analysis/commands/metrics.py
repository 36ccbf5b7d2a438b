"""Every metric of runs with its interval over patients.

  metrics RUN [RUN…] --out DIR [--by zone] [--sensitivity 0.9 0.95]

Judges the test split, or the pooled out-of-fold rows, of each run by every statistic
that fits its table. Of scores: AUROC, average precision, F1, sensitivity and
specificity for examples and their groups; calibration (Brier score, expected
calibration error, reliability diagram); where several findings may be present,
operating points at fixed sensitivities, chosen on validation rows, and conformal
prediction sets; where exactly one class is true, the confusion matrix and kappa. Of
masks: Dice, IoU and distances. And the same numbers for the groups of each column given
by --by. Writes metrics.json, metrics.csv (one row a number), metrics.md and figures/.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ultrasound_jax.analysis.document import Block, Heading, Text
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.judge.assess import Wanted, assess
from ultrasound_jax.analysis.judge.seeds import over_seeds, seeds_of
from ultrasound_jax.analysis.report.assessment import assessment, pictures
from ultrasound_jax.analysis.report.markdown import write_markdown
from ultrasound_jax.analysis.report.methods import methods
from ultrasound_jax.analysis.report.seeds_section import seeds_blocks
from ultrasound_jax.analysis.stats._parts import bootstrap
from ultrasound_jax.analysis.stats._parts.statistic import of_tree, statistics
from ultrasound_jax.analysis.stats._parts.wording import (
    class_word,
    level_rows,
    level_text,
    number_rows,
)
from ultrasound_jax.analysis.table.inputs import (
    Run,
    add_run_arguments,
    make_folder,
    open_runs,
)
from ultrasound_jax.analysis.table.units import plural
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.runs.spreadsheet import people_csv

COLUMNS = (
    "run",
    "split",
    "part",
    "group",
    "pattern",
    "metric",
    "value",
    "low",
    "high",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    add_run_arguments(parser)
    add_seeds(parser)
    add_wanted(parser)


def add_seeds(parser: argparse.ArgumentParser) -> None:
    """Adds `--seeds`, for verbs that judge several runs."""
    parser.add_argument(
        "--seeds",
        action="store_true",
        help="the runs differ in their seed only (checked): how much it moves AUROC",
    )


def spread(runs: Sequence[Run], trees: Mapping[str, Any]) -> dict[str, Any]:
    """The spread over seeds of runs with these judged trees."""
    first = trees[runs[0].name]
    return over_seeds(runs, first["split"], list(first["levels"]))


def add_wanted(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `Wanted` and of all statistics, for verbs that judge runs."""
    parser.add_argument(
        "--split",
        default="",
        help="split to judge (default: out_of_fold where there is one, else test)",
    )
    parser.add_argument(
        "--level",
        default="",
        help="of what is not computed at every level: clip, video_mean, … (the first)",
    )
    for one in statistics():
        for option in one.options:
            parser.add_argument(
                f"--{option.name}",
                nargs="+" if option.many else None,
                type=option.type,
                default=option.default,
                metavar=option.metavar,
                help=option.help,
            )
    parser.add_argument(
        "--statistic",
        nargs="+",
        default=[],
        metavar="MODULE",
        help="modules of your own that are statistics, too (package.module)",
    )
    parser.add_argument(
        "--optimistic",
        action="store_true",
        help="without validation rows, choose thresholds on the judged rows themselves",
    )
    parser.add_argument(
        "--replicates",
        type=int,
        default=bootstrap.REPLICATES,
        help=f"of the bootstrap ({bootstrap.REPLICATES})",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (0)")


def wanted(options: argparse.Namespace) -> Wanted:
    """What the options ask for."""
    return Wanted(
        split=options.split,
        level=options.level,
        optimistic=options.optimistic,
        replicates=options.replicates,
        seed=options.seed,
        options={
            option.name: getattr(options, option.name.replace("-", "_"))
            for one in statistics()
            for option in one.options
        },
        further=tuple(options.statistic),
    )


def run(options: argparse.Namespace) -> int:
    """Writes the numbers of all runs and prints each run's macro AUROC."""
    runs, asked = open_runs(options.runs), wanted(options)
    if options.seeds:
        seeds_of(runs)  # before anything is computed
    trees = {one.name: assess(one.predictions, asked) for one in runs}
    seeds = spread(runs, trees) if options.seeds else None
    folder = make_folder(options.out)
    write_markdown(folder / "metrics.md", blocks(runs, trees, seeds))
    tree = {"runs": trees} | ({} if seeds is None else {"seeds": seeds})
    text = json.dumps(tree, indent=1, allow_nan=False)
    write_whole(folder / "metrics.json", f"{text}\n".encode())
    write_whole(folder / "metrics.csv", to_csv(trees, seeds).encode())
    for name, tree in trees.items():
        level = tree["levels"][next(iter(tree["levels"]))]
        n, several = level["n"], plural(tree["units"][0])
        for key, _, words in (pair for one in of_tree(tree) for pair in one.headline):
            print(
                f"{name}: {tree['split']} {words} of {n['examples']} {several} of "
                f"{n['patients']} patients: {level_text(level, key, class_word(tree))}"
            )
    print(f"written to {folder}: metrics.json, metrics.csv, metrics.md, figures")
    return 0


def blocks(
    runs: Sequence[Run],
    trees: Mapping[str, Mapping[str, Any]],
    seeds: Mapping[str, Any] | None = None,
) -> list[Block]:
    """The document of all runs, and of their spread over seeds."""
    result: list[Block] = [
        Heading("Metrics", 1),
        Text("Research software: not for diagnosis."),
    ]
    if seeds is not None:
        units = trees[runs[0].name]["units"]
        result += seeds_blocks(seeds, (units[0], units[1]))
    for place, one in enumerate(runs):
        tree, tag = trees[one.name], str(place + 1)
        result += [Heading(one.name), *assessment(tree, tag)]
        result += pictures(tree, one.predictions, tag)
    return [*result, *methods(list(trees.values())[:1])]


def to_csv(
    trees: Mapping[str, Mapping[str, Any]], seeds: Mapping[str, Any] | None = None
) -> str:
    """One row a number; what is not defined is an empty cell."""
    table: list[list[Any]] = [list(COLUMNS)]
    for name, tree in trees.items():
        for row in _rows(tree):
            table.append(_cells({"run": name, "split": tree["split"]} | row))
    if seeds is not None:
        all_runs = {"run": " ".join(trees), "split": seeds["split"]}
        for level, found in seeds["levels"].items():
            for pattern, entry in found.items():
                for row in number_rows("seeds", level, pattern, entry):
                    table.append(_cells(all_runs | row))
    return people_csv(table)


def _cells(row: Mapping[str, Any]) -> list[Any]:
    """The cells of a row, one a column."""
    if unknown := set(row) - set(COLUMNS):
        names, allowed = ", ".join(sorted(unknown)), ", ".join(COLUMNS)
        raise AnalysisError(f"a row has {names}; allowed are {allowed}")
    return [row.get(column, "") for column in COLUMNS]


def _rows(tree: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for level, entry in tree["levels"].items():
        rows += level_rows("metrics", level, entry)
    for one in of_tree(tree):
        place = {"part": one.name, "group": tree["level"]}
        rows += [place | row for row in one.rows(one.view(tree))]
    return rows
