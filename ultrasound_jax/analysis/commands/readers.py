"""Agreement of runs with human readers, and of the readers with each other.

  readers RUN [RUN…] --sheets reader1.csv reader2.csv expert.csv --out DIR

A sheet has example_id or clip_id and label_<pattern> columns, as predictions tables
and `python -m ultrasound_jax.dicom clips` write them. Each run decides at its own
validation thresholds; several runs (the folds of one network) also vote by majority. A
network whose table has no validation rows takes the thresholds of another:
--thresholds RUN.
The run's own labels take part as rater `reference`. Writes readers.json, readers.csv,
readers.md and figures/: percent agreement, Cohen's kappa and the 2 x 2 table of each
pair, Fleiss' kappa of all readers, with intervals over patients.

  readers RUN --ratings r1.csv r2.csv [--ratings-aided helped/r1.csv helped/r2.csv]

Ratings have rating_<pattern> columns, the higher the surer. Their AUROCs are compared
by the analysis of Obuchowski and Rockette: the average reader without and with help,
and each run with the average reader. ratings.csv has a row a comparison.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ultrasound_jax.analysis.document import (
    Heading,
    Text,
)
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.judge.ensemble import (
    CONSENSUS,
    consensus,
    majority,
)
from ultrasound_jax.analysis.judge.multireader_study import rated_study
from ultrasound_jax.analysis.judge.pairing import of_scores
from ultrasound_jax.analysis.judge.ratings import mean_of, ratings_of, read_ratings
from ultrasound_jax.analysis.judge.reader_study import study
from ultrasound_jax.analysis.judge.readers import CONSENSUS as CONSENSUS_KIND
from ultrasound_jax.analysis.judge.readers import (
    NETWORK,
    TRUTH,
    Rater,
    Sheet,
    common_examples,
    network,
    read_sheet,
    reader,
)
from ultrasound_jax.analysis.report.markdown import write_markdown
from ultrasound_jax.analysis.report.ratings_section import ratings_csv, told
from ultrasound_jax.analysis.report.readers_section import sections
from ultrasound_jax.analysis.stats._parts import bootstrap
from ultrasound_jax.analysis.stats._parts.agreement import (
    CELLS,
    MEASURES,
)
from ultrasound_jax.analysis.table.inputs import (
    Run,
    add_run_arguments,
    make_folder,
    open_runs,
)
from ultrasound_jax.analysis.table.judged import Judged, judge
from ultrasound_jax.analysis.table.predictions import Predictions
from ultrasound_jax.analysis.table.splits import default_split
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.runs.spreadsheet import people_csv


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    add_run_arguments(parser)
    parser.add_argument(
        "--sheets",
        nargs="+",
        default=[],
        metavar="CSV",
        help="readers' labels; NAME=PATH names the reader",
    )
    parser.add_argument(
        "--ratings",
        nargs="+",
        default=[],
        metavar="CSV",
        help="readers' ratings of how sure they are, without help",
    )
    parser.add_argument(
        "--ratings-aided",
        nargs="+",
        default=[],
        metavar="CSV",
        help="the same readers' ratings with help, by the same names",
    )
    parser.add_argument("--split", default="", help="split of the runs to judge")
    parser.add_argument(
        "--thresholds",
        nargs="+",
        default=[],
        metavar="RUN",
        help="runs whose validation rows choose the thresholds: one for all runs, or "
        "one each",
    )
    parser.add_argument(
        "--optimistic",
        action="store_true",
        help="without validation rows, choose thresholds on the judged rows themselves",
    )
    parser.add_argument(
        "--truth",
        default="reference",
        metavar="NAME",
        help="what the run's own labels are called (reference); empty leaves them out",
    )
    parser.add_argument(
        "--consensus",
        nargs="*",
        choices=CONSENSUS,
        default=["majority", "any"],
        help="how sheets are joined: majority (a tie is unknown), any (one reader is "
        "enough, as the original has it); default: both",
    )
    parser.add_argument(
        "--consensus-of",
        nargs="+",
        default=[],
        metavar="NAME",
        help="readers of the consensus (all sheets)",
    )
    parser.add_argument(
        "--partial",
        action="store_true",
        help="compare the examples that all tables have; others are counted",
    )
    parser.add_argument("--replicates", type=int, default=bootstrap.REPLICATES)
    parser.add_argument("--seed", type=int, default=0)


def run(options: argparse.Namespace) -> int:
    """Writes the agreement of all pairs and prints the networks' kappas."""
    if not (options.sheets or options.ratings):
        raise AnalysisError("no readers: give --sheets with labels, or --ratings")
    if options.ratings_aided and not options.ratings:
        raise AnalysisError("--ratings-aided needs the same readers' --ratings")
    runs = open_runs(options.runs)
    rows, raters, facts = gather(runs, options)
    tree = facts | study(rows, raters, replicates=options.replicates, seed=options.seed)
    folder = make_folder(options.out)
    top = [Heading("Readers", 1), Text("Research software: not for diagnosis.")]
    write_markdown(folder / "readers.md", [*top, *sections(tree)])
    text = json.dumps(tree, indent=1, allow_nan=False)
    write_whole(folder / "readers.json", f"{text}\n".encode())
    write_whole(folder / "readers.csv", to_csv(tree).encode())
    for pair in tree["pairs"]:
        if pair["first_kind"] != NETWORK:
            continue
        kappas = [
            f"{name} {'not defined' if e['kappa'] is None else f'''{e['kappa']:.3f}'''}"
            for name, e in pair["patterns"].items()
        ]
        print(f"kappa of {pair['first']} and {pair['second']}: {', '.join(kappas)}")
    if "ratings" in tree:
        write_whole(folder / "ratings.csv", ratings_csv(tree["ratings"]).encode())
        for line in told(tree["ratings"]):
            print(line)
    if tree["left_out"]:
        print(f"{tree['left_out']} examples are not in all tables and were left out")
    print(f"written to {folder}: readers.json, readers.csv, readers.md, figures")
    return 0


