"""The report of a study: what is said about all models together, then each model."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ultrasound_jax.analysis.document import (
    Block,
    Heading,
    Table,
    Text,
    label,
)
from ultrasound_jax.analysis.report import flow, table_one
from ultrasound_jax.analysis.report.abbreviations import abbreviations
from ultrasound_jax.analysis.report.assessment import tagged
from ultrasound_jax.analysis.report.comparison_section import (
    appendix,
    compared,
)
from ultrasound_jax.analysis.report.cost_section import cost
from ultrasound_jax.analysis.report.methods import methods
from ultrasound_jax.analysis.report.model_section import model
from ultrasound_jax.analysis.report.readers_section import sections as readers_sections
from ultrasound_jax.analysis.report.seeds_section import seeds_blocks
from ultrasound_jax.analysis.stats._parts.statistic import of_tree
from ultrasound_jax.analysis.table.inputs import Run
from ultrasound_jax.analysis.table.mask_table import AnyTable

Trees = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Further:
    """What a report may hold besides the numbers of its runs.

    facts: lines about the study as a whole (command, commit, hardware).
    costs: lists of rows as `cost.json` has them, of networks rather than runs.
    readers: tree of the verb `readers`.
    seeds: tree of `judge.seeds.over_seeds`.
    """

    facts: Mapping[str, str] = field(default_factory=dict)
    costs: Sequence[Any] = ()
    readers: Mapping[str, Any] | None = None
    seeds: Mapping[str, Any] | None = None


def document(
    runs: Sequence[Run],
    trees: Trees,
    rows: Mapping[str, AnyTable],
    comparison: Mapping[str, Any] | None,
    not_compared: str,
    title: str,
    more: Further,
) -> list[Block]:
    """The whole report.

    Args:
        runs: in the order of the report.
        trees: name of a run -> its `assess` tree.
        rows: name of a run -> the rows that are judged, at the level of the trees.
        comparison: `compare` tree, None where there is none.
        not_compared: why there is none.
        title: of the report.
        more: what else belongs into the report.
    """
    first = next(iter(trees.values()))
    blocks: list[Block] = [
        Heading(title, 1),
        Text("Research software: not for diagnosis."),
        Text(
            f"{len(trees)} {'models' if len(trees) > 1 else 'model'}; split "
            f"{label(first['split'])}. Every number that tells how good a model is, or "
            "how it differs from another, is followed by its 95 % interval over "
            "patients, and its table says of how many patients it is. Without an "
            "interval are p values, counts, thresholds, scores and calibration errors, "
            "curves that are drawn, bounds, what is promised, stated or aimed at, what "
            "a network costs, and facts about a run."
        ),
    ]
    if more.facts:
        blocks.append(Table(["study", ""], [[k, v] for k, v in more.facts.items()]))
    blocks += _people(runs, trees)
    known = of_tree(first)
    for one in known:
        blocks += one.overview(trees, rows) if one.every_level else ()
    if more.seeds is not None:
        blocks += seeds_blocks(more.seeds, (first["units"][0], first["units"][1]))
    if comparison is not None:
        blocks += compared(comparison)
    elif not_compared:
        blocks += [
            Heading("Differences between models"),
            Text(f"Models were not compared: {not_compared}."),
        ]
    for one in known:
        blocks += () if one.every_level else one.overview(trees, rows)
    blocks += cost(runs, more.costs)
    if more.readers is not None:
        blocks += readers_sections(more.readers)
    for place, one in enumerate(runs):
        blocks += model(one, trees[one.name], place + 1)
    if comparison is not None:
        blocks += appendix(comparison)
    blocks += methods([first], comparison)
    return [*blocks, *abbreviations(blocks)]


def _people(runs: Sequence[Run], trees: Trees) -> list[Block]:
    """The flow and table 1, once for all runs of which they are the same."""
    told: dict[str, tuple[Any, list[str]]] = {}
    silent = []
    for one in runs:
        people = one.read_json(flow.NAME)
        if people is None:
            silent.append(one.name)
            continue
        _, names = told.setdefault(json.dumps(people), (people, []))
        names.append(one.name)
    found: list[Block] = []
    for place, (people, names) in enumerate(told.values()):
        sections = [
            *flow.sections(people, [trees[names[0]]]),
            *table_one.sections(people),
        ]
        if len(told) > 1 or silent:
            sections.insert(1, Text(f"Of {', '.join(names)}."))
        found += tagged(sections, str(place + 1)) if len(told) > 1 else sections
    return [*found, *(flow.unknown(silent) if silent else [])]
