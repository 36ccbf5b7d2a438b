"""The videos in a folder, and which of them a cell of the sheet means."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.media.open import kind_of
from ultrasound_jax.runs.files import at_home
from ultrasound_jax.runs.table_cells import SUFFIXES as SHEETS
from ultrasound_jax.types import InputError

SHEET = ("videos.csv", "videos.xlsx", "videos.tsv")
KEY = "pseudonyms.json"  # private: turns patients into pseudonyms
SOURCES = "videos.sources.csv"  # private: which file and patient is behind an id


def find_sheet(folder: Path, given: str) -> Path:
    """The sheet that is named, or `videos.csv` or `videos.xlsx` in the folder.

    Raises:
        DatasetError: it is not there, or both are.
    """
    if given:
        path = folder / at_home(given)
        if not path.is_file():
            raise DatasetError(f"videos: sheet={given!r}: {path} is no file")
        return path
    found = [folder / name for name in SHEET if (folder / name).is_file()]
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise DatasetError(f"videos: {folder} has {names}; say sheet={found[0].name!r}")
    if not found:
        others = sorted(
            path.name
            for path in folder.iterdir()
            if path.suffix.lower() in SHEETS
            and path.name != SOURCES
            and not _is_hidden(path)
        )
        hint = f"; it has {', '.join(others[:10])}: say sheet=…" if others else ""
        raise DatasetError(
            f"videos: no videos.csv or videos.xlsx in {folder}{hint}; the set's README "
            "says what the sheet holds"
        )
    return found[0]


def list_files(folder: Path) -> list[Path]:
    """Every file below the folder in order of its path; hidden ones aside."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not any(_is_hidden(Path(part)) for part in path.relative_to(folder).parts)
    )


def _is_hidden(path: Path) -> bool:
    return path.name.startswith((".", "~$"))  # also what Excel keeps beside a sheet


def kind_or_reason(path: Path) -> tuple[str, str]:
    """`video`, `dicom` or `picture`; or "" and why it is no recording."""
    try:
        return kind_of(path), ""
    except InputError:
        return "", "not a recording by its content"


@dataclass
class Names:
    """Files by every name that a cell may give them: with folders or without.

    Case, folders' slashes and the ways to write an accent do not matter.
    """

    folder: Path
    files: list[Path]
    _tails: dict[tuple[str, ...], list[Path]] = field(
        default_factory=lambda: defaultdict(list)
    )

    @classmethod
    def of(cls, folder: Path, paths: Iterable[Path]) -> "Names":
        """The names of these files of the folder."""
        names = cls(folder, list(paths))
        for path in names.files:
            relative = path.relative_to(folder)
            for bare in (relative.as_posix(), relative.with_suffix("").as_posix()):
                parts = _parts(bare)
                for start in range(len(parts)):
                    spot = names._tails[parts[start:]]
                    if path not in spot:
                        spot.append(path)
        return names

    def meant(self, cell: str) -> list[Path]:
        """The files that a cell may mean; one where all is well.

        `./a.mp4` is the file in the folder itself, `a.mp4` any file of that name.
        """
        parts = _parts(cell)
        # A path from somewhere else, of which the end is a path in the folder.
        for start in range(len(parts)):
            tail = parts[start:]
            if found := self._tails.get(tail, []):
                whole = [
                    path for path in found if self._own(path)[-len(tail) :] == tail
                ]
                exact = [path for path in whole or found if self._is(path, tail)]
                rooted = len(tail) > 1 or cell.strip().startswith(("./", ".\\"))
                return exact if exact and rooted else whole or found
        return []

    def _own(self, path: Path) -> tuple[str, ...]:
        return _parts(path.relative_to(self.folder).as_posix())

    def _is(self, path: Path, parts: tuple[str, ...]) -> bool:
        bare = _parts(path.relative_to(self.folder).with_suffix("").as_posix())
        return parts in (self._own(path), bare)

    def told(self, path: Path) -> str:
        """A file's path in the folder."""
        return path.relative_to(self.folder).as_posix()


def _parts(text: str) -> tuple[str, ...]:
    plain = unicodedata.normalize("NFC", text.strip()).casefold().replace("\\", "/")
    return tuple(part for part in PurePosixPath(plain).parts if part not in ("/", "."))
