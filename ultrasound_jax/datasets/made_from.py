"""Which files a set was built from, so that others are not taken for them.

Of the folder below which all files lie that a build uses, the names and sizes of all
files are kept as one hash, and of sheets their content too: a label that was mended
leaves a sheet's size as it was. Pictures and videos are not read for it.
"""

import dataclasses
import functools
import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

# What a build writes beside the files itself: its private list of sources.
OURS = "folder.sources.csv"
SHEETS = (".csv", ".tsv", ".txt", ".json", ".xls", ".xlsx", ".xlsm")


def made_from(manual_dir: Path, used: list[Path]) -> dict[str, Any]:
    """What is kept: the folder below `manual_dir`, how many files, and their hash.

    `used` are files, or folders, that a build reads; without any it is all of them.
    """
    folders = {os.path.abspath(p if p.is_dir() else p.parent) for p in used}
    root = Path(os.path.commonpath(folders)) if folders else manual_dir
    return {"folder": os.path.relpath(root, manual_dir), **_listing(root)}


def difference(kept: Mapping[str, Any], manual_dir: Path) -> str:
    """Why the files in `manual_dir` are not those that a set was built from, or ""."""
    root = manual_dir / kept["folder"]
    if not root.is_dir():
        return f"was built from files in '{kept['folder']}', which '{manual_dir}' lacks"
    now = _listing(root)
    if now["hash"] == kept["hash"]:
        return ""
    return (
        f"was built from other files than '{root}' has now ({kept['files']} files "
        f"then, {now['files']} now)"
    )


def paths_in(value: Any, folder: Path) -> Iterator[Path]:
    """Every path below a folder that an item, or a function bound to some, names."""
    if isinstance(value, Path) or (isinstance(value, str) and os.path.isabs(value)):
        path = Path(os.path.abspath(value))
        if path.is_relative_to(folder):
            yield path
    elif isinstance(value, functools.partial):
        yield from paths_in((value.args, value.keywords), folder)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for one in dataclasses.fields(value):
            yield from paths_in(getattr(value, one.name), folder)
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from paths_in(one, folder)
    elif isinstance(value, tuple | list | set | frozenset):
        for one in value:
            yield from paths_in(one, folder)


def _listing(root: Path) -> dict[str, Any]:
    lines = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        for name in files:
            if name[0] == "." or name.endswith(OURS):
                continue
            path = Path(folder, name)
            try:
                size = path.stat().st_size
                sheet = path.suffix.lower() in SHEETS
                content = hashlib.sha256(path.read_bytes()).hexdigest() if sheet else ""
            except OSError:  # a link to nowhere, a file of another user's
                size, content = -1, ""
            lines.append(f"{os.path.relpath(path, root)}\0{size}\0{content}")
    text = "\n".join(sorted(lines)).encode("utf-8", "surrogateescape")
    return {"files": len(lines), "hash": hashlib.sha256(text).hexdigest()}
