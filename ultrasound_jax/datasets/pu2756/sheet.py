"""The anonymised sheet of PU2756, and the refusal of any other.

The spreadsheets that were published hold patients' names and hospital numbers. Nothing
here reads them: a sheet with a column that is not on the list is refused before a row
is looked at, and no message repeats what a cell says. A sheet without headings has
patients where headings should be, so headings are not repeated either.
"""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.nameless_csv import read_rows
from ultrasound_jax.runs.table_cells import one_spelling, told_if_joined

FILE = "pu2756.csv"
REQUIRED = ("id", "label2", "label6", "fold")
OPTIONAL = ("patient",)
LABELS = ("benign", "malignant")
DIAGNOSES = (
    "benign",
    "adenocarcinoma",
    "squamous",
    "small_cell",
    "other",
    "unknown",
)
FOLDS = 5
# Headings that name a person, in English and in the original's Chinese.
_PERSONAL = (
    "name",
    "birth",
    "dob",
    "phone",
    "address",
    "passport",
    "serial",
    "accession",
    "pathology",
    "sex",
    "age",
    "date",
    "time",
    "姓名",
    "性别",
    "年龄",
    "出生",
    "检查号",
    "流水号",
    "检查时间",
    "病理号",
    "身份证",
    "电话",
    "住院号",
    "门诊号",
)
_HOW = (
    f"allowed are {', '.join(REQUIRED)} and {', '.join(OPTIONAL)}; make such a sheet "
    "as ultrasound_jax/datasets/pu2756/README.md says"
)


@dataclass(frozen=True)
class Examination:
    """One row: an examination, under names that tell nobody.

    folder: of its images and their masks; a hospital's number, never to be written.
    """

    image_id: str
    patient_id: str
    folder: str
    label: str
    diagnosis: str
    fold: int

    def __repr__(self) -> str:
        return f"Examination({self.image_id!r})"


def read_sheet(path: Path) -> tuple[list[Examination], list[str]]:
    """All rows, and notes on what is odd about them.

    `E0007` is the examination of row 7 and `P0003` the third patient that occurs.
    Without a column `patient` every examination is a patient of its own.

    Raises:
        DatasetError: no such sheet, a column too many or too few, or a row that does
            not hold what it should; no value of the sheet is repeated.
    """
    rows = _read_rows(path)
    examinations: list[Examination] = []
    patients: dict[str, str] = {}
    folders: set[str] = set()
    for number, row in enumerate(rows, start=1):
        folder = _folder(row["id"], f"{path.name} row {number}")
        if folder in folders:
            raise DatasetError(f"{path.name} row {number}: its id occurs twice")
        folders.add(folder)
        examinations.append(_examination(row, number, folder, patients, path.name))
    if not examinations:
        raise DatasetError(f"{path.name}: has no rows")
    joined = told_if_joined(filter(None, (row.get("patient") for row in rows)))
    return examinations, [*_notes(examinations, "patient" in rows[0]), *joined]


def _read_rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        raise DatasetError(f"pu2756: no {path.name} beside the images; {_HOW}")
    first, *lines = read_rows(path, ("id", "label2", "label6", "fold", "patient")) or [
        []
    ]
    headings = [heading.lower() for heading in first]
    _check_headings(headings, path.name)
    rows = []
    for number, line in enumerate((line for line in lines if any(line)), start=1):
        if len(line) != len(headings):
            raise DatasetError(
                f"{path.name} row {number}: {len(line)} cells, the headings are "
                f"{len(headings)}"
            )
        rows.append(dict(zip(headings, line, strict=True)))
    return rows


def _check_headings(headings: list[str], name: str) -> None:
    strange = [
        place
        for place, heading in enumerate(headings, start=1)
        if heading not in (*REQUIRED, *OPTIONAL)
    ]
    if strange:
        words = sorted({w for place in strange for w in _personal(headings[place - 1])})
        looks = f" (they speak of {', '.join(words)})" if words else ""
        places = ", ".join(map(str, strange))
        raise DatasetError(
            f"{name}: refused for its columns {places}{looks}, as personal data must "
            f"not come in: {_HOW}"
        )
    missing = [heading for heading in REQUIRED if heading not in headings]
    if missing or len(set(headings)) != len(headings):
        lacks = f"lacks {', '.join(missing)}" if missing else "has a column twice"
        raise DatasetError(f"{name}: {lacks}; {_HOW}")


def _personal(heading: str) -> list[str]:
    words = re.split(r"[^a-z]+", heading)
    return [
        word
        for word in _PERSONAL
        if (word in words if word.isascii() else word in heading)
    ]


def _folder(cell: str, row: str) -> str:
    if not cell or cell in (".", "..") or any(sign in cell for sign in "/\\\0"):
        raise DatasetError(f"{row}: its id is not the name of a folder")
    return cell


def _examination(
    row: dict[str, str], number: int, folder: str, patients: dict[str, str], name: str
) -> Examination:
    where = f"{name} row {number}"
    label = {"0": "benign", "1": "malignant"}.get(row["label2"], row["label2"].lower())
    if label not in LABELS:
        raise DatasetError(f"{where}: label2 is none of {', '.join(LABELS)}, 0, 1")
    diagnosis = row["label6"].lower().replace(" ", "_").replace("-", "_") or "unknown"
    if diagnosis not in DIAGNOSES:
        raise DatasetError(f"{where}: label6 is none of {', '.join(DIAGNOSES)}")
    fold = row["fold"] or "0"
    if fold not in map(str, range(FOLDS + 1)):
        raise DatasetError(f"{where}: fold is not blank or 1 to {FOLDS}")
    # Told apart from folders, which stand in for patients that are not given.
    patient = f"folder {folder}"
    if row.get("patient"):
        patient = f"patient {one_spelling(row['patient'])}"
    patient_id = patients.setdefault(patient, f"P{len(patients) + 1:04d}")
    return Examination(
        f"E{number:04d}", patient_id, folder, label, diagnosis, int(fold)
    )


def _notes(examinations: list[Examination], patients_known: bool) -> list[str]:
    notes = []
    if not patients_known:
        notes.append("no column patient: every examination is a patient of its own")
    folds = defaultdict(set)
    for one in examinations:
        folds[one.patient_id].add(one.fold)
        benign = one.diagnosis == "benign"
        if one.diagnosis != "unknown" and benign != (one.label == "benign"):
            notes.append(f"{one.image_id}: label2 and label6 disagree")
    crossing = sorted(patient for patient, found in folds.items() if len(found) > 1)
    if crossing:
        some = ", ".join(crossing[:10])
        notes.append(f"{len(crossing)} patients are in several folds: {some}")
    return notes
