"""A hospital's folder in which everything that can hold a name holds a token.

Tokens share one rare word, so that a search for it finds any of them.
"""

import os
import warnings
from pathlib import Path

import cv2
import numpy as np
import pydicom
from pydicom._dicom_dict import DicomDictionary
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from tests.dicom.scans import burned_in, phantom
from ultrasound_jax.dicom.make.ultrasound_file import (
    Calibration,
    Identity,
    write_cine,
)

WORD = "QXZVKJ"  # in every text
NUMBER = "7391846"  # in every UID, and in numbers as text
DATE, TIME = "19370713", "135724.739184"
LONG_AGO = 1_000_000_000  # modification time of the files
# What the files are read by; `export` has written these.
_NEEDED = {
    "SpecificCharacterSet",
    "SOPClassUID",
    "Modality",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "FrameTime",
    "FrameTimeVector",
    "CineRate",
    "RecommendedDisplayFrameRate",
    "PixelAspectRatio",
    "WindowCenter",
    "WindowWidth",
    "RescaleIntercept",
    "RescaleSlope",
    "VOILUTFunction",
    "PixelPresentation",
}
_LONGEST = {"SH": 16, "CS": 16, "AE": 16, "LO": 64, "PN": 64}
_TEXTS = {"PN", "LO", "SH", "LT", "ST", "UT", "UC", "UR", "CS", "AE"}
_GROUPS = {0x0008, 0x0010, 0x0012, 0x0014, 0x0018, 0x0020, 0x0032, 0x0038, 0x0040}
_GROUPS |= {0x0028, 0x0054, 0x0070, 0x0088, 0x0100, 0x2100, 0x4008, 0x4FFE}


def value_of(vr, number):
    """A value of this kind that carries a token; None for kinds that hold none."""
    if vr in _TEXTS:
        text = f"{WORD}{number:05d}"
        return f"Müller^{text}" if vr == "PN" else text[: _LONGEST.get(vr, 64)]
    dates = {"DA": DATE, "TM": TIME, "DT": f"{DATE}{TIME}", "AS": "073Y"}
    if vr in dates:
        return dates[vr]
    if vr == "UI":
        return f"1.2.826.0.1.{NUMBER}.{number}"
    return NUMBER if vr in ("IS", "DS") else None


def fill(dataset, depth=0):
    """Put a token into every element of the dictionary that can hold one."""
    count = 0
    for tag, (vr, _, _, retired, keyword) in DicomDictionary.items():
        group = tag >> 16
        if group not in _GROUPS or keyword in _NEEDED or retired or not keyword:
            continue
        value = value_of(vr, count)
        if value is not None:
            dataset.add_new(tag, vr, value)
            count += 1
    block = dataset.private_block(0x0099, f"{WORD} PRIVATE", create=True)
    for place, vr in enumerate(("PN", "LO", "LT", "UT", "DA", "UI")):
        block.add_new(place, vr, value_of(vr, place))
    block.add_new(0x10, "OB", f"{WORD} in bytes  ".encode())
    block.add_new(0x11, "UN", f"{WORD} unknown ".encode("utf-16-le"))
    if depth < 2:
        inner = Dataset()
        fill(inner, depth + 1)
        for keyword in ("RequestAttributesSequence", "OtherPatientIDsSequence"):
            setattr(dataset, keyword, Sequence([inner]))
    return count


def screen(patient):
    """Frames of a scanner's screen, where the region is, the burned-in marks in it.

    The region is 256 x 256 pixels at (70, 40), so that letterboxing to 256 leaves it.
    """
    fan, truth = phantom(patient)
    words = (f"{WORD}^NAME", f"ID {NUMBER}", DATE)
    marks = np.where(truth, 0, burned_in(256, text=words))
    clip = np.zeros((len(fan), 320, 400), np.uint8)
    clip[:, 40:296, 70:326] = np.maximum(fan, marks)
    for frame in clip:
        for at in ((5, 25), (200, 315)):
            cv2.putText(frame, WORD, at, cv2.FONT_HERSHEY_SIMPLEX, 0.7, 255, 2)
    return (
        clip,
        Calibration(left=70, top=40, right=325, bottom=295, pixel_mm=0.5),
        marks,
    )


def write_hospital(root):
    """The folder; returns how many tokens one file holds."""
    warnings.simplefilter("ignore")
    count = 0
    for number, syntax in enumerate(
        ("explicit", "jpeg", "deflated", "rle", "implicit")
    ):
        clip, region, _ = screen(number % 3)
        if syntax in ("jpeg", "explicit"):
            clip = np.repeat(clip[..., None], 3, axis=3)
        path = root / f"{WORD}_{number}" / f"Zoë {WORD}" / f"{WORD}{number}.dcm"
        name = Identity(patient_id=f"{WORD}{number}", study_date=DATE)
        write_cine(path, clip, identity=name, calibration=region, syntax=syntax)
        count = _stuff(path, number)
    _stuff_others(root)
    for path in root.rglob("*"):
        os.utime(path, (LONG_AGO, LONG_AGO))
    return count


def _stuff(path, number):
    dataset = pydicom.dcmread(path)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    count = fill(dataset)
    dataset.SOPInstanceUID = UID(f"1.2.826.0.1.{NUMBER}.1.{number}")
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.SourceApplicationEntityTitle = WORD
    dataset.file_meta.ImplementationVersionName = WORD
    dataset.StudyInstanceUID = f"1.2.826.0.1.{NUMBER}.2.{number}"
    dataset.PatientID = f"{WORD}-{NUMBER}-{number}"
    dataset.save_as(path, enforce_file_format=True)
    return count


def _stuff_others(root):
    """What goes wrong must not tell names either."""
    clip, region, _ = screen(0)

    def make(
        name: str,
        number: int,
        calibration: Calibration | None = region,
        syntax: str = "explicit",
    ) -> Path:
        path = root / WORD / f"{WORD} {name}"
        identity = Identity(patient_id=WORD, instance=number)
        write_cine(
            path, clip, identity=identity, calibration=calibration, syntax=syntax
        )
        _stuff(path, number)
        return path

    make("without region", 20, calibration=None)
    make("duplicate", 21).with_suffix(".again").write_bytes(
        (root / WORD / f"{WORD} duplicate").read_bytes()
    )
    capture = make("capture", 24)
    dataset = pydicom.dcmread(capture)
    dataset.SOPClassUID, dataset.Modality = UID("1.2.840.10008.5.1.4.1.1.7.4"), "OT"
    dataset.save_as(capture)
    for number in range(30, 33):
        path = root / WORD / f"{WORD} series {number}"
        identity = Identity(patient_id=WORD, instance=number)
        write_cine(
            path, clip[:1], identity=identity, calibration=region, multi_frame=False
        )
        _stuff(path, number)
        dataset = pydicom.dcmread(path)
        dataset.InstanceNumber = number
        dataset.SeriesInstanceUID = UID(f"1.2.826.0.1.{NUMBER}.7")
        dataset.save_as(path)
    whole = make("truncated", 22).read_bytes()
    (root / WORD / f"{WORD} truncated").write_bytes(whole[: len(whole) * 2 // 3])
    broken = make("broken", 23, syntax="jpeg")
    content = bytearray(broken.read_bytes())
    start = content.rindex(b"\xff\xd8\xff")
    content[start + 2 : start + 600] = (WORD * 100).encode()[:598]
    broken.write_bytes(bytes(content))
    (root / f"{WORD}.txt").write_text(WORD)
    (root / f"{WORD}.dcm").write_bytes(b"\0" * 128 + b"DICM" + WORD.encode() * 99)
