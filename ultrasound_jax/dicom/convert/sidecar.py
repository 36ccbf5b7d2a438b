"""What may stand beside the pixels: a list of names, and nothing that is not on it.

After the basic profile of DICOM PS3.15, annex E: nothing is removed from a copy of
the header; the few elements that are needed are put into an empty one.
"""

import hashlib
import json
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from ultrasound_jax.dicom.index.table import IndexRow
from ultrasound_jax.runs import json_text
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.types import InputError

# Of an index row: pseudonyms, and what the machine (not a person) has written.
FROM_INDEX = (
    "video_id",
    "patient_id",
    "study_id",
    "data_type",
    "transfer_syntax",
    "photometric",
    "manufacturer",
    "model",
)
FROM_CLEANING = (
    "settings",
    "region_box",
    "fan",
    "fan_kept",
    "fan_share_of_picture",
    "mm_per_pixel_x",
    "mm_per_pixel_y",
    "notes",
    "review",
    "withheld_frames",
    "black_frames",
)
ALLOWED = frozenset(
    (
        *FROM_INDEX,
        *FROM_CLEANING,
        "format",
        "program",
        "fingerprint",
        "decoder",
        "region_index",
        "damaged_frames",
        "source_rows",
        "source_columns",
        "source_frames",
        "source_frame_rate",
        "source_frame_rate_source",
        "rows",
        "columns",
        "frames",
        "frame_rate",
        "frame_times",
        "codec",
        "source_frame_of_frame",
        "clip_length",
        "clip_step",
        "clip_tail",
        "clip_contained",
        "files",
    )
)
FORMAT = "ultrasound_jax sidecar 2"  # 1: not every frame had been looked at


def program() -> str:
    """Name and version of this program."""
    try:
        return f"ultrasound_jax {metadata.version('ultrasound_jax')}"
    except metadata.PackageNotFoundError:
        return "ultrasound_jax"


def about(row: IndexRow) -> dict[str, str]:
    """The fields of an index row that may stand in a sidecar."""
    return {name: str(getattr(row, name)) for name in FROM_INDEX}


def fingerprint(job: Mapping[str, Any], sha256: str) -> str:
    """16 hexadecimal digits of everything that a result depends on."""
    text = json.dumps([dict(job), sha256, program()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_sidecar(path: Path, fields: Mapping[str, Any]) -> None:
    """Writes the JSON file, keys sorted.

    Raises:
        InputError: a key is not allowed, or the file cannot be written.
    """
    fields = {"format": FORMAT, "program": program(), **fields}
    unknown = sorted(set(fields) - ALLOWED)
    if unknown:
        raise InputError(
            f"{path.name}: {', '.join(unknown)} may not stand in a sidecar, allowed "
            f"are {', '.join(sorted(ALLOWED))}"
        )
    write_whole(path, json.dumps(fields, indent=1, sort_keys=True) + "\n")


def read_sidecar(path: Path) -> dict[str, Any] | None:
    """What an earlier run has written; None if it is not there or not whole."""
    try:
        fields = json_text.parsed(path.read_bytes())
    except (OSError, ValueError):
        return None
    whole = isinstance(fields, dict) and fields.get("format") == FORMAT
    return fields if whole else None
