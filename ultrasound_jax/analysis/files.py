"""Files that are there whole or not at all."""

import os
from pathlib import Path

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
