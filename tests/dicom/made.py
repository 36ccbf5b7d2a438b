"""DICOM files made on the spot, of every syntax, from a picture that is known."""

import warnings

import cv2
import imagecodecs
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, generate_uid

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
DEFLATED, BIG_ENDIAN = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"
RLE = "1.2.840.10008.1.2.5"
JPEG, EXTENDED = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"
LOSSLESS, LOSSLESS_SV1 = "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"
JPEGLS, JPEGLS_NEAR = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"
J2K_LOSSLESS, J2K = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"
JXL_LOSSLESS, JXL_JPEG = "1.2.840.10008.1.2.4.110", "1.2.840.10008.1.2.4.111"
JXL, DEFLATED_FRAMES = "1.2.840.10008.1.2.4.112", "1.2.840.10008.1.2.8.1"
HTJ2K_LOSSLESS, HTJ2K = "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.203"
MPEG2, MPEG4 = "1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.102"
ULTRASOUND = "1.2.840.10008.5.1.4.1.1.6.1"
MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.3.1"


def scan(rows=60, columns=80, seed=0):
    """A picture as scanners make them: black, a grey sector, a patch of flow."""
    speckle = np.random.default_rng(seed).rayleigh(50, (rows, columns))
    grey = cv2.GaussianBlur(speckle, (0, 0), 1.5) * 1.3
    picture = np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    y, x = np.mgrid[:rows, :columns]
    picture[np.hypot(y, x - columns / 2) > 0.9 * rows] = 0
    picture[abs(x - columns / 2) > 0.8 * y + 4] = 0
    patch = (slice(rows // 2, rows // 2 + 9), slice(columns // 2, columns // 2 + 12))
    picture[patch] = (220, 60, 20)
    return picture


def to_ybr(rgb):
    """PS3.3, section C.7.6.3.1.2, in floating point."""
    r, g, b = np.moveaxis(rgb.astype(np.float64), -1, 0)
    y = 0.299 * r + 0.587 * g + 0.114 * b
    cb = -0.168736 * r - 0.331264 * g + 0.5 * b + 128
    cr = 0.5 * r - 0.418688 * g - 0.081312 * b + 128
    return np.clip(np.rint(np.stack([y, cb, cr], -1)), 0, 255).astype(np.uint8)


def from_ybr(ybr):
    """The way back."""
    y, cb, cr = np.moveaxis(ybr.astype(np.float64) - [0, 128, 128], -1, 0)
    rgb = np.stack(
        [y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], -1
    )
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


def jpeg(picture, level=95, space="YCBCR", subsampling="422"):
    """A baseline JPEG; RGB becomes `space`."""
    if picture.ndim == 2:
        return imagecodecs.jpeg8_encode(picture, level)
    sampling = subsampling if space == "YCBCR" else None
    return imagecodecs.jpeg8_encode(
        picture, level, colorspace="RGB", outcolorspace=space, subsampling=sampling
    )


JFIF = b"\xff\xe0\x00\x10JFIF\0\1\1\0\0\1\0\1\0\0"


def components(samples, marker=b"", **options):
    """A JPEG of three components as they are, with no word on colours but `marker`."""
    code = imagecodecs.jpeg8_encode(
        samples, colorspace="RGB", outcolorspace="RGB", **options
    )
    start = code.index(b"\xff\xee")  # the Adobe marker
    length = int.from_bytes(code[start + 2 : start + 4], "big")
    code = bytearray(code[:start] + marker + code[start + 2 + length :])
    frame = code.index(b"\xff\xc3" if options.get("lossless") else b"\xff\xc0") + 10
    scan_header = code.index(b"\xff\xda") + 5
    for index in range(3):  # components named R, G, B become 1, 2, 3
        code[frame + 3 * index] = index + 1
        code[scan_header + 2 * index] = index + 1
    return bytes(code)


def header(rows, columns, samples=1, bits=8, photometric="MONOCHROME2", **others):
    """A data set without pixels; keywords are elements, None leaves one out."""
    dataset = Dataset()
    elements = {
        "SOPClassUID": ULTRASOUND,
        "SOPInstanceUID": generate_uid(entropy_srcs=[str(others)]),
        "Modality": "US",
        "PatientID": "4711",
        "PatientName": "Doe^Jane",
        "StudyInstanceUID": "1.2.3",
        "StudyDate": "20240229",
        "InstanceNumber": 5,
        "Manufacturer": "Maker",
        "ManufacturerModelName": "Model 1",
        "SamplesPerPixel": samples,
        "PhotometricInterpretation": photometric,
        "PlanarConfiguration": 0 if samples == 3 else None,
        "Rows": rows,
        "Columns": columns,
        "BitsAllocated": bits,
        "BitsStored": others.get("BitsStored", bits),
        "HighBit": others.get("BitsStored", bits) - 1,
        "PixelRepresentation": 0,
    }
    for keyword, value in (elements | others).items():
        if value is not None:
            setattr(dataset, keyword, value)
    return dataset


def save(path, dataset, pixels, syntax=EXPLICIT, vr=None):
    """Writes a file: bytes are native pixel data, a list is a list of fragments."""
    dataset.file_meta = FileMetaDataset()
    known = syntax if UID(syntax).is_transfer_syntax else HTJ2K
    dataset.file_meta.TransferSyntaxUID = known
    if isinstance(pixels, list):
        dataset.PixelData = encapsulate(pixels)
        dataset["PixelData"].is_undefined_length = True
        vr = "OB"
    else:
        dataset.PixelData = pixels + b"\0" * (len(pixels) % 2)
    dataset["PixelData"].VR = vr or ("OB" if dataset.BitsAllocated <= 8 else "OW")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(path, enforce_file_format=True)
    if known != syntax:  # younger than this pydicom
        stated = syntax.encode().ljust(len(known), b"\0")
        path.write_bytes(path.read_bytes().replace(known.encode(), stated, 1))
    return path


def make(path, pixels, picture, syntax=EXPLICIT, vr=None, **elements):
    """Writes `pixels` under a header that fits `picture`, `h w` or `h w 3`."""
    rows, columns = picture.shape[:2]
    samples = 3 if picture.ndim == 3 else 1
    defaults = {
        "samples": samples,
        "bits": 8 * picture.dtype.itemsize,
        "photometric": "RGB" if samples == 3 else "MONOCHROME2",
    }
    dataset = header(rows, columns, **(defaults | elements))
    return save(path, dataset, pixels, syntax, vr)
