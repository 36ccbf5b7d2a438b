"""`checklist.md`: which section answers which item, and what authors must add."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ultrasound_jax.analysis.document import (
    Block,
    Heading,
    Listing,
    Picture,
    Table,
    Text,
)
from ultrasound_jax.analysis.report.checklist_items import GUIDELINES, SOURCES, Item
from ultrasound_jax.analysis.report.markdown import write_markdown

NAME = "checklist.md"
# Part of a report that is no statistic -> the beginnings of headings that show it.
PARTS: dict[str, tuple[str, ...]] = {
    "flow": ("Flow of",),
    "table one": ("Who is in each part",),
    "methods": ("How the numbers were made",),
    "comparison": ("Differences between models",),
    "cost": ("Cost",),
    "attention": ("Where the network looks",),
    "readers": ("Readers", "Agreement"),
}
# File of a run's folder -> the keys that it answers.
FILES: dict[str, tuple[str, ...]] = {
    "model.json": ("model file",),
    "config.json": ("settings",),
    "splits.json": ("splits",),
}
# Parts that answer only where they show something: without it they say why not.
SHOWN = ("flow", "table one")
_NOT_HERE, _WRITE = "not in this report", "to be written"


def write_checklist(
    report: Path, blocks: Sequence[Block], *, files: Iterable[str] = ()
) -> Path:
    """Writes the list beside a report.

    Args:
        report: the report's file, which the list refers to.
        blocks: of the report.
        files: of the run's folder that stand beside it, such as `model.json`.
    """
    path = report.parent / NAME
    there = answers(blocks, files=files)
    write_markdown(path, document(report.name, there), figures="")
    return path


def answers(blocks: Sequence[Block], *, files: Iterable[str] = ()) -> dict[str, str]:
    """Key of what answers an item -> where that is, of what this report has."""
    headings = [block for block in blocks if isinstance(block, Heading)]
    found: dict[str, str] = {}
    for key, beginnings in PARTS.items():
        for place, heading in enumerate(blocks):
            if isinstance(heading, Heading) and heading.text.startswith(beginnings):
                if key not in SHOWN or _shown(blocks[place + 1 :]):
                    found.setdefault(key, heading.text)
    for heading in headings:
        if heading.of:
            found.setdefault(heading.of, heading.text)
    for block in blocks:
        if isinstance(block, Table) and block.header[0] == "run":
            found["facts"] = "the table `run`"
            if any(row[0] == "trained on" for row in block.rows):
                found["external"] = "all of it: the run was trained on other data"
    for file in files:
        for key in FILES.get(file, ()):
            found[key] = f"`{file}` of the run's folder"
    return found


def document(report: str, there: Mapping[str, str]) -> list[Block]:
    """The list as a document; `there` is of `answers`."""
    found: list[Block] = [
        Heading("What reviewers ask for", 1),
        Text(
            f"Which section of {report} answers which item, and what authors must add. "
            "Items are in our own words; the statements named below have the full "
            "ones. That a section is named does not say that it answers the item for "
            "this study: read it."
        ),
    ]
    for guideline, items in GUIDELINES.items():
        rows = [_row(item, there) for item in items]
        answered = sum(row[2] not in ("", _NOT_HERE) for row in rows)
        found += [
            Heading(guideline),
            Table(
                ["item", "asked", "where it is answered", "authors add"],
                rows,
                caption=f"{len(rows)} items; to {answered} of them this report has "
                "something to say.",
            ),
        ]
    return [*found, Heading("References"), Listing(SOURCES)]


def _row(item: Item, there: Mapping[str, str]) -> list[str]:
    number, asked, keys, more = item
    places = [
        place
        for key in keys
        for name, place in there.items()
        if name == key or name.startswith(key)
    ]
    told = "; ".join(dict.fromkeys(places))
    return [
        number,
        asked,
        told or (_NOT_HERE if keys else ""),
        more or _WRITE * (not told),
    ]


def _shown(rest: Sequence[Block]) -> bool:
    """Whether a section whose blocks begin here has a table or a picture."""
    for block in rest:
        if isinstance(block, Heading):
            return False
        if isinstance(block, Table | Picture):
            return True
    return False
