"""The speed of reading a cine: ours, and the plain way, on a cine made for it.

Made up, but as scanners make them: 720p, JPEG baseline, YBR_FULL_422, a sector of
speckle that differs from frame to frame, coloured marks on black.
"""

from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pydicom
from jaxtyping import UInt8
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit

from ultrasound_jax.dicom.read.decode import open_cine
from ultrasound_jax.dicom.read.regions import choose_region
from ultrasound_jax.media.geometry import letterbox
from ultrasound_jax.media.recording import Want


def write_cine(
    path: Path, *, frames: int = 60, rows: int = 720, columns: int = 1280
) -> None:
    """Writes the made-up cine, the same for the same sizes."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:rows, :columns]
    x = abs(x - columns / 2)
    sector = (np.hypot(x, y + 0.1 * rows) < rows) & (x < 0.8 * y + 0.05 * columns)
    codes = []
    for _ in range(frames):
        speckle = rng.rayleigh(45, (rows, columns)).astype(np.float32)
        speckle = cv2.GaussianBlur(speckle, (0, 0), 1.6) * 1.3 * sector
        picture = np.repeat(np.clip(speckle, 0, 255).astype(np.uint8)[..., None], 3, 2)
        picture[rows // 20 : rows // 10, columns // 50 : columns // 8] = (255, 200, 0)
        codes.append(
            imagecodecs.jpeg8_encode(
                picture,
                85,
                colorspace="RGB",
                outcolorspace="YCBCR",
                subsampling="422",
            )
        )
    dataset = _header(frames, rows, columns)
    dataset.PixelData = encapsulate(codes)
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    dataset.save_as(path, enforce_file_format=True)


def _header(frames: int, rows: int, columns: int) -> Dataset:
    region = Dataset()
    elements: dict[str, Any] = {
        "RegionSpatialFormat": 1,
        "RegionDataType": 1,
        "RegionFlags": 0,
        "RegionLocationMinX0": columns // 8,
        "RegionLocationMinY0": 0,
        "RegionLocationMaxX1": columns - columns // 8 - 1,
        "RegionLocationMaxY1": rows - 1,
        "PhysicalUnitsXDirection": 3,
        "PhysicalUnitsYDirection": 3,
        "PhysicalDeltaX": 0.02,
        "PhysicalDeltaY": 0.02,
    }
    for keyword, value in elements.items():
        setattr(region, keyword, value)
    dataset = Dataset()
    elements = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.3.1",
        "SOPInstanceUID": "1.2.826.0.1.3680043.8.498.1",
        "Modality": "US",
        "SamplesPerPixel": 3,
        "PhotometricInterpretation": "YBR_FULL_422",
        "PlanarConfiguration": 0,
        "NumberOfFrames": frames,
        "FrameTime": 40,
        "Rows": rows,
        "Columns": columns,
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
        "PixelRepresentation": 0,
        "SequenceOfUltrasoundRegions": [region],
    }
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    return dataset


def read_ours(
    path: Path, size: int, *, want: Want, threads: int = 1
) -> UInt8[np.ndarray, "t {size} {size} *c"]:
    """Decodes, crops to the region and letterboxes frame by frame."""
    with open_cine(path, want=want, threads=threads) as cine:
        header = cine.header
        chosen = choose_region(header.regions, header.rows, header.columns)
        if chosen is None:
            inside = np.s_[:, :]
        else:
            box = chosen[0]
            inside = np.s_[box.top : box.bottom + 1, box.left : box.right + 1]
        return np.stack([letterbox(frame[inside], size) for frame in cine.frames()])


def read_plainly(path: Path, size: int) -> UInt8[np.ndarray, "t {size} {size} 3"]:
    """pydicom's `pixel_array` of the whole cine, in RGB, then resized in a loop."""
    pixels = pydicom.dcmread(path).pixel_array
    return np.stack([cv2.resize(frame, (size, size)) for frame in pixels])


def difference(path: Path) -> float:
    """Levels between our first frame and pydicom's: mean over the pixels."""
    with open_cine(path) as cine:
        ours = next(cine.frames()).astype(np.float64)
    return float(np.abs(ours - pydicom.dcmread(path).pixel_array[0]).mean())
