"""What one judged tree says: the blocks of every statistic that it has."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ultrasound_jax.analysis.document import Block, Heading, Picture, label
from ultrasound_jax.analysis.stats._parts.statistic import of_tree
from ultrasound_jax.analysis.table.levels import at_level
from ultrasound_jax.analysis.table.mask_table import AnyTable
from ultrasound_jax.analysis.table.splits import rows_of


def assessment(tree: Mapping[str, Any], tag: str) -> list[Block]:
    """All of an `assess` tree's blocks; figures are called after `tag`, too.

    Each statistic that says anything begins with a heading, which names it.
    """
    found: list[Block] = []
    for one in of_tree(tree):
        own = list(one.blocks(one.view(tree)))
        if not own:
            continue
        title = Heading(label(one.name).capitalize(), 3)
        if isinstance(own[0], Heading):
            title = own.pop(0)
        found += [replace(title, of=one.name), *own]
    return tagged(found, tag)


def pictures(tree: Mapping[str, Any], table: AnyTable, tag: str) -> list[Block]:
    """The figures that need the rows of the whole table that was judged."""
    rows = rows_of(table, tree["split"])
    tables = {level: at_level(rows, level) for level in tree["levels"]}
    found = [one.pictures(tree, tables) for one in of_tree(tree)]
    return tagged([picture for some in found for picture in some], tag)


def tagged(blocks: Sequence[Block], tag: str) -> list[Block]:
    """The blocks with `_<tag>` behind the names of pictures."""
    return [
        replace(block, name=f"{block.name}_{tag}")
        if isinstance(block, Picture)
        else block
        for block in blocks
    ]
