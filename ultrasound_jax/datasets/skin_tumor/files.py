"""Class folders of skin-tumour images and the csv that says whose they are."""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.media.pictures import SUFFIXES, list_images
from ultrasound_jax.runs.table_cells import (
    one_spelling,
    read_table,
    told_if_joined,
)
from ultrasound_jax.types import InputError

CLASSES = ("epidermal_cyst", "lipoma", "pilomatricoma")
_OTHERWISE = {
    "epidermalcyst": "epidermal_cyst",
    "epidermoidcyst": "epidermal_cyst",
    "epi": "epidermal_cyst",
    "lip": "lipoma",
    "lipomata": "lipoma",
    "pilomatrixoma": "pilomatricoma",
    "pilomatricomata": "pilomatricoma",
    "pil": "pilomatricoma",
}
PATIENTS = "patients.csv"
COLUMNS = ("file", "patient_id")
FOLDS = "kfold"  # the original's tree: kfold/<1 to 5>/{train,val}/<class>
_PARTS = ("val", "train", "test")


@dataclass(frozen=True)
class Picture:
    """One image under a name that tells nobody: its class and place in the folder.

    path: may hold a patient's name, never to be written.
    """

    image_id: str
    path: Path
    label: str
    patient_id: str = ""

    def __repr__(self) -> str:
        return f"Picture({self.image_id!r})"


def class_of(folder: str) -> str | None:
    """`Epidermal Cysts`, `epidermal-cyst` and `EpidermalCyst` are one; else None.

    Numbers around the name, such as in `2_Lipoma (129)`, are not part of it.
    """
    words = re.findall(r"[a-z]+", folder.strip().lower())
    name = "".join(words)
    for one in (name, name.removesuffix("s")):
        if one in CLASSES:
            return one
        if one in _OTHERWISE:
            return _OTHERWISE[one]
    return None


def has_classes(root: Path) -> bool:
    """Whether a folder holds class folders, or the original's folds of them."""
    return root.is_dir() and any(
        class_of(path.name) or path.name.lower() == FOLDS
        for path in root.iterdir()
        if path.is_dir()
    )


def list_pictures(root: Path) -> tuple[list[Picture], list[str], list[str]]:
    """Pictures by class and file name, what is not one of them, and notes.

    `lipoma_0003` is the third lipoma. Of the original's folds each picture is taken
    once, though it stands in each.

    Raises:
        DatasetError: two folders of one class, or none.
    """
    folds = [path for path in _folders(root) if path.name.lower() == FOLDS]
    if folds and any(class_of(path.name) for path in _folders(root)):
        raise DatasetError(
            f"skin_tumor: {FOLDS} beside class folders, allowed is one of the two"
        )
    if folds:
        return _of_folds(folds[0])
    folders, others = _class_folders(root)
    if not folders:
        raise DatasetError(
            f"skin_tumor: {root} has no folder named {', '.join(CLASSES)}; see the "
            "set's README"
        )
    notes = [
        f"the folder of {label} is spelt in another way"
        for label, folder in folders.items()
        if folder.name != label
    ]
    left = [reason for folder in folders.values() for reason in _strays(folder)]
    pictures = {label: list_images(folder) for label, folder in folders.items()}
    return _numbered(pictures), _no_class(others) + left, notes


def _folders(root: Path) -> list[Path]:
    found = root.iterdir() if root.is_dir() else ()
    return sorted(
        path for path in found if path.is_dir() and not path.name.startswith(".")
    )


def _class_folders(root: Path) -> tuple[dict[str, Path], list[Path]]:
    """The folder of each class in their order, and the other folders."""
    found: dict[str, Path] = {}
    others = []
    for folder in _folders(root):
        label = class_of(folder.name)
        if label in found:
            raise DatasetError(f"skin_tumor: two folders of {label}, allowed is one")
        if label:
            found[label] = folder
        else:
            others.append(folder)
    return {label: found[label] for label in CLASSES if label in found}, others


def _no_class(folders: Sequence[Path]) -> list[str]:
    """Folders without a class that hold pictures; their names are not repeated."""
    counts = [
        sum(path.suffix.lower() in SUFFIXES for path in folder.rglob("*"))
        for folder in folders
    ]
    return [
        f"{count} pictures of a folder that is named after no class, allowed are "
        f"{', '.join(CLASSES)}"
        for count in counts
        if count
    ]


def _strays(folder: Path) -> list[str]:
    """What lies in a class folder and is no picture."""
    found = [path for path in folder.iterdir() if not path.name.startswith(".")]
    inner = sum(path.is_dir() for path in found)
    others = sum(
        path.is_file() and path.suffix.lower() not in SUFFIXES for path in found
    )
    label = class_of(folder.name)
    reasons = [f"{inner} folders within that of {label}"] if inner else []
    if others:
        reasons.append(f"{others} files of {label} are none of {', '.join(SUFFIXES)}")
    return reasons


