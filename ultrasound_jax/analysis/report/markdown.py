"""Blocks as Markdown, their pictures as files beside it."""

import os
from collections.abc import Sequence
from pathlib import Path

from ultrasound_jax.analysis.document import (
    Block,
    Heading,
    Listing,
    Picture,
    Table,
    Text,
)
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.runs.files import write_whole

FIGURES = "figures"


def write_markdown(
    path: str | os.PathLike[str], blocks: Sequence[Block], *, figures: str = FIGURES
) -> None:
    """Writes the text and, in the folder `figures` beside it, one PNG a picture.

    `figures` may be empty: pictures then lie beside the text.

    Raises:
        AnalysisError: two pictures of one name, or a folder that cannot be written.
    """
    path = Path(path)
    pictures = [block for block in blocks if isinstance(block, Picture)]
    names = [picture.name for picture in pictures]
    for name in names:
        if names.count(name) > 1:
            raise AnalysisError(f"two pictures are called '{name}'")
    folder = path.parent / figures
    if pictures and figures:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AnalysisError(f"{path.parent}: cannot be written: {error}") from error
    for picture in pictures:
        write_whole(folder / f"{picture.name}.png", picture.image)
    write_whole(path, to_markdown(blocks, figures).encode())


def to_markdown(blocks: Sequence[Block], figures: str = FIGURES) -> str:
    """The text; pictures are links into the folder `figures`."""
    within = f"{figures}/" if figures else ""
    parts = [part for block in blocks for part in _parts(block, within)]
    return "\n\n".join(parts) + "\n"


def _parts(block: Block, within: str) -> list[str]:
    match block:
        case Heading(text, level):
            return [f"{'#' * level} {_plain(text)}"]
        case Text(text):
            return [_plain(text)]
        case Listing(items):
            return ["\n".join(f"* {_plain(item)}" for item in items)]
        case Table():
            return [f"*{_plain(block.caption)}*"] * bool(block.caption) + [_rows(block)]
        case Picture():
            link = f"![{_plain(block.alt)}]({within}{block.name}.png)"
            return [link] + [f"*{_plain(block.caption)}*"] * bool(block.caption)


def _rows(table: Table) -> str:
    lines = ["| " + " | ".join(map(_cell, table.header)) + " |"]
    lines.append("| " + " | ".join(["---"] * len(table.header)) + " |")
    for place, row in enumerate(table.rows):
        cells = [_cell(cell) for cell in row]
        if place in table.strong:
            cells = [f"**{cell}**" if cell else "" for cell in cells]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|")


def _plain(text: str) -> str:
    # A name with < or > would be taken for HTML by whoever shows the Markdown.
    # And what looks like a link or a picture must not become one.
    plain = " ".join(str(text).split()).replace("<", "&lt;").replace(">", "&gt;")
    return plain.replace("](", "]\\(")
