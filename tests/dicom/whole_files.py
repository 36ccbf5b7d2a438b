"""Small ultrasound cines of many transfer syntaxes, written from nothing."""

import io
import struct
import zlib
from collections.abc import Callable

import av
import cv2
import imagecodecs
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence
from pydicom.uid import UID

ROWS, COLUMNS, FRAMES = 24, 32, 3
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
BIG, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
RLE, JPEG = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50"
LOSSLESS, JPEG_LS = "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80"
JPEG_2000, HTJ2K = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.201"
JPEG_XL, DEFLATED_FRAMES = "1.2.840.10008.1.2.4.110", "1.2.840.10008.1.2.8.1"
MPEG_2, MPEG_4 = "1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.102"
SYNTAXES = (
    IMPLICIT, EXPLICIT, BIG, DEFLATED, RLE, JPEG, LOSSLESS, JPEG_LS, JPEG_2000, HTJ2K,
    JPEG_XL, DEFLATED_FRAMES, MPEG_2, MPEG_4,
)  # fmt: skip


def whole_file(syntax: str, *, palette: bool = False, **changes: object) -> bytes:
    """A small ultrasound cine that every reader should read."""
    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.3.1"
    dataset.SOPInstanceUID = "1.2.826.0.1.3680043.9.7133.1"
    dataset.StudyInstanceUID = "1.2.826.0.1.3680043.9.7133.2"
    dataset.StudyDate, dataset.Modality = "20240105", "US"
    dataset.Manufacturer, dataset.ManufacturerModelName = "Philips", "EPIQ 7C"
    dataset.PatientID, dataset.PatientName = "4711", "Doe^Jane"
    dataset.FrameTime = "33.3"
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 2
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 2, 2
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = COLUMNS - 3, ROWS - 3
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX = region.PhysicalDeltaY = 0.05
    dataset.SequenceOfUltrasoundRegions = Sequence([region])
    frames = _picture()
    grey = palette or syntax in (LOSSLESS, BIG)
    dataset.SamplesPerPixel = 1 if grey else 3
    dataset.PhotometricInterpretation = "MONOCHROME2" if grey else "RGB"
    if palette:
        dataset.PhotometricInterpretation = "PALETTE COLOR"
        for colour in ("Red", "Green", "Blue"):
            prefix = f"{colour}PaletteColorLookupTable"
            setattr(dataset, prefix + "Descriptor", [256, 0, 16])
            table = (np.arange(256, dtype="<u2") * 257).tobytes()
            setattr(dataset, prefix + "Data", table)
    elif not grey:
        dataset.PlanarConfiguration = 0
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = FRAMES, ROWS, COLUMNS
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    if grey:
        frames = frames[..., 0]
    if syntax == JPEG:
        dataset.PhotometricInterpretation = "YBR_FULL_422"
    _set_pixels(dataset, frames, syntax)
    for name, value in changes.items():
        setattr(dataset, name, value)
    return _written(dataset, syntax)


def _picture() -> np.ndarray:
    y, x, t = np.mgrid[:ROWS, :COLUMNS, :FRAMES].astype(np.float64)
    grey = 120 + 70 * np.sin(x / 3 + t) * np.cos(y / 4)
    colours = np.stack([grey, grey * 0.8, 255 - grey], -1)
    return np.ascontiguousarray(colours.astype(np.uint8).transpose(2, 0, 1, 3))


def _set_pixels(dataset: Dataset, frames: np.ndarray, syntax: str) -> None:
    encoders: dict[str, Callable[[np.ndarray], bytes]] = {
        RLE: _rle,
        JPEG: lambda frame: cv2.imencode(".jpg", frame)[1].tobytes(),
        LOSSLESS: lambda frame: bytes(imagecodecs.ljpeg_encode(frame)),
        JPEG_LS: lambda frame: bytes(imagecodecs.jpegls_encode(frame)),
        HTJ2K: lambda frame: bytes(imagecodecs.htj2k_encode(frame)),
        JPEG_XL: lambda frame: bytes(imagecodecs.jpegxl_encode(frame, lossless=True)),
        DEFLATED_FRAMES: lambda frame: zlib.compress(frame.tobytes(), wbits=-15),
        JPEG_2000: lambda frame: bytes(
            imagecodecs.jpeg2k_encode(frame, codecformat="J2K", reversible=True)
        ),
    }
    films = {MPEG_2: ("mpeg2video", "mpeg2video"), MPEG_4: ("libx264", "mp4")}
    if syntax in films:
        dataset.PixelData = encapsulate([_film(frames, *films[syntax])])
        dataset["PixelData"].VR = "OB"
        return
    if syntax in encoders:
        codes = [encoders[syntax](np.ascontiguousarray(frame)) for frame in frames]
        dataset.PixelData = encapsulate(codes)
        dataset["PixelData"].VR = "OB"
        return
    dataset.PixelData = frames.tobytes()
    dataset["PixelData"].VR = "OB" if syntax not in (BIG, IMPLICIT) else "OW"


def _film(frames: np.ndarray, codec: str, container: str) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=container) as film:
        stream = film.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = COLUMNS, ROWS, "yuv420p"
        stream.codec_context.thread_count = 1
        for frame in frames:
            image = av.VideoFrame.from_ndarray(frame, format="rgb24")
            film.mux(stream.encode(image.reformat(format="yuv420p")))
        film.mux(stream.encode())
    return file.getvalue()


def _rle(frame: np.ndarray) -> bytes:
    """A segment a sample, each of literal runs of at most 128 bytes."""
    planes = frame.reshape(ROWS * COLUMNS, -1).T
    segments = []
    for plane in planes:
        raw = plane.tobytes()
        runs = [raw[i : i + 128] for i in range(0, len(raw), 128)]
        segments.append(b"".join(bytes([len(run) - 1]) + run for run in runs))
    padded = [s + b"\0" * (len(s) % 2) for s in segments]
    starts = np.cumsum([64, *map(len, padded)])[:-1].tolist()
    numbers = [len(padded), *starts, *[0] * (15 - len(padded))]
    return struct.pack("<16I", *numbers) + b"".join(padded)


def _written(dataset: Dataset, syntax: str) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", "1.2.3")
    meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", "1.2.3")
    known = syntax if UID(syntax).is_transfer_syntax else HTJ2K
    meta.TransferSyntaxUID = known
    meta.ImplementationClassUID = "1.2.826.0.1.3680043.9.7133"
    dataset.file_meta = meta
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True, overwrite=True)
    stated = syntax.encode().ljust(len(known), b"\0")  # may be younger than pydicom
    return buffer.getvalue().replace(known.encode(), stated, 1)
