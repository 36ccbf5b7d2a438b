"""The folder that regions are cut from: pictures, masks, and whose they are.

cases.json   of which dataset the pictures are, its classes, what a patient stands for
cases.csv    example_id, video_id, patient_id, label_<class> of each picture
pictures/    one PNG a picture, grey
true/        the dataset's own mask of each, 0 outside
found/       the mask that was found on each by a network that never saw it
found_<k>/   the same where fold k is judged, by networks that saw nothing of it either
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import numpy as np
from jaxtyping import UInt8

from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.media.regions import TRUE
from ultrasound_jax.runs.files import read_json

ABOUT, TABLE = "cases.json", "cases.csv"
PICTURES, TRUTH, FOUND = "pictures", "true", "found"
IDS = ("example_id", "video_id", "patient_id")
LABEL = "label_"


@dataclass(frozen=True)
class Case:
    """A picture: whose it is, its labels in the order of the classes, its file."""

    example_id: str
    video_id: str
    patient_id: str
    labels: tuple[int, ...]

    @property
    def file(self) -> str:
        """What its picture and masks are called, each in its folder."""
        return file_of(self.example_id)


def file_of(example_id: str) -> str:
    """What the files of an example are called."""
    return f"{quote(example_id, safe=' ()')}.png"


def masks_of(kind: str, outer: int) -> str:
    """The folder of the masks that a kind of region is the box of."""
    if kind == TRUE:
        return TRUTH
    return found_folder(outer)


def found_folder(outer: int) -> str:
    """The folder of found masks: of all, or where this fold is judged."""
    return FOUND if outer < 0 else f"{FOUND}_{outer}"


def read_about(root: Path) -> dict[str, Any]:
    """What `cases.json` says.

    Raises:
        DatasetError: it is not there, or lacks something.
    """
    path = root / ABOUT
    if not path.is_file():
        raise DatasetError(
            f"regions: there is no {ABOUT} in '{root}'; allowed is the folder `cases` "
            "that python -m ultrasound_jax.predict.stages writes"
        )
    about = read_json(path)
    needed = {"dataset", "classes", "units", "patient"}
    if not isinstance(about, dict) or (missing := needed - about.keys()):
        told = "it is no object" if not isinstance(about, dict) else missing
        raise DatasetError(f"{path}: lacks {told}; allowed is what stages wrote")
    return about


def read_cases(root: Path, classes: Sequence[str]) -> list[Case]:
    """The pictures of `cases.csv`.

    Raises:
        DatasetError: its columns are others, or a label is none.
    """
    path = root / TABLE
    columns = [*IDS, *(f"{LABEL}{name}" for name in classes)]
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: cannot be read: {error}") from error
    if not rows or list(rows[0]) != columns:
        raise DatasetError(f"{path}: allowed are rows of {', '.join(columns)}")
    found = []
    for number, row in enumerate(rows, 2):
        labels = [row[name] for name in columns[len(IDS) :]]
        if not {*labels} <= {"0", "1", "-1"}:
            raise DatasetError(f"{path}:{number}: labels {labels}, allowed: 0, 1, -1")
        example, video, patient = (row[name] for name in IDS)
        found.append(Case(example, video, patient, tuple(map(int, labels))))
    return found


def read_grey(path: Path) -> UInt8[np.ndarray, "h w"]:
    """A grey PNG of eight bits.

    Raises:
        DatasetError: it is none.
    """
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None or image.dtype != np.uint8 or image.ndim != 2:
        raise DatasetError(f"{path}: is no grey PNG of 8 bits, allowed is one")
    return image
