"""Blocks as one HTML file that needs nothing but itself: no network, no scripts."""

import base64
import os
import re
import struct
from collections.abc import Sequence
from html import escape

from ultrasound_jax.analysis.document import (
    Block,
    Heading,
    Listing,
    Picture,
    Table,
    Text,
)
from ultrasound_jax.runs.files import write_whole

_STYLE = """
:root { color-scheme: light; }
body { margin: 2rem auto; max-width: 84rem; padding: 0 1.5rem; background: #fff;
  color: #1a1a1a; font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif;
  overflow-wrap: anywhere; }
h1 { font-size: 1.9rem; line-height: 1.2; margin-bottom: .5rem; }
h2 { margin-top: 2.6rem; padding-bottom: .25rem; border-bottom: 2px solid #0072b2; }
h3 { margin-top: 2rem; }
h4 { margin-bottom: .4rem; }
p, li { max-width: 52rem; }
nav { background: #f5f7f9; border-radius: 6px; padding: .6rem 1.4rem;
  margin: 1.5rem 0; }
nav ul { padding-left: 1.2rem; margin: .3rem 0; columns: 2; }
nav li { break-inside: avoid; }
a { color: #005a8c; }
.table { margin: 1rem 0 1.6rem; }
.scroll { overflow-x: auto; overflow-wrap: normal; }
.scroll:focus-visible { outline: 2px solid #0072b2; }
.caption, figcaption { font-size: .9rem; color: #444; max-width: 52rem;
  margin: 0 0 .4rem; }
table { border-collapse: collapse; font-size: .84rem; line-height: 1.35;
  font-variant-numeric: tabular-nums; }
.wide table { font-size: .75rem; }
.wide th, .wide td { padding: .3rem; }
th, td { padding: .32rem .6rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid #dde2e6; }
thead th { border-bottom: 2px solid #8a97a3; background: #f5f7f9;
  vertical-align: bottom; }
tbody th { font-weight: 500; background: #fff; }
tr > :first-child { position: sticky; left: 0; }
td.short { white-space: nowrap; }
td span { display: inline-block; white-space: nowrap; }
.wide td span { display: block; }
tbody tr:nth-child(even) > * { background: #fafbfc; }
tr.strong > * { font-weight: 700; }
figure { margin: 1.2rem 0 2rem; }
figure img { display: block; height: auto; }
img.photo { max-width: 100%; }
figcaption { margin: .4rem 0 0; }
@media (max-width: 40rem) {
  body { margin: 1rem auto; padding: 0 1rem; }
  h1 { font-size: 1.4rem; }
  h2 { font-size: 1.25rem; margin-top: 2rem; }
  nav { padding: .4rem .8rem; }
  nav ul { columns: 1; }
  nav li { margin: .3rem 0; }
  .scroll { border: 1px solid #dde2e6; border-radius: 4px; }
  th, td, .wide th, .wide td { padding: .3rem .45rem; }
  tr > :first-child { max-width: 7.5rem; box-shadow: 1px 0 0 #dde2e6; }
  td { min-width: 5rem; }
}
@page { size: A4 landscape; margin: 12mm; }
@media print {
  body { margin: 0; max-width: none; font-size: 10pt; }
  nav ul { columns: 1; }
  .scroll { overflow: visible; }
  figure img { max-width: 100%; }
  tr > :first-child { position: static; }
  table, .wide table { font-size: 7pt; }
  th, td, .wide th, .wide td { padding: .12rem .28rem; }
  h2, h3, h4 { break-after: avoid; }
  figure, tr { break-inside: avoid; }
  thead { display: table-header-group; }
}
"""
# Cells that stay on one line; an interval may go below its value, but not apart.
_SHORT, _KEPT = 14, ' class="short"'
_INTERVAL = re.compile(r"\[[^\]]*\]")
# About how many pixels a column takes beside its letters, a letter, and a page.
_PADDING, _LETTER, _PAGE = 19, 7.1, 1150
_JOINT = re.compile(r"[_/.-](?=\w)")  # where a long name may go on in the next line
# An inch of a figure in pixels of the page, so that its smallest letters (8 points) are
# read without a glass: 11.5 pixels.
_INCH = 104
_INCHES_A_METRE = 39.37


def write_html(path: str | os.PathLike[str], blocks: Sequence[Block]) -> None:
    """Writes the document, whole or not at all; see `to_html`."""
    write_whole(path, to_html(blocks).encode())


