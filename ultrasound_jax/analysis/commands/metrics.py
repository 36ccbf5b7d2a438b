"""Every metric of runs with its interval over patients.

  metrics RUN [RUN…] --out DIR [--by zone] [--sensitivity 0.9 0.95]

Judges the test split, or the pooled out-of-fold rows, of each run: AUROC, average
precision, F1, sensitivity and specificity for clips and videos; calibration (Brier
score, expected calibration error, reliability diagram); operating points at fixed
sensitivities, chosen on validation rows; conformal prediction sets; and the same
numbers for the groups of each column given by --by. Writes metrics.json, metrics.csv
(one row a number), metrics.md and figures/.
"""

import argparse
import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ultrasound_jax.analysis.judge.assess import (
    Wanted,
    assess,
)
from ultrasound_jax.analysis.report import plots
from ultrasound_jax.analysis.report.document import (
    Block,
    Heading,
    Picture,
    Text,
)
from ultrasound_jax.analysis.report.markdown import write_markdown
from ultrasound_jax.analysis.report.methods import methods
from ultrasound_jax.analysis.report.tables import (
    assessment,
    macro_text,
)
from ultrasound_jax.analysis.stats import conformal, operating
from ultrasound_jax.analysis.stats._parts import bootstrap
from ultrasound_jax.analysis.stats.calibration import BINS
from ultrasound_jax.analysis.table.inputs import (
    Run,
    add_run_arguments,
    make_folder,
    open_runs,
)
from ultrasound_jax.analysis.table.judged import judge
from ultrasound_jax.analysis.table.levels import LEVELS
from ultrasound_jax.runs.files import write_whole

COLUMNS = ("run", "split", "part", "group", "pattern", "metric", "value", "low", "high")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    add_run_arguments(parser)
    add_wanted(parser)


def add_wanted(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `Wanted`, for every verb that judges runs."""
    parser.add_argument(
        "--split",
        default="",
        help="split to judge (default: out_of_fold where there is one, else test)",
    )
    parser.add_argument(
        "--level",
        choices=LEVELS,
        default="clip",
        help="of calibration, operating points, subgroups and prediction sets (clip)",
    )
    parser.add_argument(
        "--by",
        nargs="+",
        default=[],
        metavar="COLUMN",
        help="columns of the table that tell subgroups apart, such as zone or probe",
    )
    parser.add_argument(
        "--sensitivity",
        nargs="+",
        type=float,
        default=list(operating.SENSITIVITIES),
        metavar="S",
        help="sensitivities that thresholds aim at (0.9 0.95)",
    )
    parser.add_argument(
        "--alpha",
        type=float,
        default=conformal.ALPHA,
        help="share of examples that prediction sets may miss (0.1)",
    )
    parser.add_argument(
        "--bins", type=int, default=BINS, help=f"of the calibration ({BINS})"
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
    """Returns what the options ask for."""
    return Wanted(
        split=options.split,
        level=options.level,
        by=tuple(options.by),
        sensitivities=tuple(options.sensitivity),
        alpha=options.alpha,
        bins=options.bins,
        optimistic=options.optimistic,
        replicates=options.replicates,
        seed=options.seed,
    )


def run(options: argparse.Namespace) -> int:
    """Writes the numbers of all runs and prints each run's macro AUROC."""
    runs, asked = open_runs(options.runs), wanted(options)
    trees = {one.name: assess(one.predictions, asked) for one in runs}
    folder = make_folder(options.out)
    write_markdown(folder / "metrics.md", blocks(runs, trees))
    text = json.dumps({"runs": trees}, indent=1, allow_nan=False)
    write_whole(folder / "metrics.json", f"{text}\n".encode())
    write_whole(folder / "metrics.csv", to_csv(trees).encode())
    for name, tree in trees.items():
        macro = macro_text(tree["levels"]["clip"], "auroc")
        n = tree["levels"]["clip"]["n"]
        print(
            f"{name}: {tree['split']} macro AUROC of {n['examples']} clips of "
            f"{n['patients']} patients: {macro}"
        )
    print(f"written to {folder}: metrics.json, metrics.csv, metrics.md, figures")
    return 0


def blocks(runs: Sequence[Run], trees: Mapping[str, Mapping[str, Any]]) -> list[Block]:
    """Returns the document of all runs."""
    result: list[Block] = [
        Heading("Metrics", 1),
        Text("Research software: not for diagnosis."),
    ]
    for place, one in enumerate(runs):
        tree = trees[one.name]
        rows = judge(one.predictions, split=tree["split"], level=tree["level"]).rows
        result += [Heading(one.name), *assessment(tree)]
        result += [
            Picture(
                f"roc_{place + 1}",
                plots.roc_overlay({one.name: rows}),
                alt=f"ROC of {one.name}",
                caption=f"ROC of {one.name}, {tree['level']} level.",
            ),
            Picture(
                f"reliability_{place + 1}",
                plots.reliability(tree),
                alt=f"Reliability diagram of {one.name}",
                caption="Observed rate against score, in bins of equal mass, with "
                "95 % intervals over patients.",
            ),
        ]
    return [*result, *methods(next(iter(trees.values())))]


def to_csv(trees: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns one row a number; what is not defined is an empty cell."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(COLUMNS)
    for name, tree in trees.items():
        for row in _rows(tree):
            table.writerow([name, tree["split"], *row])
    return out.getvalue()


def _rows(tree: Mapping[str, Any]) -> Iterator[list[Any]]:
    for level, entry in tree["levels"].items():
        yield from _level_rows("metrics", level, entry)
    for pattern, entry in tree["calibration"]["classes"].items():
        yield from _numbers(["calibration", tree["level"], pattern], entry)
    yield from _numbers(["calibration", tree["level"], "macro"], tree["calibration"])
    for point, classes in tree["operating"]["points"].items():
        for pattern, entry in classes.items():
            yield from _numbers([f"operating: {point}", tree["level"], pattern], entry)
    for column, groups in tree["subgroups"].items():
        for value, entry in groups.items():
            yield from _level_rows(f"subgroup: {column}", value, entry)
    for pattern, kinds in tree["conformal"]["classes"].items():
        for kind, ways in kinds.items():
            for way, entry in ways.items():
                part = f"conformal: {kind}, {way}"
                yield from _numbers([part, tree["level"], pattern], entry)


def _level_rows(part: str, group: str, level: Mapping[str, Any]) -> Iterator[list[Any]]:
    for what, count in level["n"].items():
        yield [part, group, "", what, count, "", ""]
    yield from _numbers([part, group, "macro"], level)
    for pattern, entry in level["classes"].items():
        yield from _numbers([part, group, pattern], entry)


def _numbers(place: list[str], entry: Mapping[str, Any]) -> Iterator[list[Any]]:
    """Yields each number of an entry, with its interval where it has one."""
    for name, value in entry.items():
        if name.endswith("_ci") or isinstance(value, dict | list | bool | str):
            continue
        ends = entry.get(f"{name}_ci") or ("", "")
        yield [*place, name, "" if value is None else value, *ends]
