"""Writes pictures that were made, not recorded, as valid ultrasound DICOM files.

For phantoms and tests: whatever reads clinical cines can then be tried on frames whose
truth is known. Every file says in its own elements that it is synthetic.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pydicom
from jaxtyping import UInt8
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import get_encoder  # pyright: ignore[reportPrivateImportUsage]

from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.types import InputError

MANUFACTURER, MODEL = "ultrasound_jax", "SYNTHETIC"
_TWO_D, _TISSUE, _CENTIMETRES = 1, 1, 3
_FRAME_TIME, _FRAME_TIME_VECTOR = 0x00181063, 0x00181065
_JPEG_QUALITY = 95
SYNTAXES = {
    "explicit": uid.ExplicitVRLittleEndian,
    "implicit": uid.ImplicitVRLittleEndian,
    "big_endian": uid.ExplicitVRBigEndian,
    "deflated": uid.DeflatedExplicitVRLittleEndian,
    "rle": uid.RLELossless,
    "jpeg": uid.JPEGBaseline8Bit,
    "jpeg2000": uid.JPEG2000Lossless,
}


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Made-up names of a made-up examination; equal ones give equal UIDs.

    patient_id, study: any text. study_date: `YYYYMMDD`. instance: the file's number.
    """

    patient_id: str
    study: str = "1"
    study_date: str = "20010101"
    instance: int = 1

    def make_uid(self, kind: str, *more: object) -> uid.UID:
        """A UID that depends on nothing but these texts."""
        texts = [MANUFACTURER, kind, self.patient_id, self.study, *map(str, more)]
        return uid.generate_uid(entropy_srcs=texts)


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The one 2-D tissue region of a picture.

    left, top, right, bottom: its box, last column and row included. pixel_mm: side of
    a pixel.
    """

    left: int
    top: int
    right: int
    bottom: int
    pixel_mm: float


def write_cine(
    path: str | Path,
    frames: UInt8[np.ndarray, "t h w *c"],
    *,
    identity: Identity,
    frame_rate: float | None = 30.0,
    times: Sequence[float] | None = None,
    calibration: Calibration | None = None,
    syntax: str = "explicit",
    multi_frame: bool = True,
) -> None:
    """Writes frames as an Ultrasound (Multi-frame) Image object.

    The same arguments give the same bytes. `jpeg` is lossy (baseline, quality 95) and
    stores colour as YBR_FULL_422; everything else is exact.

    Args:
        path: of the file; its folder is made.
        frames: grey `t h w`, or RGB `t h w 3`.
        identity: who and what it claims to show.
        frame_rate: Hz, as FrameTime and CineRate; None leaves both out.
        times: seconds of each frame, strictly increasing: FrameTimeVector instead.
        calibration: the region; None writes a file without one, as scanners do for
            screens that show no echo.
        syntax: one of `SYNTAXES`.
        multi_frame: False writes a single frame as a still image.

    Raises:
        InputError: frames, times or names that no such file can hold.
    """
    _check(frames, times, syntax, multi_frame)
    dataset = _identified(identity, multi_frame)
    dataset.BurnedInAnnotation = "NO" if calibration is None else "YES"
    if multi_frame:
        _add_timing(dataset, len(frames), frame_rate, times)
    if calibration is not None:
        dataset.SequenceOfUltrasoundRegions = [_region(calibration)]
    _add_pixels(dataset, frames, syntax)
    buffer = BytesIO()
    pydicom.dcmwrite(
        buffer,
        dataset,
        enforce_file_format=True,
        implicit_vr=syntax == "implicit",
        little_endian=syntax != "big_endian",
    )
    write_whole(path, buffer.getvalue())


def _check(
    frames: np.ndarray, times: Sequence[float] | None, syntax: str, multi_frame: bool
) -> None:
    if syntax not in SYNTAXES:
        raise InputError(f"syntax {syntax!r}, allowed: {', '.join(SYNTAXES)}")
    colours = frames.shape[3:]
    if frames.size == 0 or colours not in ((), (3,)) or max(frames.shape[1:3]) > 65535:
        raise InputError(
            f"frames of shape {frames.shape}, allowed are t h w and t h w 3"
        )
    if not multi_frame and len(frames) != 1:
        raise InputError(f"{len(frames)} frames in a still image, allowed is 1")
    steady = times is None or len(times) == len(frames) and min(np.diff(times)) > 0
    if not steady:
        raise InputError("frame times must be one for each frame and strictly increase")


def _identified(identity: Identity, multi_frame: bool) -> Dataset:
    dataset = Dataset()
    sop_class = (
        uid.UltrasoundMultiFrameImageStorage
        if multi_frame
        else uid.UltrasoundImageStorage
    )
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = identity.make_uid("instance", identity.instance)
    dataset.StudyInstanceUID = identity.make_uid("study")
    dataset.SeriesInstanceUID = identity.make_uid("series")
    dataset.PatientName = "SYNTHETIC^PHANTOM"
    dataset.PatientID = identity.patient_id
    dataset.PatientBirthDate = dataset.PatientSex = ""
    dataset.StudyDate = identity.study_date
    dataset.StudyTime = dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
    dataset.StudyID = identity.study[:16]
    dataset.SeriesNumber, dataset.InstanceNumber = 1, identity.instance
    dataset.PatientOrientation = dataset.Laterality = ""
    dataset.Modality = "US"
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.Manufacturer, dataset.ManufacturerModelName = MANUFACTURER, MODEL
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def _add_timing(
    dataset: Dataset,
    frames: int,
    frame_rate: float | None,
    times: Sequence[float] | None,
) -> None:
    dataset.NumberOfFrames = frames
    if times is not None:
        steps = [0.0, *(1000 * np.diff(times)).tolist()]
        dataset.FrameTimeVector = [f"{step:.6g}" for step in steps]
        dataset.FrameIncrementPointer = _FRAME_TIME_VECTOR
    elif frame_rate is not None:
        dataset.FrameTime = f"{1000 / frame_rate:.10g}"
        dataset.CineRate = dataset.RecommendedDisplayFrameRate = round(frame_rate)
        dataset.FrameIncrementPointer = _FRAME_TIME


def _region(calibration: Calibration) -> Dataset:
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType = _TWO_D, _TISSUE
    region.RegionFlags = 0
    region.RegionLocationMinX0 = calibration.left
    region.RegionLocationMinY0 = calibration.top
    region.RegionLocationMaxX1 = calibration.right
    region.RegionLocationMaxY1 = calibration.bottom
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = _CENTIMETRES
    region.PhysicalDeltaX = region.PhysicalDeltaY = calibration.pixel_mm / 10
    return region


def _add_pixels(dataset: Dataset, frames: np.ndarray, syntax: str) -> None:
    colour = frames.ndim == 4
    dataset.Rows, dataset.Columns = frames.shape[1:3]
    dataset.SamplesPerPixel = 3 if colour else 1
    dataset.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.LossyImageCompression = "01" if syntax == "jpeg" else "00"
    if colour:
        dataset.PlanarConfiguration = 0
        dataset.UltrasoundColorDataPresent = 0
    dataset.file_meta.TransferSyntaxUID = SYNTAXES[syntax]
    if syntax in _ENCODERS:
        coded = [_ENCODERS[syntax](frame, dataset) for frame in frames]
        dataset.PixelData = encapsulate(coded)
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        return
    content = frames.tobytes()
    dataset.PixelData = content + b"\0" * (len(content) % 2)
    dataset["PixelData"].VR = "OB"


def _rle(frame: np.ndarray, dataset: Dataset) -> bytes:
    encoder = get_encoder(SYNTAXES["rle"])
    coded = encoder.encode(
        frame,
        encoding_plugin="pydicom",
        rows=frame.shape[0],
        columns=frame.shape[1],
        samples_per_pixel=dataset.SamplesPerPixel,
        photometric_interpretation=dataset.PhotometricInterpretation,
        bits_allocated=8,
        bits_stored=8,
        pixel_representation=0,
        number_of_frames=1,
        planar_configuration=0,
    )
    return bytes(coded)


def _jpeg(frame: np.ndarray, dataset: Dataset) -> bytes:
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    if frame.ndim == 3:
        dataset.PhotometricInterpretation = "YBR_FULL_422"
        frame = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422
        options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    return cv2.imencode(".jpg", frame, options)[1].tobytes()


def _jpeg2000(frame: np.ndarray, dataset: Dataset) -> bytes:
    try:
        import imagecodecs
    except ImportError as error:
        raise InputError(
            "syntax 'jpeg2000' is written by imagecodecs, which is not installed"
        ) from error
    if frame.ndim == 3:
        dataset.PhotometricInterpretation = "YBR_RCT"
    return bytes(imagecodecs.jpeg2k_encode(frame, codecformat="J2K", reversible=True))


_ENCODERS: dict[str, Callable[[np.ndarray, Dataset], bytes]] = {
    "rle": _rle,
    "jpeg": _jpeg,
    "jpeg2000": _jpeg2000,
}
