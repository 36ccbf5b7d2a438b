"""JSON of anybody's making, whose every fault is a ValueError."""

import json
from typing import Any


def parsed(content: str | bytes) -> Any:
    """What a JSON text says.

    Raises:
        ValueError: it is no JSON, not UTF-8, or nested too deeply to be read.
    """
    return _parsed(content)


def strictly_parsed(content: str | bytes) -> Any:
    """What a JSON text says that decides numbers.

    Raises:
        ValueError: as `parsed`, or it has a key twice or a NaN.
    """
    return _parsed(content, object_pairs_hook=_each_once, parse_constant=_no_number)


def _parsed(content: str | bytes, **hooks: Any) -> Any:
    try:
        return json.loads(content, **hooks)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys stand once: of two, nobody knows which was meant."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"'{twice}' stands in it twice")
    return found


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no number of JSON")