def gather(
    runs: Sequence[Run], options: argparse.Namespace
) -> tuple[Any, list[Rater], dict[str, Any]]:
    """The judged rows, everybody's labels of them, and what was decided.

    Raises:
        AnalysisError: other classes or examples in two runs, thresholds of a wrong
            number of runs, two raters of one name, or an unknown reader.
    """
    judged = [_judge(one, i, len(runs), options) for i, one in enumerate(runs)]
    table = judged[0].rows
    sheets = [read_sheet(path, table.classes) for path in options.sheets]
    rated, aided = (
        [read_ratings(path, table.classes) for path in paths]
        for paths in (options.ratings, options.ratings_aided)
    )
    every = [*sheets, *rated, *aided]
    for one, other in zip(runs[1:], judged[1:], strict=True):
        if other.rows.classes != table.classes:
            raise AnalysisError(
                f"run '{one.name}' has classes {', '.join(other.rows.classes)}, run "
                f"'{runs[0].name}' has {', '.join(table.classes)}"
            )
        if set(other.rows.example_id) != set(table.example_id) and not options.partial:
            raise AnalysisError(
                f"runs '{runs[0].name}' and '{one.name}' judge other examples; "
                "--partial compares the common ones"
            )
    shared = set(table.example_id).intersection(*(j.rows.example_id for j in judged))
    ids = [e for e in table.example_id if e in shared]
    examples = common_examples(ids, every, partial=options.partial)
    place = {example: i for i, example in enumerate(table.example_id)}
    rows = table.rows(np.array([place[e] for e in examples]))
    networks = [
        network(one.name, j, examples) for one, j in zip(runs, judged, strict=True)
    ]
    readers = [reader(sheet, examples) for sheet in sheets]
    raters = [*networks, *_ensemble(networks), *readers]
    if options.truth:
        raters.append(Rater(options.truth, TRUTH, rows.labels))
    raters += _consensus(readers, options)
    names = [rater.name for rater in raters]
    for name in names:
        if names.count(name) > 1:
            raise AnalysisError(f"two raters are named '{name}'; NAME=PATH renames one")
    return (
        rows,
        raters,
        {
            "split": judged[0].split,
            "thresholds_from": {
                one.name: j.source for one, j in zip(runs, judged, strict=True)
            },
            "optimistic": any(j.optimistic for j in judged),
            "left_out": _left_out(table.example_id, judged, every, examples),
            **_rated(rows, rated, aided, runs, judged),
        },
    )


