"""What a report is made of, before it becomes Markdown or HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

NOT_DEFINED = "not defined"


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the document's title.

    of: the statistic whose section it begins, where it does.
    """

    text: str
    level: int = 2
    of: str = ""


@dataclass(frozen=True)
class Text:
    """A paragraph of plain text."""

    text: str


@dataclass(frozen=True)
class Listing:
    """A list of sentences."""

    items: Sequence[str]


@dataclass(frozen=True)
class Table:
    """Cells as text; the first column names the rows. `strong` rows stand out."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    strong: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Picture:
    """A PNG; `name` is its file's name without folder and ending."""

    name: str
    image: bytes = field(repr=False)
    alt: str
    caption: str = ""


Block = Heading | Text | Listing | Table | Picture


def value_text(entry: Mapping[str, Any], name: str, digits: int = 3) -> str:
    """Writes a number and its interval, as in `0.912 [0.871, 0.944]`.

    A number that never has one, so that its entry has no `<name>_ci`, stands alone.
    """
    value, ends = entry[name], entry.get(f"{name}_ci")
    if value is None:
        return NOT_DEFINED
    if f"{name}_ci" not in entry:
        return f"{value:.{digits}f}"
    if ends is None:
        return f"{value:.{digits}f} [{NOT_DEFINED}]"
    return f"{value:.{digits}f} [{ends[0]:.{digits}f}, {ends[1]:.{digits}f}]"


def rate_text(entry: Mapping[str, Any], name: str) -> str:
    """Writes a rate with the counts that it is made of: `0.645 [0.41, 0.82] 20/31`.

    They stand under `<name>_of` as `[above, below]`; without them as `value_text`.
    """
    text, counts = value_text(entry, name), entry.get(f"{name}_of")
    return f"{text} {counts[0]}/{counts[1]}" if counts and counts[1] else text


def label(name: str) -> str:
    """Writes the name of a class or split as words."""
    return name.replace("_", " ")
