"""The report of a run: tables, how they were made, and figures."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ultrasound_jax.analysis.document import Block, Heading, Table, Text, label
from ultrasound_jax.analysis.judge.run import assessed
from ultrasound_jax.analysis.report import flow, table_one
from ultrasound_jax.analysis.report.abbreviations import abbreviations
from ultrasound_jax.analysis.report.assessment import assessment, pictures
from ultrasound_jax.analysis.report.checklist import FILES, write_checklist
from ultrasound_jax.analysis.report.markdown import write_markdown
from ultrasound_jax.analysis.report.methods import methods
from ultrasound_jax.analysis.table.mask_table import AnyTable


def write_report(
    folder: str | os.PathLike[str],
    table: AnyTable,
    tree: Mapping[str, Any],
    *,
    title: str,
    facts: Mapping[str, str],
    population: Mapping[str, Any] | None = None,
    more: Sequence[Block] = (),
) -> Path:
    """Writes `report.md`, its figures and `checklist.md`; returns the report's path.

    Args:
        folder: an existing folder.
        table: of any kind.
        tree: that of `judge_table` of it.
        title: of the report.
        facts: a line each at the top (data, model, date, …).
        population: who is in the data, as `population.json` has it.
        more: blocks behind those of all splits, such as pictures of examples.

    Raises:
        InputError: a folder that cannot be written into.
    """
    path = Path(folder) / "report.md"
    found = blocks(
        table, tree, title=title, facts=facts, population=population, more=more
    )
    write_markdown(path, found, figures="")
    files = [name for name in FILES if (path.parent / name).is_file()]
    write_checklist(path, found, files=files)
    return path


def blocks(
    table: AnyTable,
    tree: Mapping[str, Any],
    *,
    title: str,
    facts: Mapping[str, str],
    population: Mapping[str, Any] | None = None,
    more: Sequence[Block] = (),
) -> list[Block]:
    """The report as a document; see `write_report`."""
    found: list[Block] = [
        Heading(title, 1),
        Text("Research software: not for diagnosis."),
    ]
    if facts:
        found.append(Table(["run", ""], [[name, text] for name, text in facts.items()]))
    splits = list(assessed(tree))
    if population is not None:
        found += flow.sections(population, splits)
        found += table_one.sections(population)
    for one in splits:
        split = one["split"]
        found.append(Heading(label(split).capitalize()))
        found += [*assessment(one, split), *pictures(one, table, split)]
    found += [*more, *methods(splits)]
    return [*found, *abbreviations(found)]
