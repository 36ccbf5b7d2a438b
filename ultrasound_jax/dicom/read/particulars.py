"""What the header says of patient, probe and moment, as stored: for pseudonyms only."""

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset

from ultrasound_jax.dicom.read import elements

KEYWORDS = (
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "TransducerData",
    "TransducerType",
    "DepthOfScanField",
    "HeartRate",
    "UltrasoundColorDataPresent",
    "SeriesInstanceUID",
    "AcquisitionDateTime",
    "AcquisitionDate",
    "AcquisitionTime",
    "ContentDate",
    "ContentTime",
)
_FIRST_DAY = datetime.date(2000, 1, 1).toordinal()
_DATE = re.compile(r"(\d{4})[.-]?(\d\d)[.-]?(\d\d)", re.ASCII)
_TIME = re.compile(r"(\d\d):?(\d\d):?(\d\d)(?:[.,](\d{1,6}))?", re.ASCII)
_MOMENT = re.compile(r"(\d{8})(\d{6}(?:\.\d{1,6})?)(?:[+-]\d{4})?", re.ASCII)


@dataclass(frozen=True)
class Particulars:
    """Texts and numbers that may name somebody; nothing of it is to be written.

    depth: mm; heart_rate: beats a minute; colour_present: 1 or 0.
    acquired, content: when the file's frame was taken and its pixels were made, in
    seconds since the year 2000; of the time of day alone where there is no date.
    """

    name: str = ""
    birth_date: str = ""
    sex: str = ""
    age: str = ""
    transducer: tuple[str, ...] = ()
    transducer_type: str = ""
    depth: float | None = None
    heart_rate: float | None = None
    colour_present: int | None = None
    series_uid: str = ""
    acquired: float | None = None
    content: float | None = None


def read_particulars(dataset: Dataset) -> Particulars:
    """Reads them; a malformed value counts as absent."""
    moment = _MOMENT.fullmatch(elements.text(dataset, "AcquisitionDateTime"))
    acquired = _seconds(*moment.groups()) if moment else None
    if acquired is None:
        acquired = _seconds(
            elements.text(dataset, "AcquisitionDate"),
            elements.text(dataset, "AcquisitionTime"),
        )
    return Particulars(
        name=elements.text(dataset, "PatientName"),
        birth_date=elements.text(dataset, "PatientBirthDate"),
        sex=elements.text(dataset, "PatientSex"),
        age=elements.text(dataset, "PatientAge"),
        transducer=elements.texts(dataset, "TransducerData"),
        transducer_type=elements.text(dataset, "TransducerType"),
        depth=elements.number(dataset, "DepthOfScanField"),
        heart_rate=elements.number(dataset, "HeartRate"),
        colour_present=elements.integer(dataset, "UltrasoundColorDataPresent"),
        series_uid=elements.text(dataset, "SeriesInstanceUID"),
        acquired=acquired,
        content=_seconds(
            elements.text(dataset, "ContentDate"), elements.text(dataset, "ContentTime")
        ),
    )


def from_json(tree: Mapping[str, Any]) -> Particulars:
    """The particulars that `dataclasses.asdict` made plain data of."""
    values: dict[str, Any] = dict(tree)
    values["transducer"] = tuple(values.get("transducer", ()))
    return Particulars(**values)


def as_date(text: str) -> datetime.date | None:
    """A date as DICOM writes it, today's form and the retired ones."""
    match = _DATE.fullmatch(text.strip())
    try:
        return datetime.date(*map(int, match.groups())) if match else None
    except ValueError:
        return None


def _seconds(date: str, time: str) -> float | None:
    match = _TIME.fullmatch(time)
    if match is None:
        return None
    hours, minutes, seconds = map(int, match.groups()[:3])
    if hours > 23 or minutes > 59 or seconds > 60:
        return None
    day = as_date(date)
    days = 0 if day is None else day.toordinal() - _FIRST_DAY
    fraction = float(f"0.{match[4] or 0}")
    return days * 86400.0 + hours * 3600 + minutes * 60 + seconds + fraction
