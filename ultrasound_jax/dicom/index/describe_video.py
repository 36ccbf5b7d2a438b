"""What the index wants to know of a video, which has no header to tell it."""

import dataclasses
from pathlib import Path
from typing import Any

from ultrasound_jax.dicom.clean.film import FilmCine
from ultrasound_jax.dicom.read.particulars import Particulars
from ultrasound_jax.runs.limits import Limits


def describe_video(path: Path, limits: Limits) -> dict[str, Any]:
    """The same as `describe.describe_file` gives of a DICOM file, but for its hash.

    It names nobody: patient and study are empty. Its frames are counted and timed.

    Raises:
        InputError: it cannot be decoded, or is beyond the limits.
    """
    with FilmCine(path, want="grey", limits=limits) as film:
        header = film.header
        notes = (*film.notes, *header.timing.notes)
    times = header.timing.times
    return {
        "state": "described",
        "film": True,
        "ultrasound": True,
        "capture": False,
        "instance": None,
        "particulars": dataclasses.asdict(Particulars()),
        "times": None if times is None else times.tolist(),
        **dict.fromkeys(
            ("patient_id", "study_uid", "study_date", "sop", "manufacturer", "model"),
            "",
        ),
        "fields": {
            "data_type": "video" if header.frames > 1 else "image",
            "frames": header.frames,
            "rows": header.rows,
            "columns": header.columns,
            "transfer_syntax": "",
            "photometric": "",
            "frame_rate": header.timing.rate,
            "frame_rate_source": header.timing.source,
            "regions": [],
            "region_index": None,
            "mm_x": None,
            "mm_y": None,
            "depth_mm": None,
            "heart_rate": None,
            "colour_flow": "",
            "reason": "; ".join(["a video: its scale is unknown", *notes]),
        },
    }
