"""Files that are there whole or not at all."""

import json
import os
from pathlib import Path
from typing import Any

from ultrasound_jax.analysis.errors import AnalysisError


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes under a temporary name beside `path`, then renames."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        raise AnalysisError(f"{path}: cannot be written: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def read_json(path: str | os.PathLike[str]) -> Any:
    """Returns what a JSON file holds.

    Raises:
      AnalysisError: it cannot be read, or is no whole JSON.
    """
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AnalysisError(
            f"{path}: cannot be read: {error}; what is made by the program can be "
            "removed, and is then made anew"
        ) from error
