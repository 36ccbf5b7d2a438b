"""What a builder makes of an item: examples, what was skipped, what was learned."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Skipped:
    """An input that could not be used: a name that tells no patient, and one line."""

    name: str
    reason: str


@dataclass(frozen=True)
class Fact:
    """Something learned about an item that belongs into the metadata, not the records.

    `value` is what JSON can hold; `Builder.account` gets all facts of a build.
    """

    name: str
    value: Any


Made = tuple[str, dict[str, Any]] | Skipped | Fact
Make = Callable[[Any], Iterable[Made]]
