"""What an example table was made of: hashes of it and of the dataset's own files.

The table says again, in a file that people can open, what the records say; splits and
judgements go by the table, training by the records. `example_table.json` beside it
keeps them together: SHA-256 of the table, and of each file that TFDS wrote (shards,
class names, features). A file that still has its size and time is taken for what it
was; one with another time, as after a copy, is hashed once more, about a second for
each GB (docs/training.md). A flipped bit that changes neither is found when it is read:
every chunk of a shard has a hash of its own.
"""

import contextlib
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ultrasound_jax.runs.files import read_json, write_whole
from ultrasound_jax.types import InputError, UltrasoundError

SEAL_FILE = "example_table.json"
FORMAT = 1
_OF_TFDS = ("dataset_info.json", "features.json", "metadata.json")


class SealError(UltrasoundError):
    """A file of a built dataset that is no longer what was built."""


@dataclass(frozen=True)
class Seal:
    """SHA-256 of a table's text; of each file its size, time (ns) and SHA-256."""

    table: str
    files: dict[str, tuple[int, int, str]]

    def to_json(self) -> dict[str, Any]:
        """Plain texts and numbers."""
        files = {
            name: {"bytes": size, "changed_ns": time, "sha256": digest}
            for name, (size, time, digest) in self.files.items()
        }
        return {"format": FORMAT, "table_sha256": self.table, "files": files}

    @classmethod
    def read(cls, folder: Path) -> "Seal | None":
        """The seal in a folder; None where there is none that can be read."""
        try:
            tree = read_json(folder / SEAL_FILE)
            files = {
                str(name): (int(of["bytes"]), int(of["changed_ns"]), str(of["sha256"]))
                for name, of in tree["files"].items()
            }
            known = tree["format"] == FORMAT
            return cls(str(tree["table_sha256"]), files) if known else None
        except (InputError, KeyError, TypeError, ValueError, AttributeError):
            return None


def own_files(folder: Path) -> list[Path]:
    """The files of a built dataset that decide what it says, by name."""
    shards = folder.glob("*-[0-9]*-of-[0-9]*")
    return sorted([*shards, *(p for n in _OF_TFDS if (p := folder / n).exists())])


def make(folder: Path, table: str) -> None:
    """Seals a table (its text) and the files that it was made from.

    A folder that cannot be written stays without.
    """
    files = {path.name: (*_stamp(path), digest_of(path)) for path in own_files(folder)}
    _write(Seal(_digest(table), files), folder)


def holds(folder: Path, table: str) -> bool:
    """Whether a table's text is what was sealed, of the files that are there.

    Raises:
        SealError: a file was changed, or is gone or new, since the table was made.
    """
    seal = Seal.read(folder)
    if seal is None:
        return False
    check_files(folder, seal)
    return seal.table == _digest(table)


def check_files(folder: Path, seal: Seal, *, again: bool = False) -> None:
    """Refuses files that are not those that were sealed.

    `again` hashes all of them, also those that still have their size and time.
    """
    found = {path.name: path for path in own_files(folder)}
    for name in sorted(found.keys() ^ seal.files.keys()):
        what = "is new" if name in found else "is gone"
        raise SealError(_refusal(folder / name, f"{what} since {SEAL_FILE} was made"))
    renewed = dict(seal.files)
    for name, path in found.items():
        size, time, digest = seal.files[name]
        stamp = _stamp(path)
        if stamp == (size, time) and not again:
            continue
        if stamp[0] != size or digest_of(path) != digest:
            raise SealError(_refusal(path, "is damaged, or was edited after the build"))
        renewed[name] = (*stamp, digest)
    if renewed != seal.files:
        _write(Seal(seal.table, renewed), folder)


def changed_file(folder: Path) -> str:
    """Says which file of a dataset is not what was built; empty if none is known."""
    seal = Seal.read(folder)
    if seal is None:
        return ""
    try:
        check_files(folder, seal, again=True)
    except SealError as error:
        return str(error)
    return ""


def digest_of(path: Path) -> str:
    """SHA-256 of a file.

    Raises:
        SealError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SealError(f"{path}: cannot be read: {error.strerror}") from error


def _refusal(path: Path, what: str) -> str:
    return (
        f"{path} {what}: bring it back from a copy, or remove '{path.parent}' to build "
        f"the dataset anew. If the change is meant, remove {SEAL_FILE} beside it; runs "
        "that were trained before stay bound to what it was"
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _stamp(path: Path) -> tuple[int, int]:
    try:
        about = path.stat()
    except OSError as error:
        raise SealError(f"{path}: cannot be read: {error.strerror}") from error
    return about.st_size, about.st_mtime_ns


def _write(seal: Seal, folder: Path) -> None:
    with contextlib.suppress(InputError):  # it is not ours to write into
        write_whole(folder / SEAL_FILE, json.dumps(seal.to_json(), indent=1) + "\n")
