"""How the pages are built: `make docs`, from docs/, pages beside the code, docstrings.

Docstrings are written for the reader of the code, and so is every page that lies beside
what it is about; here both become pages, with links that lead to each other.
"""

import os
import re
import tomllib
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
ROOT = DOCS.parent
DATASETS = ROOT / "ultrasound_jax/datasets"
SECTIONS = ("Args:", "Raises:", "Returns:", "Yields:", "Attributes:")
# Pages that lie outside of docs/, and where a copy with the right links is put.
COPIED = {
    ROOT / "CONTRIBUTING.md": DOCS / "copied/contributing.md",
    ROOT / "CHANGELOG.md": DOCS / "copied/changelog.md",
    DATASETS / "README.md": DOCS / "copied/datasets.md",
    **{
        page: DOCS / f"copied/datasets/{page.parent.name}.md"
        for page in DATASETS.glob("*/README.md")
    },
}

project = "ultrasound_jax"
author = "the authors of ultrasound_jax"
pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
release = version = pyproject["project"]["version"]

extensions = [
    "myst_parser",
    "sphinx.ext.apidoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "ultrasound_jax"
smartquotes = False

myst_heading_anchors = 4

default_role = "literal"  # docstrings say `name`
autodoc_member_order = "bysource"
autodoc_default_options = {"ignore-module-all": True}
apidoc_modules: list[dict[str, Any]] = [
    {"path": "../ultrasound_jax", "destination": "api", "max_depth": 2}
]


def setup(app: Any) -> None:
    """Copies the pages that lie elsewhere; reads docstrings before Napoleon does."""
    for page, copy in COPIED.items():
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(linked(page.read_text(), page, copy))
    app.connect("source-read", relinked)
    app.connect("autodoc-process-docstring", as_rest, priority=400)


def relinked(app: Any, name: str, source: list[str]) -> None:
    """Lets a page of ours link to copies of pages outside of docs/."""
    page = DOCS / f"{name}.md"
    if page.is_file() and page not in COPIED.values():
        source[0] = linked(source[0], page, page)


def linked(text: str, page: Path, copy: Path) -> str:
    """The text of a page with links that are right where its copy lies."""

    def link(found: re.Match) -> str:
        target, heading = found[1], found[2] or ""
        if not target or "://" in target:
            return found[0]
        path = (page.parent / target).resolve()
        path = DOCS / "index.md" if path == ROOT / "README.md" else path
        there = os.path.relpath(COPIED.get(path, path), copy.parent)
        return f"]({Path(there).as_posix()}{heading})"

    return re.sub(r"\]\(([^)#\s]*)(#[^)]*)?\)", link, text)


def as_rest(
    app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Turns a docstring of ours into reST: layouts and lists of `name: what it is`."""
    blocks = re.split(r"\n\s*\n", "\n".join(lines).strip("\n"))
    written = []
    for place, block in enumerate(blocks):
        if block.startswith(SECTIONS):
            written += blocks[place:]  # Napoleon's
            break
        written += _block(block)
    lines[:] = [*"\n\n".join(written).split("\n"), ""]


def _block(block: str) -> list[str]:
    """A paragraph, a list, or what is laid out by hand and stays as it is."""
    first, *rest = block.split("\n")
    indented = [line.startswith(" ") for line in rest]
    if first.startswith(" "):
        return ["::", block]
    if first.startswith(("* ", "- ", "1. ")) or not any(indented):
        return [_inline(block)]
    if first.endswith(":"):
        end = next((i for i, deep in enumerate(indented) if not deep), len(rest))
        after = "\n".join(rest[end:])
        layout = ["::", "\n".join(rest[:end])] if end else []
        return [_inline(first), *layout, *(_block(after) if after else [])]
    items = re.sub(r"\n(?! )", "\n* ", f"* {block}")
    return [_inline(re.sub(r"\n +", "\n  ", items))]


def _inline(text: str) -> str:
    """Marks of reST that mean nothing here are escaped; `name`s may have an ending."""
    parts = re.split(r"(`[^`]+`)", text)
    for place in range(0, len(parts), 2):
        ending = "\\ " if place and re.match(r"\w", parts[place]) else ""
        plain = re.sub(r"(?<!^)(?<!\n)\*|\||(?<=\w)_(?!\w)", r"\\\g<0>", parts[place])
        parts[place] = ending + plain
    return "".join(parts)
