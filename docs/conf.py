"""How the pages are built: `make docs`, from docs/*.md and the docstrings."""

import re
import tomllib
from pathlib import Path
from typing import Any

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"
SECTIONS = ("Args:", "Raises:", "Returns:", "Yields:", "Attributes:")

project = "ultrasound_jax"
author = "the authors of ultrasound_jax"
release = version = tomllib.loads(PYPROJECT.read_text())["project"]["version"]

extensions = [
    "myst_parser",
    "sphinx.ext.apidoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "ultrasound_jax"

myst_heading_anchors = 4

default_role = "literal"  # docstrings say `name`
autodoc_member_order = "bysource"
apidoc_modules: list[dict[str, Any]] = [
    {
        "path": "../ultrasound_jax",
        "destination": "api",
        "max_depth": 2,
        "automodule_options": {"members", "show-inheritance", "ignore-module-all"},
    }
]


def setup(app: Any) -> None:
    """Reads docstrings as they are written here, before Napoleon reads their parts."""
    app.connect("autodoc-process-docstring", as_rest, priority=400)


def as_rest(app: Any, what: str, name: str, thing: Any, options: Any, lines: list):
    """Turns a docstring of ours into reST: layouts and lists of `name: what it is`."""
    blocks = re.split(r"\n\s*\n", "\n".join(lines).strip("\n"))
    written = []
    for place, block in enumerate(blocks):
        if block.startswith(SECTIONS):
            written += blocks[place:]  # Napoleon's
            break
        written += _block(block)
    lines[:] = "\n\n".join(written).split("\n") + [""]


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
