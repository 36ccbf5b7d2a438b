"""Every file below a folder, each once, whatever the links say."""

import os
import stat
from pathlib import Path
from typing import NamedTuple

from ultrasound_jax.types import InputError


class Found(NamedTuple):
    """Something that is not a folder.

    place: below the root, with `/`; bytes that are not UTF-8 are lone surrogates.
    size, changed: bytes, and nanoseconds of the last change.
    problem: why it cannot be opened, else empty.
    """

    place: str
    size: int
    changed: int
    problem: str


def walk(root: Path) -> list[Found]:
    """Finds what lies below `root`, sorted by place.

    Links are followed, but no folder is entered twice, so that loops end and a linked
    folder does not double its files. Pipes, sockets and devices are found but must not
    be opened: a pipe would wait for ever.

    Raises:
        InputError: `root` is not a folder.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder")
    found: list[Found] = []
    entered: set[tuple[int, int]] = set()
    waiting = [("", root)]
    while waiting:
        prefix, folder = waiting.pop()
        try:
            facts = folder.stat()
            if (facts.st_dev, facts.st_ino) in entered:
                continue
            entered.add((facts.st_dev, facts.st_ino))
            names = sorted(os.listdir(folder))
        except OSError as error:
            found.append(_unopenable(prefix.rstrip("/"), error))
            continue
        folders = []
        for name in names:
            entry = _look(folder / name, prefix + name)
            if entry is None:
                folders.append((f"{prefix}{name}/", folder / name))
            else:
                found.append(entry)
        waiting += reversed(folders)  # the first name is entered first, next
    return sorted(found)


def _look(path: Path, place: str) -> Found | None:
    """The file, or None for a folder."""
    try:
        facts = path.stat()
    except OSError as error:
        return _unopenable(place, error)
    if stat.S_ISDIR(facts.st_mode):
        return None
    problem = "" if stat.S_ISREG(facts.st_mode) else "a pipe, socket or device"
    return Found(place, facts.st_size, facts.st_mtime_ns, problem)


def _unopenable(place: str, error: OSError) -> Found:
    return Found(place, 0, 0, error.strerror or type(error).__name__)
