"""Compares runs with one of them, on the same examples: which differences survive?

Writes compare.json, compare.csv and compare.md with its figure (the differences with
their intervals) into DIR. Differences of AUROC come with the p of DeLong's test, as the
paper has it, and with tests that know that examples come in patients; Holm's correction
is over classes and models. Of masks, mean Dice is compared. Runs must have predictions
of the same examples. `--margin` also says of each whether it is non-inferior.
"""

import argparse

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.judge.compare_models import compare_models
from ultrasound_jax.analysis.judge.comparison import MACRO
from ultrasound_jax.analysis.judge.non_inferiority import check_margin, with_margin
from ultrasound_jax.analysis.report.comparison_files import write_comparison
from ultrasound_jax.analysis.report.comparison_words import (
    p_text,
    verdict,
)
from ultrasound_jax.analysis.stats._parts import bootstrap
from ultrasound_jax.analysis.table.inputs import (
    add_run_arguments,
    make_folder,
    open_runs,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the verb takes."""
    add_run_arguments(parser)
    parser.add_argument("--reference", help="a run, by name; default: the first")
    parser.add_argument(
        "--level", default="", help="clip, video_mean, …; default: the examples'"
    )
    parser.add_argument(
        "--split", help="default: out_of_fold where runs have it, else test"
    )
    add_margin(parser)
    parser.add_argument("--replicates", type=int, default=bootstrap.REPLICATES)
    parser.add_argument("--seed", type=int, default=0)


def add_margin(parser: argparse.ArgumentParser) -> None:
    """Adds the margin of non-inferiority, for verbs that compare."""
    parser.add_argument(
        "--margin",
        type=float,
        metavar="M",
        help="the loss that would still be accepted, stated before the data were seen: "
        "a model is non-inferior if its difference is surely above -M (no default)",
    )


def run(options: argparse.Namespace) -> int:
    """Compares, writes, and prints what survives."""
    check_margin(options.margin)
    runs = open_runs(options.runs)
    if len(runs) < 2:
        raise AnalysisError("a comparison needs at least two runs")
    typed = {path: one.name for path, one in zip(options.runs, runs, strict=True)}
    comparison = compare_models(
        {one.name: one.predictions for one in runs},
        typed.get(options.reference, options.reference) or runs[0].name,
        level=options.level,
        split=options.split,
        replicates=options.replicates,
        seed=options.seed,
    )
    if options.margin is not None:
        comparison = with_margin(comparison, options.margin)
    folder = make_folder(options.out)
    facts = {"runs": ", ".join(comparison["models"])}
    write_comparison(folder, comparison, facts=facts)
    for row in comparison["differences"]:
        alone = len({r["class"] for r in comparison["differences"]}) == 1
        if row["class"] == MACRO or alone or row["survives"] in (True, None):
            gap = row["difference"]
            shown = "not defined" if gap is None else f"{gap:+.3f}"
            print(
                f"{row['model']} - {comparison['reference']}, {row['class']}: {shown}, "
                f"p {p_text(row['holm_p'])} (clustered, Holm); survives: "
                f"{verdict(row)}"
            )
        if "margin" in comparison and (row["class"] == MACRO or alone):
            shown = row["non_inferiority"]["verdict"] or "not tested"
            print(f"{row['model']}, {row['class']}, margin {options.margin:g}: {shown}")
    for note in comparison["notes"]:
        print(f"note: {note}")
    print(folder / "compare.md")
    return 0
