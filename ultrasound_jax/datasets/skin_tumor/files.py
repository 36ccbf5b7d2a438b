"""Class folders of skin-tumour images and the csv that says whose they are."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.labels.table_cells import read_table
from ultrasound_jax.media.pictures import list_images
from ultrasound_jax.types import InputError

CLASSES = ("epidermal_cyst", "lipoma", "pilomatricoma")
_OTHERWISE = {"pilomatrixoma": "pilomatricoma", "epidermoid_cyst": "epidermal_cyst"}
PATIENTS = "patients.csv"
COLUMNS = ("file", "patient_id")


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
    """`Epidermal Cyst`, `epidermal-cyst` and `epidermal_cyst` are one; else None."""
    name = re.sub(r"[\s_-]+", "_", folder.strip().lower())
    name = _OTHERWISE.get(name, name)
    return name if name in CLASSES else None


def list_pictures(root: Path) -> list[Picture]:
    """All pictures by class and file name; `lipoma_0003` is the third lipoma.

    Raises:
        DatasetError: two folders of one class, or none.
    """
    folders: dict[str, Path] = {}
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        label = class_of(folder.name)
        if label in folders:
            raise DatasetError(f"skin_tumor: two folders of {label}, allowed is one")
        if label:
            folders[label] = folder
    if not folders:
        raise DatasetError(
            f"skin_tumor: {root} has no folder named {', '.join(CLASSES)}; see the "
            "set's README"
        )
    return [
        Picture(f"{label}_{place:04d}", path, label)
        for label in CLASSES
        if label in folders
        for place, path in enumerate(list_images(folders[label]), start=1)
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
    for patient in patients.values():
        numbers.setdefault(patient, f"P{len(numbers) + 1:04d}")
    names = [picture.path.name for picture in pictures]
    owned, orphans = [], []
    for picture in pictures:
        keys = [f"{picture.label}/{picture.path.name}"]
        if names.count(picture.path.name) == 1:
            keys.append(picture.path.name)
        found = [patients[key] for key in keys if key in patients]
        if found:
            owned.append(replace(picture, patient_id=numbers[found[0]]))
        else:
            orphans.append(picture)
    return owned, orphans


def _read_patients(table: Path) -> dict[str, str]:
    allowed = f"{table.name}: allowed are the columns {' and '.join(COLUMNS)} alone"
    try:
        sheet = read_table(table, COLUMNS)
    except InputError as error:  # no message of its own repeats a cell
        raise DatasetError(str(error)) from None
    heading = [name.lower() for name in sheet.heading]
    if sorted(heading) != sorted(COLUMNS):
        raise DatasetError(allowed)
    file_column = heading.index("file")
    rows = [[cell.strip() for cell in row] for row in sheet.rows]
    patients: dict[str, str] = {}
    for number, row in enumerate(rows, start=1):
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