def to_html(blocks: Sequence[Block]) -> str:
    """The document, pictures inside, with a list of contents behind its title.

    Everything that is said is escaped. The title is the first heading of level 1.
    """
    titles = [b.text for b in blocks if isinstance(b, Heading) and b.level == 1]
    title = titles[0] if titles else "Report"
    anchors = [f"s{place}" for place in range(len(blocks))]
    body = [_block(b, a) for b, a in zip(blocks, anchors, strict=True)]
    first = next(
        (i for i, b in enumerate(blocks) if isinstance(b, Heading) and b.level == 2), 0
    )
    body.insert(first, _contents(blocks, anchors))
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>",
            f"<style>{_STYLE}</style></head><body>",
            *body,
            "</body></html>\n",
        ]
    )


def _contents(blocks: Sequence[Block], anchors: Sequence[str]) -> str:
    lines = [
        f'<li><a href="#{a}">{escape(b.text)}</a></li>'
        for b, a in zip(blocks, anchors, strict=True)
        if isinstance(b, Heading) and b.level == 2
    ]
    if not lines:
        return ""
    return "\n".join(['<nav aria-label="Contents"><ul>', *lines, "</ul></nav>"])


def _block(block: Block, anchor: str) -> str:
    match block:
        case Heading(text, level):
            return f'<h{level} id="{anchor}">{escape(text)}</h{level}>'
        case Text(text):
            return f"<p>{escape(text)}</p>"
        case Listing(items):
            return "<ul>" + "".join(f"<li>{escape(i)}</li>" for i in items) + "</ul>"
        case Table():
            return _table(block, anchor)
        case Picture():
            return _figure(block)


def _table(table: Table, anchor: str) -> str:
    """The table in a box of its own, which scrolls; its caption does not."""
    caption, called = "", 'aria-label="table"'
    if table.caption:
        name = f"{anchor}-caption"
        caption = f'<p class="caption" id="{name}">{escape(table.caption)}</p>'
        called = f'aria-labelledby="{name}"'
    head = "".join(f'<th scope="col">{escape(str(cell))}</th>' for cell in table.header)
    rows = []
    for place, row in enumerate(table.rows):
        name, *cells = map(str, row)
        kind = ' class="strong"' if place in table.strong else ""
        cells_text = "".join(
            f"<td{_KEPT if len(cell) < _SHORT else ''}>{_cell(cell)}</td>"
            for cell in cells
        )
        rows.append(f'<tr{kind}><th scope="row">{_name(name)}</th>{cells_text}</tr>')
    wide = " wide" if _width(table) > _PAGE else ""
    return (
        f'<div class="table{wide}">{caption}'
        f'<div class="scroll" role="region" tabindex="0" {called}>'
        f"<table><thead><tr>{head}</tr></thead>\n<tbody>"
        + "\n".join(rows)
        + "</tbody></table></div></div>"
    )


def _width(table: Table) -> float:
    """About how wide a table's cells are if each takes one line."""
    columns = zip(*table.rows, strict=True)
    return sum(_PADDING + _LETTER * max(map(len, map(str, c))) for c in columns)


def _name(text: str) -> str:
    return _JOINT.sub(r"\g<0><wbr>", escape(text))


def _cell(text: str) -> str:
    return _INTERVAL.sub(r"<span>\g<0></span>", escape(text))


def _figure(picture: Picture) -> str:
    """A drawn figure at its own size in a box that scrolls, a photograph as it fits."""
    source = base64.b64encode(picture.image).decode()
    caption, size = "", ' class="photo"'
    if picture.caption:
        caption = f"<figcaption>{escape(picture.caption)}</figcaption>"
    if inches := _inches(picture.image):
        size = f' width="{inches * _INCH:.0f}"'
    return (
        f'<figure><div class="scroll" role="region" tabindex="0" '
        f'aria-label="{escape(picture.alt)}"><img{size} alt="{escape(picture.alt)}" '
        f'src="data:image/png;base64,{source}"></div>{caption}</figure>'
    )


def _inches(image: bytes) -> float | None:
    """How wide a PNG is, None where it does not say how many pixels make a metre."""
    place = image.find(b"pHYs", 0, 4096)
    if place < 0 or len(image) < place + 13 or image[12:16] != b"IHDR":
        return None
    (width,) = struct.unpack(">I", image[16:20])
    across, _, metres = struct.unpack(">IIB", image[place + 4 : place + 13])
    return width / across * _INCHES_A_METRE if metres == 1 and across else None
