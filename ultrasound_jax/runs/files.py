"""Files that are there whole or not at all."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from ultrasound_jax.runs import json_text
from ultrasound_jax.runs.unfinished import sweep_files, temporary_name
from ultrasound_jax.types import InputError


def at_home(path: str | os.PathLike[str]) -> Path:
    """A path whose `~` is somebody's home; one that is nobody's stays as it is.

    `Path.expanduser` ends a program for that, where a path that is not there is told.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def write_whole(
    path: str | os.PathLike[str], content: bytes | str, *, mode: int | None = None
) -> None:
    """Writes under a temporary name beside `path`, then renames.

    Args:
        path: in a folder that exists or is made.
        content: text is written as UTF-8; lone surrogates of file names survive.
        mode: permissions such as 0o600, in force before the first byte is written.

    Raises:
        InputError: it cannot be written.
    """
    if isinstance(content, str):
        content = content.encode("utf-8", "surrogateescape")
    with whole_file(path, mode=mode) as temporary:
        temporary.write_bytes(content)


@contextlib.contextmanager
def whole_file(
    path: str | os.PathLike[str], *, mode: int | None = None, over: bool = True
) -> Iterator[Path]:
    """An empty file beside `path` to write into, renamed where the block ends well.

    What a killed process leaves is taken away by the next one that writes there.

    Args:
        path: in a folder that exists or is made.
        mode: permissions such as 0o600, in force from the beginning.
        over: whether it takes the place of a file that appeared at `path` meanwhile.

    Raises:
        InputError: it cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(temporary_name(path.name, secrets.token_hex(4)))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(str(path.parent.absolute()))
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        os.close(os.open(temporary, flags, 0o666 if mode is None else mode))
        yield temporary
        if over:
            _replace(temporary, path)
        else:
            _rename_if_free(temporary, path)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{path}: cannot be written: {reason}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@lru_cache(maxsize=1024)
def _sweep(folder: str) -> None:
    """Takes away what killed processes left in a folder, the first time we write."""
    sweep_files(Path(folder))


def _replace(temporary: Path, path: Path) -> None:
    """Renames, but never over a device or a pipe, in whose place a file would be."""
    if path.exists() and not path.is_file():
        raise OSError("it is there and is no file")
    temporary.replace(path)


def _rename_if_free(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)  # unlike a rename, never over another file
    except FileExistsError:
        pass
    except OSError:  # a file system without links
        temporary.replace(path)


def read_json(path: str | os.PathLike[str]) -> Any:
    """What a JSON file holds.

    Raises:
        InputError: it cannot be read, is no whole JSON, or has a key twice.
    """
    path = Path(path)
    try:
        return json_text.strictly_parsed(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: cannot be read: {error}; what is made by the program can be "
            "removed, and is then made anew"
        ) from error
