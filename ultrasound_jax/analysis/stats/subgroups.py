"""The same numbers within parts of the patients or views: zone, probe, site, sex, …"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ultrasound_jax.analysis.document import Block, Heading, Table, label, value_text
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.stats._parts.level import level_tree
from ultrasound_jax.analysis.stats._parts.statistic import (
    CsvRow,
    Option,
    Tree,
    statistics,
)
from ultrasound_jax.analysis.stats._parts.wording import (
    class_word,
    level_rows,
    level_text,
    patients_text,
    units_text,
)
from ultrasound_jax.analysis.table.judged import Judged
from ultrasound_jax.analysis.table.mask_table import MASKS, AnyTable
from ultrasound_jax.analysis.table.predictions import MULTICLASS, MULTILABEL

NAME = "subgroups"
ORDER = 40
KINDS = (MULTILABEL, MULTICLASS, MASKS)
OPTIONS = (
    Option(
        name="by",
        type=str,
        default=(),
        many=True,
        metavar="COLUMN",
        help="columns of the table that tell subgroups apart, such as zone or probe",
    ),
)
SOURCES = ()
MOST_GROUPS = 30
UNKNOWN_GROUP = "not known"


def column_of(table: AnyTable, column: str) -> tuple[str, ...]:
    """A further column of the table, or `fold`.

    Raises:
        AnalysisError: no such column, or one with more than MOST_GROUPS values.
    """
    if column == "fold":
        cells = tuple(str(fold) for fold in table.fold.tolist())
    elif column in table.extra:
        cells = tuple(cell or UNKNOWN_GROUP for cell in table.extra[column])
    else:
        raise AnalysisError(
            f"no column '{column}' to tell groups apart by; there are: "
            f"{', '.join(['fold', *table.extra])}"
        )
    if len(set(cells)) > MOST_GROUPS:
        raise AnalysisError(
            f"column '{column}' has {len(set(cells))} values; at most {MOST_GROUPS} "
            "groups are compared"
        )
    return cells


def compute(
    judged: Judged, options: Mapping[str, Any], drawing: Mapping[str, int]
) -> dict[str, Any]:
    """`by_group` of the columns that are asked for."""
    return by_group(judged, options["by"], drawing)


def by_group(
    judged: Judged, columns: Sequence[str], drawing: Mapping[str, int]
) -> dict[str, Any]:
    """`{column: {value: LEVEL}}` with LEVEL as the whole table has it.

    Decisions are those of the whole table: a threshold is one, whoever is judged. The
    groups were not randomised and are small; their intervals, taken over the group's
    own patients, tell how little is known.

    Raises:
        AnalysisError: see `column_of`.
    """
    known = statistics(judged.kind, classes=judged.rows.classes)
    tree: dict[str, Any] = {}
    for column in columns:
        cells = np.array(column_of(judged.rows, column), dtype=str)
        tree[column] = {}
        for value in sorted(set(cells.tolist()), key=lambda v: (v == UNKNOWN_GROUP, v)):
            here = replace(judged, rows=judged.rows.rows(cells == value))
            tree[column][value] = level_tree(here, known, {}, drawing)
    return tree


def rows(tree: Tree) -> list[CsvRow]:
    """The numbers of each group, as the levels have them."""
    return [
        row
        for column, groups in tree[NAME].items()
        for value, level in groups.items()
        for row in level_rows(f"subgroup: {column}", value, level)
    ]


def blocks(tree: Tree) -> list[Block]:
    """A table a column: the headline of every group, and that of each class."""
    if not tree[NAME]:
        return []
    tables = [_table(tree, column, groups) for column, groups in tree[NAME].items()]
    return [Heading(f"Subgroups ({units_text(tree)})", 3), *tables]


def _table(tree: Tree, column: str, groups: Mapping[str, Tree]) -> Table:
    word = class_word(tree)
    classes = next(iter(groups.values()))["classes"]
    known = statistics(tree["kind"], classes=classes)
    every = [one for one in known if one.every_level]
    told = [entry for one in every for entry in one.headline]
    body = []
    for value, level in groups.items():
        of = [str(level["n"]["examples"]), patients_text(level["n"])]
        cells = [level_text(level, key, word) for key, _, _ in told]
        for entry in level["classes"].values():
            texts = [value_text(entry, key) for _, key, _ in told if key]
            if "positives" in entry:
                total = entry["positives"] + entry["negatives"]
                texts.append(f"{entry['positives']} of {total} positive")
            cells.append("; ".join(texts))
        body.append([value, *of, *cells])
    return Table(
        [column, "examples", "patients", *(words for _, _, words in told)]
        + [label(name) for name in classes],
        body,
        caption=f"By {label(column)}. Groups were not randomised: a difference between "
        "them has many possible causes.",
    )
