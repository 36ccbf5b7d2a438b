"""What a killed process leaves behind, and how it goes away.

Folders in the making have a marker with the mark of their process, files have it in
their names. What a living process makes is never touched; that of a dead one goes as
soon as somebody comes by, that of another host when it has been silent for a day.
"""

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from ultrasound_jax.runs.processes import MARK, is_gone, mark

_MARKER = ".made_by."
# A name, a mark where there is one, and a token: `.report.md.12-345-abcdef.0123`.
_TEMPORARY = re.compile(rf"\..+?(?:\.(?P<mark>{MARK}))?\.[0-9a-f]+\.tmp")


def temporary_name(name: str, token: str) -> str:
    """What a file is called while this process writes it; at most 255 bytes."""
    tail = f".{mark()}.{token}.tmp"
    room = 255 - len(tail) - 1
    return f".{os.fsdecode(os.fsencode(name)[:room])}{tail}"


@contextlib.contextmanager
def marked(folder: str | os.PathLike[str]) -> Iterator[None]:
    """A folder that says, while the block runs, that this process fills it."""
    marker = Path(folder) / f"{_MARKER}{mark()}"
    with contextlib.suppress(OSError):
        marker.touch()
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            marker.unlink(missing_ok=True)


def sweep_files(folder: Path) -> int:
    """Removes temporary files of dead processes from a folder; returns how many."""
    count = 0
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = _TEMPORARY.fullmatch(entry.name)
            if not found:
                continue
            with contextlib.suppress(OSError):
                silent = time.time() - entry.stat(follow_symlinks=False).st_mtime
                if is_gone(found["mark"] or "", silent=silent):
                    os.unlink(entry.path)
                    count += 1
    return count


def sweep_folders(parent: Path, pattern: str) -> int:
    """Removes such folders of dead processes; returns how many."""
    count = 0
    for folder in sorted(parent.glob(pattern)):
        makers = [p.name.removeprefix(_MARKER) for p in folder.glob(f"{_MARKER}*")]
        if is_gone(makers[0] if makers else "", silent=_silent(folder)):
            shutil.rmtree(folder, ignore_errors=True)
            count += not folder.exists()
    return count


def _silent(folder: Path) -> float:
    """Seconds since anything in a folder was touched."""
    newest = 0.0
    for path in (folder, *folder.rglob("*")):
        with contextlib.suppress(OSError):
            newest = max(newest, path.lstat().st_mtime)
    return time.time() - newest
