"""What a clinical file says about itself, without reading its pixels."""

import dataclasses
import math
from pathlib import Path

from ultrasound_jax.dicom.read import elements
from ultrasound_jax.dicom.read.regions import (
    Region,
    read_regions,
)
from ultrasound_jax.dicom.read.source import (
    Source,
    open_source,
)
from ultrasound_jax.dicom.read.timing import (
    FrameTiming,
    read_timing,
)
from ultrasound_jax.runs.limits import Limits
from ultrasound_jax.types import InputError

_STORAGE = "1.2.840.10008.5.1.4.1.1."
ULTRASOUND = {
    _STORAGE + "3",  # multi-frame, retired
    _STORAGE + "3.1",  # multi-frame
    _STORAGE + "6",  # single frame, retired
    _STORAGE + "6.1",  # single frame
}
VOLUME = _STORAGE + "6.2"
MODALITIES = {"US", "IVUS", "BDUS"}
PHOTOMETRIC = {
    "MONOCHROME1",
    "MONOCHROME2",
    "PALETTE COLOR",
    "RGB",
    "YBR_FULL",
    "YBR_FULL_422",
    "YBR_ICT",
    "YBR_PARTIAL_420",
    "YBR_PARTIAL_422",
    "YBR_RCT",
}


@dataclasses.dataclass(frozen=True)
class CineHeader:
    """A clinical picture or cine, as its header describes it.

    Holds identifiers of the patient as the file has them: they are for pseudonyms and
    must not be written anywhere.

    frames: what the header states, 1 where it says nothing.
    multi_frame: NumberOfFrames is present.
    transfer_syntax: UID; found out where the file does not say.
    regions: every calibrated region, in the file's order.
    frame_bytes: one frame, uncompressed, as the header describes it.
    """

    path: Path
    sop_instance_uid: str
    patient_id: str
    study_uid: str
    study_date: str
    instance_number: int | None
    is_ultrasound: bool
    frames: int
    multi_frame: bool
    rows: int
    columns: int
    samples: int
    bits_allocated: int
    transfer_syntax: str
    photometric: str
    timing: FrameTiming
    regions: tuple[Region, ...]
    manufacturer: str
    model: str
    frame_bytes: int

    @property
    def pixel_aspect(self) -> float:
        """1: what lies outside of calibrated regions is taken as square."""
        return 1.0


def read_header(path: str | Path, *, limits: Limits | None = None) -> CineHeader:
    """Reads the header of a DICOM file that holds pixels.

    A file is ultrasound by its SOP class or, for captures in other classes, by its
    modality.

    Raises:
        InputError: no such file, not DICOM, no pixels, a header that makes no sense or
            is beyond the limits, or an Enhanced US Volume, which is not supported.
    """
    path = Path(path)
    try:
        with open_source(path, limits or Limits()) as source:
            return header_of(path, source, limits or Limits())
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


@elements.quiet()
def header_of(path: Path, source: Source, limits: Limits) -> CineHeader:
    """Makes the header of an opened file.

    Raises:
        InputError: as `read_header`, without the file's name.
    """
    dataset = source.dataset
    # Some writers put the identifiers into the meta group only.
    sop_class = elements.text(dataset, "SOPClassUID") or source.meta_identifiers[0]
    instance = elements.text(dataset, "SOPInstanceUID") or source.meta_identifiers[1]
    if sop_class == VOLUME:
        raise InputError(
            "an Enhanced US Volume is not supported, allowed are 2-D cines"
        )
    rows, columns = (_positive(source, keyword) for keyword in ("Rows", "Columns"))
    samples = _positive(source, "SamplesPerPixel", 1)
    bits = _positive(source, "BitsAllocated", 8)
    if samples not in (1, 3) or bits not in (1, 8, 16, 32):
        raise InputError(
            f"{samples} samples of {bits} bits a pixel, allowed are 1 or 3 of 1, 8, 16 "
            "or 32"
        )
    stated = elements.is_given(dataset, "NumberOfFrames")
    frames = _positive(source, "NumberOfFrames") if stated else 1
    if frames > limits.frames or rows * columns > limits.pixels:
        raise InputError(
            f"{frames} frames of {columns} x {rows} pixels, allowed are "
            f"{limits.frames} frames of {limits.pixels} pixels"
        )
    photometric = elements.text(dataset, "PhotometricInterpretation").upper()
    photometric = photometric or ("RGB" if samples == 3 else "MONOCHROME2")
    if photometric not in PHOTOMETRIC:
        raise InputError(
            f"the photometric interpretation is not one of {sorted(PHOTOMETRIC)}"
        )
    return CineHeader(
        path=path,
        sop_instance_uid=instance,
        patient_id=elements.text(dataset, "PatientID"),
        study_uid=elements.text(dataset, "StudyInstanceUID"),
        study_date=elements.text(dataset, "StudyDate"),
        instance_number=elements.integer(dataset, "InstanceNumber"),
        is_ultrasound=sop_class in ULTRASOUND
        or elements.text(dataset, "Modality").upper() in MODALITIES,
        frames=frames,
        multi_frame=stated,
        rows=rows,
        columns=columns,
        samples=samples,
        bits_allocated=bits,
        transfer_syntax=source.syntax,
        photometric=photometric,
        timing=read_timing(dataset, frames),
        regions=read_regions(dataset),
        manufacturer=elements.text(dataset, "Manufacturer"),
        model=elements.text(dataset, "ManufacturerModelName"),
        frame_bytes=math.ceil(rows * columns * samples * bits / 8),
    )


def _positive(source: Source, keyword: str, default: int | None = None) -> int:
    found = elements.integer(source.dataset, keyword)
    if default is not None and not elements.is_given(source.dataset, keyword):
        return default
    if found is None or found < 1:
        stated = "not a number" if found is None else found
        raise InputError(f"{keyword} is {stated}, allowed are 1 and more")
    return found
