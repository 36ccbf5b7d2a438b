"""What the index wants to know of one file. Runs in a worker process.

The answer holds the patient's identifiers as the file has them. It goes to the parent
through a pipe and is made pseudonymous there before anything is written.
"""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

from ultrasound_jax.dicom.index.describe_video import describe_video
from ultrasound_jax.dicom.index.shown import (
    colour_flow,
    depth_mm,
    heart_rate,
)
from ultrasound_jax.dicom.read.counting import count_header
from ultrasound_jax.dicom.read.decode import open_cine
from ultrasound_jax.dicom.read.header import (
    CineHeader,
    read_header,
)
from ultrasound_jax.dicom.read.region_kinds import (
    beside_the_plane,
    kind_without_plane,
    largest_of,
)
from ultrasound_jax.dicom.read.regions import choose_region
from ultrasound_jax.media.formats import video
from ultrasound_jax.media.open import HEAD
from ultrasound_jax.runs.limits import Limits
from ultrasound_jax.types import InputError

_MAGIC = (128, b"DICM")
# Without a preamble a data set begins with group 2 or 8, in either byte order.
_BARE = ((b"\2\0", b"\0"), (b"\x08\0", b"\0"), (b"\0\2", b""), (b"\0\x08", b""))
_SUFFIXES = (".dcm", ".dicom", ".ima", ".dic")
_CHUNK = 1 << 20


def describe_file(item: dict[str, Any]) -> dict[str, Any]:
    """Looks into one file.

    Args:
        item: `path`; `limits` as the fields of `Limits`; `pixels`: decode the first
            frame as well, so that a file with a header only is found out; `damaged`:
            as `open_cine` has it; `videos`: describe videos as well.

    Returns:
        `state`: `described`, `unreadable` (with `reason`) or `not_dicom`; `sha256` of
        all but the last; and of a described file the fields of IndexRow that can be
        told without pseudonyms, with `patient_id`, `study_uid`, `study_date`, `sop`
        and `particulars` as stored, `ultrasound`, `capture`, `instance` and `times`;
        `hurt` says why its only frame does not decode, where damage is kept.
    """
    path, limits = Path(item["path"]), Limits(**item["limits"])
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
            claims = _claims_dicom(path.name, head[:132])
            film = not claims and item.get("videos", False) and video.knows(head)
            if not claims and not film:
                return {"state": "not_dicom"}
            digest = hashlib.sha256(head)
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        return {
            "state": "unreadable",
            "reason": f"cannot be read: {error.strerror}",
            "sha256": "",
        }
    known = {"sha256": digest.hexdigest()}
    if path.name.upper() == "DICOMDIR":
        reason = "a DICOMDIR, which lists files and has no pixels"
        return known | {"state": "unreadable", "reason": reason}
    if not head:
        return known | {"state": "unreadable", "reason": "the file is empty"}
    try:
        if film:
            return known | describe_video(path, limits)
        return known | _described(read_header(path, limits=limits), item, limits)
    except InputError as error:
        reason = str(error).removeprefix(f"{path}: ")
        return known | {"state": "unreadable", "reason": reason}


def _claims_dicom(name: str, head: bytes) -> bool:
    """Whether a file has the look or the name of DICOM."""
    start, magic = _MAGIC
    if head[start:].startswith(magic):
        return True
    if name.upper() == "DICOMDIR" or name.lower().endswith(_SUFFIXES):
        return True
    return any(head[:2] == group and head[3:4].startswith(z) for group, z in _BARE)


def _described(
    header: CineHeader, item: dict[str, Any], limits: Limits
) -> dict[str, Any]:
    pixel_notes: list[str] = []
    damaged, first, hurt = item.get("damaged", "refuse"), None, ""
    if item["pixels"] and (header.is_ultrasound or header.is_capture):
        try:
            with open_cine(header.path, limits=limits, damaged=damaged) as cine:
                # How many frames there are, and of a film their rate, is known now.
                header, pixel_notes = cine.header, list(cine.notes)
                if not colour_flow(header, None, None):  # nothing but pixels tells
                    first = next(cine.frames())
        except InputError as error:
            # It may be one frame of many; alone it is no use.
            if damaged == "refuse" or header.frames > 1:
                raise
            hurt = str(error).removeprefix(f"{header.path}: ")
    elif header.is_ultrasound or header.is_capture:
        header, counted = count_header(header.path, limits=limits, damaged=damaged)
        pixel_notes = list(counted)
    chosen = choose_region(header.regions, header.rows, header.columns)
    region, notes = chosen if chosen is not None else (None, [])
    kind = kind_without_plane(header.regions)
    if kind:
        region = largest_of(header.regions, kind)
        notes = [f"no region is 2-D: convert skips it without --keep {kind}"]
    timing = header.timing
    return {
        "state": "described",
        "patient_id": header.patient_id,
        "study_uid": header.study_uid,
        "study_date": header.study_date,
        "sop": header.sop_instance_uid,
        "ultrasound": header.is_ultrasound,
        "capture": header.is_capture,
        "instance": header.instance_number,
        "hurt": hurt,
        "particulars": dataclasses.asdict(header.particulars),
        "times": None if timing.times is None else timing.times.tolist(),
        "manufacturer": header.manufacturer,
        "model": header.model,
        "fields": {
            # The original calls every file with NumberOfFrames a video, but many
            # scanners write a 1 into their stills.
            "data_type": kind or ("video" if header.frames > 1 else "image"),
            "frames": header.frames,
            "rows": header.rows,
            "columns": header.columns,
            "transfer_syntax": header.transfer_syntax,
            "photometric": header.photometric,
            "frame_rate": timing.rate,
            "frame_rate_source": timing.source,
            "regions": [dataclasses.asdict(r) for r in header.regions],
            "region_index": None if region is None else region.index,
            "mm_x": None if region is None else region.mm_x,
            "mm_y": None if region is None else region.mm_y,
            "depth_mm": depth_mm(header, region),
            "heart_rate": heart_rate(header),
            "colour_flow": colour_flow(header, region, first),
            "reason": "; ".join(
                [
                    *notes,
                    *beside_the_plane(header.regions),
                    *timing.notes,
                    *pixel_notes,
                ]
            ),
        },
    }
