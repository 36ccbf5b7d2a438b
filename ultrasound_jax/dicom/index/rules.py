"""How an index is made: who is a patient, what is kept, what is joined."""

import dataclasses
import re
from dataclasses import dataclass
from typing import Any

from ultrasound_jax.types import InputError

DATES = ("shift", "drop")
_OF_FACTS = ("patient_from", "dates", "keep_damaged", "keep_videos")
_FOLDER = re.compile(r"folder(?::([1-9]\d?))?")


@dataclass(frozen=True)
class Rules:
    """How identities are told and what is kept.

    patient_from: 0 takes PatientID, n the name of the n-th folder above a file.
    dates: `shift` or `drop`.
    keep_regionless: files without ultrasound regions are used whole, not skipped.
    keep_duplicates: files of one SOPInstanceUID are all used.
    keep_damaged: so are files whose first frame is damaged or whose end is missing.
    keep_captures: Secondary Captures that claim no other modality are used as if they
        were ultrasound.
    keep_videos: so are videos that are no DICOM files.
    join_patients: patients of one name and date of birth are one.
    join_series: single-frame files of one series are one cine.
    """

    patient_from: int = 0
    dates: str = "shift"
    keep_regionless: bool = False
    keep_duplicates: bool = False
    keep_damaged: bool = False
    keep_captures: bool = False
    keep_videos: bool = False
    join_patients: bool = False
    join_series: bool = False

    @classmethod
    def patient_level(cls, text: str) -> int:
        """Understands `tag`, `folder` and `folder:2`.

        Raises:
            InputError: it is something else.
        """
        match = _FOLDER.fullmatch(text)
        if text != "tag" and not match:
            raise InputError(
                f"patients from {text!r}, allowed are tag, folder and folder:N, N "
                "folders above the file"
            )
        return int(match[1] or 1) if match else 0


def rules_as_data(rules: Rules) -> dict[str, Any]:
    """What of the rules changes the facts of a file."""
    tree = dataclasses.asdict(rules)
    return {name: tree[name] for name in _OF_FACTS}
