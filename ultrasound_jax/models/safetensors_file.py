"""Reads weights from a safetensors file, which runs no code, or says what is wrong."""

import json
import stat
import struct
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401  teaches NumPy bfloat16, which safetensors asks it for
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from ultrasound_jax.models._parts.checks import ModelError

_LENGTH = struct.Struct("<Q")
_LONGEST = 100_000_000  # bytes of a header, which is safetensors' own limit


def read_safetensors(path: str | Path) -> dict[str, np.ndarray]:
    """Every tensor of a safetensors file.

    Raises:
        ModelError: names the file: it is no regular file (a pipe would be waited for),
            no whole safetensors, holds a name twice, or numbers of a kind that NumPy
            does not have.
    """
    path = Path(path)
    try:
        _check_names(path)
        return load_file(path)
    except (OSError, SafetensorError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
    except (TypeError, AttributeError, KeyError) as error:
        reason = f"numbers of a kind that cannot be read ({error})"
    raise ModelError(
        f"{path}: not readable as safetensors, the only format allowed: {reason}"
    )


def _check_names(path: Path) -> None:
    """Refuses a name that stands twice, of which the last would win."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("it is no regular file")
    with path.open("rb") as file:
        start = file.read(_LENGTH.size)
        if len(start) < _LENGTH.size:
            raise ValueError("it ends within its header")
        (length,) = _LENGTH.unpack(start)
        if length > min(_LONGEST, path.stat().st_size):
            raise ValueError(f"it states a header of {length} bytes")
        json.loads(file.read(length), object_pairs_hook=_each_once)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name!r} stands in it twice")
        found[name] = value
    return found
