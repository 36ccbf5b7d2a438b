"""JSON of anybody's making, whose every fault is a ValueError."""

import json
from typing import Any


def parsed(content: str | bytes) -> Any:
    """What a JSON text says.

    Raises:
        ValueError: it is no JSON, not UTF-8, or nested too deeply to be read.
    """
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
