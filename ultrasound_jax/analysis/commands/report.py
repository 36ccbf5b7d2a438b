"""All numbers of one or more runs as one HTML file and as Markdown.

  report RUN [RUN…] --out DIR [--reference RUN] [--by zone]

Writes report.html (figures inside, nothing from the network), report.md with figures/,
study.json with every number, and checklist.md: what CLAIM, TRIPOD+AI and STARD ask for,
and where it stands. The runs are those of one study: the same examples,
judged by different models. `cost.json` and the pictures in `attention/` of a run's
folder are taken into the report where they are there (`attention RUN --video … --out
RUN/attention` makes them); --cost and --readers take what these verbs wrote elsewhere.
"""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ultrasound_jax.analysis.commands.compare import add_margin
from ultrasound_jax.analysis.commands.metrics import (
    add_seeds,
    add_wanted,
    spread,
    wanted,
)
from ultrasound_jax.analysis.document import Block
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.judge.assess import (
    Wanted,
    assess,
)
from ultrasound_jax.analysis.judge.compare_models import compare_models
from ultrasound_jax.analysis.judge.non_inferiority import check_margin, with_margin
from ultrasound_jax.analysis.judge.seeds import seeds_of
from ultrasound_jax.analysis.report.checklist import FILES, write_checklist
from ultrasound_jax.analysis.report.html import write_html
from ultrasound_jax.analysis.report.markdown import write_markdown
from ultrasound_jax.analysis.report.readers_section import sections
from ultrasound_jax.analysis.report.study_section import (
    Further,
    document,
)
from ultrasound_jax.analysis.table.inputs import (
    Run,
    add_run_arguments,
    make_folder,
    open_runs,
)
from ultrasound_jax.analysis.table.judged import judge
from ultrasound_jax.analysis.table.mask_table import AnyTable
from ultrasound_jax.runs.files import (
    read_json,
    write_whole,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    add_run_arguments(parser)
    parser.add_argument(
        "--reference",
        default="",
        metavar="RUN",
        help="the run that the others are compared with (the first)",
    )
    parser.add_argument(
        "--title", default="", help="of the report (the dataset and the runs)"
    )
    parser.add_argument(
        "--cost", nargs="+", default=[], metavar="JSON", help="what `cost` wrote"
    )
    parser.add_argument("--readers", metavar="JSON", help="what `readers` wrote")
    add_margin(parser)
    add_seeds(parser)
    add_wanted(parser)


def run(options: argparse.Namespace) -> int:
    """Writes the report and prints where it is."""
    check_margin(options.margin)
    runs = open_runs(options.runs)
    typed = dict(zip(options.runs, (one.name for one in runs), strict=True))
    tree = write_study(
        runs,
        options.out,
        asked=wanted(options),
        reference=typed.get(options.reference) or options.reference,
        title=options.title,
        margin=options.margin,
        seeds=options.seeds,
        more=Further(
            costs=[read_json(path) for path in options.cost],
            readers=_readers(options.readers) if options.readers else None,
        ),
    )
    if tree["not_compared"]:
        print(f"models were not compared: {tree['not_compared']}")
    print(
        f"written to {options.out}: report.html, report.md, figures, "
        "checklist.md, study.json"
    )
    return 0


def _readers(path: str) -> Any:
    tree = read_json(path)
    needed = {"n", "split", "raters", "pairs", "thresholds_from"}
    lacking = needed - set(tree if isinstance(tree, dict) else ())
    if lacking:
        raise AnalysisError(
            f"{path}: not what the verb `readers` writes: it lacks "
            f"{', '.join(sorted(lacking))}"
        )
    try:
        sections(tree)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise AnalysisError(
            f"{path}: not what the verb `readers` writes ({type(error).__name__}: "
            f"{error}); make it anew"
        ) from error
    return tree


def write_study(
    runs: Sequence[Run],
    folder: str | os.PathLike[str],
    *,
    asked: Wanted,
    reference: str = "",
    title: str = "",
    margin: float | None = None,
    seeds: bool = False,
    more: Further | None = None,
) -> dict[str, Any]:
    """Writes report.html, report.md, figures/ and study.json; returns the last.

        {"models": {name: `assess` tree}, "comparison": `compare` tree or null,
         "not_compared": why, or empty, "seeds": `over_seeds` tree or null}

    Args:
        runs: of one study, with names that differ.
        folder: made if it is not there.
        asked: which numbers.
        reference: name of the run that others are compared with; empty for the first.
        title: of the report; empty for the dataset's and the runs' names.
        margin: of non-inferiority, see `judge.non_inferiority`; None asks nothing.
        seeds: the runs differ in their seed only, and its spread is reported.
        more: what else belongs into the report.

    Raises:
        AnalysisError: no runs, no such reference, runs with other classes or another
            split, or whatever `assess` refuses. What `compare` refuses is written into
            the report, with the reason.
    """
    if not runs:
        raise AnalysisError("a report needs one run or more")
    names = [one.name for one in runs]
    reference = reference or names[0]
    if reference not in names:
        raise AnalysisError(
            f"reference '{reference}' is none of the runs: {', '.join(names)}"
        )
    if seeds:
        seeds_of(runs)  # before anything is computed
    trees = {one.name: assess(one.predictions, asked) for one in runs}
    _check_study(runs, trees)
    split, level = next((t["split"], t["level"]) for t in trees.values())
    comparison, reason = None, ""
    if len(runs) > 1:
        tables = {one.name: one.predictions for one in runs}
        comparison, reason = _compare(tables, reference, asked, split, level)
        if comparison is not None and margin is not None:
            comparison = with_margin(comparison, margin)
    rows = {
        one.name: judge(one.predictions, split=split, level=level).rows for one in runs
    }
    title = title or _title(runs)
    more = replace(more or Further(), seeds=spread(runs, trees) if seeds else None)
    blocks = document(runs, trees, rows, comparison, reason, title, more)
    tree = {"models": trees, "comparison": comparison, "not_compared": reason}
    tree["seeds"] = more.seeds
    _write(make_folder(folder), blocks, tree)
    first = runs[0].folder
    files = [name for name in FILES if first and (first / name).is_file()]
    write_checklist(Path(folder) / "report.html", blocks, files=files)
    return tree


def _title(runs: Sequence[Run]) -> str:
    """Names the runs, and the dataset where all of them say that it is the same."""
    found = [one.read_json("metrics.json") for one in runs]
    facts = [tree.get("run") if isinstance(tree, dict) else None for tree in found]
    datasets = {
        str(fact.get("dataset", "")) if isinstance(fact, dict) else "" for fact in facts
    }
    what = " and ".join(one.name for one in runs)
    if len(runs) > 2:
        what = f"{len(runs)} models compared"
    name = datasets.pop() if len(datasets) == 1 else ""
    return f"{name}: {what}" if name else what[:1].upper() + what[1:]


def _check_study(runs: Sequence[Run], trees: Mapping[str, Mapping[str, Any]]) -> None:
    first = runs[0]
    for one in runs[1:]:
        if one.predictions.classes != first.predictions.classes:
            raise AnalysisError(
                f"run '{one.name}' has classes {', '.join(one.predictions.classes)}, "
                f"run '{first.name}' has {', '.join(first.predictions.classes)}"
            )
        splits = trees[one.name]["split"], trees[first.name]["split"]
        if splits[0] != splits[1]:
            raise AnalysisError(
                f"run '{one.name}' is judged on split {splits[0]}, run '{first.name}' "
                f"on {splits[1]}; choose one with --split"
            )


def _compare(
    tables: Mapping[str, AnyTable],
    reference: str,
    asked: Wanted,
    split: str,
    level: str,
) -> tuple[dict[str, Any] | None, str]:
    try:
        found = compare_models(
            tables,
            reference,
            level=level,
            split=split,
            replicates=asked.replicates,
            seed=asked.seed,
        )
    except AnalysisError as error:
        return None, str(error)
    return found, ""


def _write(folder: Path, blocks: Sequence[Block], tree: Mapping[str, Any]) -> None:
    write_html(folder / "report.html", blocks)
    write_markdown(folder / "report.md", blocks)
    text = json.dumps(tree, indent=1, allow_nan=False)
    write_whole(folder / "study.json", f"{text}\n".encode())
