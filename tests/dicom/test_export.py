import numpy as np
import pydicom
import pytest

from ultrasound_jax.dicom.make.ultrasound_file import (
    SYNTAXES,
    Calibration,
    Identity,
    write_cine,
)
from ultrasound_jax.types import InputError

ANYBODY = Identity(patient_id="PHANTOM0001", instance=3)
BOX = Calibration(left=4, top=2, right=27, bottom=21, pixel_mm=0.5)


def cine(frames=3, colour=True):
    """A picture whose frames and colours all differ; odd sizes need padding."""
    rows, columns = np.mgrid[:25, :33]
    grey = np.stack([5 * rows + columns + 9 * t for t in range(frames)]).astype(
        np.uint8
    )
    return np.stack([grey, 255 - grey, grey // 2], -1) if colour else grey


@pytest.mark.parametrize("colour", [True, False], ids=["rgb", "grey"])
@pytest.mark.parametrize("syntax", ["explicit", "implicit", "big_endian", "deflated"])
def test_native_pixels_are_exact(tmp_path, syntax, colour):
    frames = cine(colour=colour)
    write_cine(tmp_path / "a.dcm", frames, identity=ANYBODY, syntax=syntax)
    dataset = pydicom.dcmread(tmp_path / "a.dcm")
    assert dataset.file_meta.TransferSyntaxUID == SYNTAXES[syntax]
    stored = np.frombuffer(dataset.PixelData, np.uint8)[: frames.size]
    np.testing.assert_array_equal(stored.reshape(frames.shape), frames)


@pytest.mark.parametrize("colour", [True, False], ids=["rgb", "grey"])
def test_rle_is_exact(tmp_path, colour):
    frames = cine(colour=colour)
    write_cine(tmp_path / "a.dcm", frames, identity=ANYBODY, syntax="rle")
    read = pydicom.dcmread(tmp_path / "a.dcm").pixel_array
    np.testing.assert_array_equal(read, frames)


def test_jpeg_2000_is_exact(tmp_path):
    codecs = pytest.importorskip("imagecodecs")
    frames = cine()
    write_cine(tmp_path / "a.dcm", frames, identity=ANYBODY, syntax="jpeg2000")
    dataset = pydicom.dcmread(tmp_path / "a.dcm")
    coded = pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=3)
    read = np.stack([codecs.jpeg2k_decode(one) for one in coded])
    np.testing.assert_array_equal(read, frames)
    assert dataset.PhotometricInterpretation == "YBR_RCT"


def test_jpeg_is_near_and_says_that_it_is_lossy(tmp_path):
    import cv2

    frames = cine(colour=False)
    write_cine(tmp_path / "a.dcm", frames, identity=ANYBODY, syntax="jpeg")
    dataset = pydicom.dcmread(tmp_path / "a.dcm")
    coded = pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=3)
    for frame, one in zip(frames, coded, strict=True):
        read = cv2.imdecode(np.frombuffer(one, np.uint8), cv2.IMREAD_UNCHANGED)
        assert np.abs(read.astype(int) - frame).mean() < 2
    assert dataset.LossyImageCompression == "01"


def test_the_file_says_what_a_scanners_would(tmp_path):
    write_cine(
        tmp_path / "a.dcm",
        cine(),
        identity=ANYBODY,
        frame_rate=20.0,
        calibration=BOX,
    )
    dataset = pydicom.dcmread(tmp_path / "a.dcm")
    assert dataset.SOPClassUID.name == "Ultrasound Multi-frame Image Storage"
    assert (dataset.NumberOfFrames, dataset.FrameTime, dataset.CineRate) == (3, 50, 20)
    assert dataset.FrameIncrementPointer == 0x00181063
    (region,) = dataset.SequenceOfUltrasoundRegions
    assert (region.RegionLocationMinX0, region.RegionLocationMaxY1) == (4, 21)
    assert region.PhysicalUnitsXDirection == 3
    assert region.PhysicalDeltaX == pytest.approx(0.05)  # cm
    assert dataset.Manufacturer == "ultrasound_jax"
    assert dataset.ManufacturerModelName == "SYNTHETIC"


def test_varying_times_become_increments_in_milliseconds(tmp_path):
    write_cine(tmp_path / "a.dcm", cine(), identity=ANYBODY, times=[0.0, 0.04, 0.1])
    dataset = pydicom.dcmread(tmp_path / "a.dcm")
    assert [float(step) for step in dataset.FrameTimeVector] == [0, 40, 60]
    assert "FrameTime" not in dataset


def test_a_still_image_has_no_number_of_frames(tmp_path):
    write_cine(tmp_path / "a.dcm", cine(1), identity=ANYBODY, multi_frame=False)
    dataset = pydicom.dcmread(tmp_path / "a.dcm")
    assert "NumberOfFrames" not in dataset and "FrameTime" not in dataset
    assert dataset.SOPClassUID.name == "Ultrasound Image Storage"


def test_the_same_arguments_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_cine(tmp_path / name, cine(), identity=ANYBODY, calibration=BOX)
    other = Identity(patient_id="PHANTOM0001", instance=4)
    write_cine(tmp_path / "c", cine(), identity=other, calibration=BOX)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    uids = [pydicom.dcmread(tmp_path / name).SOPInstanceUID for name in "ac"]
    assert uids[0] != uids[1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"syntax": "png"}, "allowed: explicit"),
        ({"multi_frame": False}, "3 frames in a still image"),
        ({"times": [0.0, 0.1]}, "one for each frame"),
        ({"times": [0.0, 0.1, 0.1]}, "strictly increase"),
    ],
)
def test_what_no_file_can_hold_is_refused(tmp_path, change, said):
    with pytest.raises(InputError, match=said):
        write_cine(tmp_path / "a.dcm", cine(), identity=ANYBODY, **change)
    assert not (tmp_path / "a.dcm").exists()
