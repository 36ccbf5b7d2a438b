import warnings

import numpy as np
import pytest
from pydicom import dcmread

from tests.dicom import made
from tests.dicom.made import make
from ultrasound_jax.dicom.read.header import read_header
from ultrasound_jax.runs.limits import Limits
from ultrasound_jax.types import InputError

PICTURE = np.zeros((4, 6, 3), np.uint8)
CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def written(tmp_path, **elements):
    return make(tmp_path / "a", PICTURE.tobytes() * 3, PICTURE, **elements)


def test_a_header_says_what_the_file_says(tmp_path):
    found = read_header(
        written(tmp_path, NumberOfFrames=3, CineRate=20, SOPInstanceUID="1.2.99")
    )
    assert (found.rows, found.columns, found.samples, found.frames) == (4, 6, 3, 3)
    assert (found.bits_allocated, found.frame_bytes) == (8, 72)
    assert (found.sop_instance_uid, found.study_uid) == ("1.2.99", "1.2.3")
    assert (found.patient_id, found.study_date) == ("4711", "20240229")
    assert (found.instance_number, found.photometric) == (5, "RGB")
    assert (found.manufacturer, found.model) == ("Maker", "Model 1")
    assert found.transfer_syntax == made.EXPLICIT
    assert found.timing.rate == 20 and found.regions == ()
    assert found.is_ultrasound and found.multi_frame


def test_a_picture_has_one_frame_and_is_not_multi_frame(tmp_path):
    found = read_header(written(tmp_path))
    assert found.frames == 1 and not found.multi_frame


@pytest.mark.parametrize(
    ("sop_class", "modality", "expected"),
    [
        (made.MULTI_FRAME, "", True),
        ("1.2.840.10008.5.1.4.1.1.6", "OT", True),
        ("1.2.840.10008.5.1.4.1.1.3", None, True),
        (CAPTURE, "US", True),
        (CAPTURE, "IVUS", True),
        (CAPTURE, "CT", False),
        (CAPTURE, None, False),
    ],
)
def test_ultrasound_is_known_by_class_or_modality(
    tmp_path, sop_class, modality, expected
):
    found = read_header(written(tmp_path, SOPClassUID=sop_class, Modality=modality))
    assert found.is_ultrasound == expected


def test_identifiers_may_stand_in_the_meta_group_only(tmp_path):
    path = written(tmp_path, SOPInstanceUID="1.2.99")
    dataset = dcmread(path)
    del dataset.SOPInstanceUID, dataset.SOPClassUID
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(path)
    found = read_header(path)
    assert found.sop_instance_uid == "1.2.99" and found.is_ultrasound


def test_an_enhanced_volume_is_not_supported(tmp_path):
    path = written(tmp_path, SOPClassUID="1.2.840.10008.5.1.4.1.1.6.2")
    with pytest.raises(InputError, match="Enhanced US Volume is not supported"):
        read_header(path)


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ({"NumberOfFrames": 0}, "NumberOfFrames is 0, allowed are 1 and more"),
        ({"NumberOfFrames": -2}, "NumberOfFrames is -2"),
        ({"Rows": 0}, "Rows is 0"),
        ({"Columns": None}, "Columns is not a number"),
        ({"samples": 4}, "4 samples of 8 bits"),
        ({"bits": 12}, "3 samples of 12 bits"),
        ({"photometric": "CMYK"}, "photometric interpretation is not one of"),
    ],
)
def test_headers_that_make_no_sense_are_refused(tmp_path, elements, reason):
    with pytest.raises(InputError, match=reason):
        read_header(written(tmp_path, **elements))


def test_a_frame_count_that_is_no_number_is_refused(tmp_path):
    path = written(tmp_path, NumberOfFrames=1234)
    path.write_bytes(path.read_bytes().replace(b"IS\x04\x001234", b"IS\x04\x00x234"))
    with pytest.raises(InputError, match="NumberOfFrames is not a number"):
        read_header(path)


def test_an_unknown_representation_is_a_missing_value(tmp_path):
    path = written(tmp_path, SOPInstanceUID="1.2.99", SOPClassUID=made.ULTRASOUND)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"\x08\0\x18\0UI", b"\x08\0\x18\0Xx", 1))
    assert read_header(path).sop_instance_uid == "1.2.99", "from the meta group"


def test_a_header_is_held_to_the_limits(tmp_path):
    path = written(tmp_path, NumberOfFrames=3)
    for limits in (Limits(frames=2), Limits(pixels=23)):
        with pytest.raises(InputError, match="3 frames of 6 x 4 pixels, allowed are"):
            read_header(path, limits=limits)
    assert read_header(path, limits=Limits(frames=3, pixels=24)).frames == 3


def test_limits_must_be_positive():
    with pytest.raises(InputError, match="limit frames is 0"):
        Limits(frames=0)


def test_warnings_about_odd_values_stay_inside(tmp_path, recwarn):
    path = make(
        tmp_path / "a", PICTURE.tobytes(), PICTURE, SpecificCharacterSet="ISO_IR 192"
    )
    content = path.read_bytes().replace(b"ISO_IR 192", b"ISO_IR 9x9")
    path.write_bytes(content.replace(b"20240229", b"not-date"))
    assert read_header(path).study_date == "not-date"
    assert not recwarn.list