def _of_folds(root: Path) -> tuple[list[Picture], list[str], list[str]]:
    """The original's folds: a picture is in `val` of one and in `train` of the others.

    The same content under one class is one picture, under two classes none.
    """
    labels: dict[str, set[str]] = {}
    first: dict[str, Path] = {}
    left: list[str] = []
    folds = _folders(root)
    for fold in folds:
        parts = [path for path in _folders(fold) if path.name.lower() in _PARTS]
        left += _no_class([one for one in _folders(fold) if one not in parts])
        for part in sorted(parts, key=lambda path: _PARTS.index(path.name.lower())):
            folders, others = _class_folders(part)
            left += _no_class(others)
            for label, folder in folders.items():
                left += _strays(folder)
                for path in list_images(folder):
                    content = hashlib.sha256(path.read_bytes()).hexdigest()
                    labels.setdefault(content, set()).add(label)
                    first.setdefault(content, path)
    if not first:
        raise DatasetError(
            f"skin_tumor: {FOLDS} without <fold>/train/<class> and <fold>/val/<class>, "
            f"classes being {', '.join(CLASSES)}"
        )
    several = sum(len(found) > 1 for found in labels.values())
    left += [f"{several} pictures that stand under two classes"] if several else []
    pictures: dict[str, list[Path]] = {}
    for content, path in first.items():
        if len(labels[content]) == 1:
            pictures.setdefault(min(labels[content]), []).append(path)
    ordered = {
        label: sorted(pictures[label], key=lambda path: path.name)
        for label in CLASSES
        if label in pictures
    }
    note = f"{FOLDS}: {len(folds)} folds, of which each picture is taken once"
    return _numbered(ordered), left, [note]


def _numbered(pictures: dict[str, list[Path]]) -> list[Picture]:
    return [
        Picture(f"{label}_{place:04d}", path, label)
        for label, paths in pictures.items()
        for place, path in enumerate(paths, start=1)
    ]


def patients_table(root: Path) -> Path | None:
    """`patients.csv` or `patients.xlsx`; None where there is neither.

    Raises:
        DatasetError: both are there.
    """
    tables = [root / PATIENTS, (root / PATIENTS).with_suffix(".xlsx")]
    found = [table for table in tables if table.is_file()]
    if len(found) > 1:
        names = " and ".join(table.name for table in found)
        raise DatasetError(f"skin_tumor: {root} has {names}, allowed is one")
    return found[0] if found else None


def with_patients(
    pictures: list[Picture], table: Path
) -> tuple[list[Picture], list[Picture]]:
    """Pictures with their patient, `P0001` the first that occurs, and those without.

    The table's `file` is `<class folder>/<file>`, or the file alone if only one class
    has such a name.

    Raises:
        DatasetError: the table does not hold what it should; no cell is repeated.
    """
    patients = _read_patients(table)
    numbers: dict[str, str] = {}
    for patient in map(one_spelling, patients.values()):
        numbers.setdefault(patient, f"P{len(numbers) + 1:04d}")
    names = Counter(picture.path.name for picture in pictures)
    owned, orphans = [], []
    for picture in pictures:
        keys = [f"{picture.label}/{picture.path.name}"]
        if names[picture.path.name] == 1:
            keys.append(picture.path.name)
        found = [patients[key] for key in keys if key in patients]
        if found:
            owned.append(replace(picture, patient_id=numbers[one_spelling(found[0])]))
        else:
            orphans.append(picture)
    return owned, orphans


def patient_notes(table: Path) -> list[str]:
    """What is odd about how the table calls patients."""
    return told_if_joined(_read_patients(table).values())


def _read_patients(table: Path) -> dict[str, str]:
    try:
        sheet = read_table(table, COLUMNS)
    except InputError as error:  # no message of its own repeats a cell
        raise DatasetError(str(error)) from None
    heading = [name.lower() for name in sheet.heading]
    rows = [[cell.strip() for cell in row] for row in sheet.rows]
    if sorted(heading) != sorted(COLUMNS):
        raise DatasetError(
            f"{table.name}: allowed are the columns {' and '.join(COLUMNS)} alone, "
            "parted by commas, semicolons or tabs"
        )
    file_column = heading.index("file")
    patients: dict[str, str] = {}
    for number, row in enumerate((row for row in rows if any(row)), start=1):
        if len(row) != len(COLUMNS) or not all(row):
            raise DatasetError(f"{table.name} row {number}: needs two cells")
        name = _key(row[file_column])
        if patients.setdefault(name, row[1 - file_column]) != row[1 - file_column]:
            raise DatasetError(f"{table.name} row {number}: a file of two patients")
    return patients


def _key(cell: str) -> str:
    parts = re.split(r"[/\\]", cell)
    label = class_of(parts[-2]) if len(parts) > 1 else None
    return f"{label}/{parts[-1]}" if label else parts[-1]