def _rated(
    rows: Predictions,
    rated: Sequence[Sheet],
    aided: Sequence[Sheet],
    runs: Sequence[Run],
    judged: Sequence[Judged],
) -> dict[str, Any]:
    """The study of ratings, where there are any."""
    if not rated:
        return {}
    ratings = ratings_of(rated, aided, rows.example_id)
    scores = {}
    for one, found in zip(runs, judged, strict=True):
        place = {example: i for i, example in enumerate(found.rows.example_id)}
        scores[one.name] = found.rows.scores[[place[e] for e in rows.example_id]]
    return {"ratings": rated_study(rows, ratings, mean_of(scores))}


def _left_out(
    first: Sequence[str],
    judged: Sequence[Judged],
    sheets: Sequence[Any],
    examples: Sequence[str],
) -> int:
    everything = set(first).union(*(j.rows.example_id for j in judged))
    everything = everything.union(*(sheet.labels for sheet in sheets))
    return len(everything) - len(examples)


def _judge(one: Run, place: int, count: int, options: argparse.Namespace) -> Judged:
    """Takes the run's rows with references of its own, or those of --thresholds."""
    table = of_scores(one.predictions, one.name)
    split = options.split or default_split(table)
    found = judge(table, split=split, optimistic=options.optimistic)
    if not options.thresholds:
        return found
    if len(options.thresholds) not in (1, count):
        raise AnalysisError(
            f"{len(options.thresholds)} runs of --thresholds for {count} runs; allowed "
            "are one, or one each"
        )
    source = options.thresholds[place if len(options.thresholds) > 1 else 0]
    other = open_runs([source])[0]
    if other.predictions.classes != one.predictions.classes:
        raise AnalysisError(f"'{source}' has other classes than run '{one.name}'")
    rows = other.predictions.of_split("validation")
    judged_patients = set(found.rows.patient_id)
    shared = sorted(judged_patients & set(rows.patient_id))
    if shared:
        raise AnalysisError(
            f"{len(shared)} judged patients would help to choose their own thresholds "
            f"from '{source}'"
        )
    folds = {int(fold): rows for fold in set(found.rows.fold.tolist())}
    return replace(
        found,
        references=folds,
        source=f"validation of {other.name}",
        optimistic=False,
    )


def _ensemble(networks: Sequence[Rater]) -> list[Rater]:
    if len(networks) < 2:
        return []
    labels = majority(np.stack([one.labels for one in networks]))
    members = frozenset(one.name for one in networks)
    return [Rater(f"majority of {len(networks)} networks", NETWORK, labels, members)]


def _consensus(readers: Sequence[Rater], options: argparse.Namespace) -> list[Rater]:
    by_name = {one.name: one for one in readers}
    chosen = options.consensus_of or list(by_name)
    unknown = [name for name in chosen if name not in by_name]
    if unknown:
        raise AnalysisError(f"no sheet '{unknown[0]}'; there are: {', '.join(by_name)}")
    if len(chosen) < 2:
        return []
    labels = [by_name[name].labels for name in chosen]
    return [
        Rater(f"{how} of {len(chosen)} readers", CONSENSUS_KIND, joined, members)
        for how in options.consensus
        for joined in [consensus(labels, how)]
        for members in [frozenset(chosen)]
    ]


def to_csv(tree: Mapping[str, Any]) -> str:
    """One row a pair and pattern; what is not defined is an empty cell."""
    ends = [f"{name}{end}" for name in MEASURES for end in ("", "_low", "_high")]
    counts = ("examples", "patients", "unknown", *CELLS)
    table: list[list[Any]] = [["first", "second", "pattern", *counts, *ends]]
    for pair in tree["pairs"]:
        for name, entry in pair["patterns"].items():
            cells: list[Any] = [entry[count] for count in counts]
            for measure in MEASURES:
                cells += [entry[measure], *(entry[f"{measure}_ci"] or (None, None))]
            table.append(
                [pair["first"], pair["second"], name]
                + ["" if cell is None else cell for cell in cells]
            )
    return people_csv(table)
