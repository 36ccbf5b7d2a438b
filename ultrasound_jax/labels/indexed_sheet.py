"""Sheets in the terms of an index: pseudonyms for patients, known lengths."""

import re
import sys
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from ultrasound_jax.dicom.deid.pseudonyms import Pseudonyms
from ultrasound_jax.dicom.index.table import IndexRow
from ultrasound_jax.labels.sheet import (
    LabelRow,
    read_sheet,
)
from ultrasound_jax.types import InputError

_PSEUDONYM = re.compile(r"P[0-9a-f]{10}")
_VIDEO = re.compile(r"P[0-9a-f]{10}_\d{5}")


def patient_names(
    key_file: str | None, known: Collection[str]
) -> Callable[[str], str] | None:
    """What turns a `PatientID` of a sheet into its pseudonym; None without a key.

    Pseudonyms that are `known`, from the index, stay as they are.

    Raises:
        InputError: there is no such key file: a new key would give other pseudonyms. Of
            the function: without an index, a name that may be a hospital's as well as
            a pseudonym.
    """
    if key_file is None:
        return None
    if not Path(key_file).is_file():
        raise InputError(f"{key_file}: no such key file; `index` makes it")
    key = Pseudonyms.open(key_file)

    def pseudonym(name: str) -> str:
        if name in known:
            return name
        if not known and _PSEUDONYM.fullmatch(name):
            raise InputError(
                f"{name} in the column PatientID is a pseudonym or a hospital's id: "
                "--index INDEX.csv tells"
            )
        return key.patient(name)

    return pseudonym


def read_rows(
    path: str | Path, *, index: Iterable[IndexRow] = (), key_file: str | None = None
) -> list[LabelRow]:
    """Reads a sheet and checks its ranges against the lengths that the index knows.

    Raises:
        InputError: as `read_sheet` and `patient_names`.
    """
    rows = list(index)
    frames = {row.video_id: row.frames for row in rows if row.ok and row.frames}
    known = {row.patient_id for row in rows if row.patient_id}
    return read_sheet(path, frames=frames, patient_name=patient_names(key_file, known))


def check_outputs(outputs: Iterable[str | None], inputs: Iterable[str | None]) -> None:
    """Refuses to write two files to one place, or over a file that is read.

    Raises:
        InputError: names the file.
    """
    places = {Path(name).resolve() for name in inputs if name}
    for name in filter(None, outputs):
        if Path(name).resolve() in places:
            raise InputError(f"{name}: would be written over another of the files")
        places.add(Path(name).resolve())


def warn_of_names(rows: Iterable[LabelRow]) -> None:
    """Says on standard error if rows are not named by pseudonyms."""
    named = [row for row in rows if not _VIDEO.fullmatch(row.video_id)]
    if named:
        print(
            f"note: {len(named)} rows are not named by pseudonyms of this program; "
            "outputs name them as the sheet does. --key-file KEY makes pseudonyms",
            file=sys.stderr,
        )
