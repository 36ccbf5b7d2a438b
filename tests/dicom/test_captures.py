"""Secondary Captures, and what the index says of a picture."""

import dataclasses

import numpy as np
import pytest

from tests.dicom import made
from tests.dicom.made import make
from tests.dicom.scans import Made, header, phantom
from tests.dicom.test_index_command import cine, index, without_processes  # noqa: F401
from tests.dicom.whole_files import JPEG
from ultrasound_jax.dicom.clean.cleaning import CleanSettings, plan_cleaning
from ultrasound_jax.dicom.index.describe import describe_file
from ultrasound_jax.dicom.index.rows import BARE_CAPTURE, CAPTURE
from ultrasound_jax.dicom.index.shown import COLOUR_FLOW
from ultrasound_jax.dicom.index.table import (
    OWN_COLUMNS,
    IndexRow,
    read_index,
    write_index,
)
from ultrasound_jax.runs.limits import Limits

SINGLE, MULTI = "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.7.4"
CLASSES = (SINGLE, *(f"{SINGLE}.{n}" for n in (2, 3, 4)))


def captures(root):
    for number, sop_class in enumerate(CLASSES):
        for modality in ("OT", ""):
            uid = f"1.9.{number}.{len(modality)}"
            changes = {"SOPClassUID": sop_class, "Modality": modality}
            cine(root / f"{uid}.dcm", JPEG, SOPInstanceUID=uid, **changes)
    bare = {"SOPClassUID": MULTI, "Modality": "OT", "SequenceOfUltrasoundRegions": []}
    cine(root / "bare.dcm", SOPInstanceUID="1.9.8", **bare)
    dose = {"SOPClassUID": SINGLE, "Modality": "CT", "SequenceOfUltrasoundRegions": []}
    cine(root / "dose.dcm", SOPInstanceUID="1.9.9", **dose)


def test_captures_are_skipped_with_the_option_that_takes_them(
    tmp_path,
    capsys,
    without_processes,  # noqa: F811
):
    captures(tmp_path / "root")
    out = tmp_path / "index.csv"
    assert index(tmp_path / "root", out) == 0
    reasons = [row.reason for row in read_index(out)]
    assert sorted(reasons) == sorted(
        [CAPTURE] * 8 + [BARE_CAPTURE] + ["not ultrasound"]
    )
    text = capsys.readouterr().out
    assert "8 skipped: not ultrasound: a Secondary Capture with ultrasound" in text
    assert "(--keep captures uses it)" in text


@pytest.mark.parametrize(
    ("keep", "usable"),
    [(("captures",), 8), (("regionless",), 0), (("captures", "regionless"), 9)],
)
def test_captures_are_taken_on_request(
    tmp_path,
    without_processes,  # noqa: F811
    keep,
    usable,
):
    captures(tmp_path / "root")
    out = tmp_path / "index.csv"
    more = [word for name in keep for word in ("--keep", name)]
    assert index(tmp_path / "root", out, *more) == 0
    rows = read_index(out)
    assert sum(row.ok for row in rows) == usable
    assert all(row.frames == 3 and row.data_type for row in rows if row.ok)


def test_a_capture_that_says_it_is_ultrasound_needs_no_option(
    tmp_path,
    without_processes,  # noqa: F811
):
    cine(tmp_path / "root/a.dcm", SOPClassUID=MULTI, Modality="US")
    out = tmp_path / "index.csv"
    assert index(tmp_path / "root", out) == 0
    assert [row.ok for row in read_index(out)] == [True]


def test_captures_are_to_be_reviewed_before_they_are_given_away():
    clip, _ = phantom(0)
    recording = Made(clip)
    assert not any("Secondary" in r for r in _review(recording))
    recording.header = dataclasses.replace(header(len(clip)), is_capture=True)
    assert "a Secondary Capture: text may be burned in" in _review(recording)[0]


def _review(recording):
    return plan_cleaning(recording, CleanSettings(size=None)).review


def shown(tmp_path, picture=None, pixels=True, **elements):
    picture = made.scan() if picture is None else picture
    path = make(tmp_path / "a", picture.tobytes(), picture, **elements)
    item = {"path": str(path), "limits": vars(Limits()), "pixels": pixels}
    return describe_file(item)["fields"]


def region(data_type=1, **changes):
    item = made.Dataset()
    item.RegionSpatialFormat, item.RegionDataType, item.RegionFlags = 1, data_type, 0
    item.RegionLocationMinX0 = item.RegionLocationMinY0 = 0
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = 79, 59
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = 3
    item.PhysicalDeltaX = item.PhysicalDeltaY = 0.2
    for keyword, value in changes.items():
        setattr(item, keyword, value)
    return [item]


def test_depth_is_stated_or_that_of_the_region(tmp_path):
    assert shown(tmp_path, DepthOfScanField=150)["depth_mm"] == 150
    assert shown(tmp_path)["depth_mm"] is None
    regions = {"SequenceOfUltrasoundRegions": region()}
    assert shown(tmp_path, **regions)["depth_mm"] == 120
    assert shown(tmp_path, DepthOfScanField=110, **regions)["depth_mm"] == 110
    for wrong in (11, 7391846, -5, 0):
        found = shown(tmp_path, DepthOfScanField=wrong, **regions)
        assert found["depth_mm"] == 120


def test_heart_rates_are_those_of_hearts(tmp_path):
    assert shown(tmp_path, HeartRate=72)["heart_rate"] == 72
    for wrong in (0, 7391846, -60):
        assert shown(tmp_path, HeartRate=wrong)["heart_rate"] is None


def test_colour_flow_is_told_by_regions_flag_or_pixels(tmp_path):
    grey = np.repeat(made.scan()[..., :1], 3, axis=2)
    flow = {"SequenceOfUltrasoundRegions": region(COLOUR_FLOW)}
    assert shown(tmp_path, grey, **flow)["colour_flow"] == "yes"
    for flag, word in ((1, "yes"), (0, "no")):
        found = shown(tmp_path, UltrasoundColorDataPresent=flag)
        assert found["colour_flow"] == word
    assert shown(tmp_path)["colour_flow"] == "yes"
    assert shown(tmp_path, grey)["colour_flow"] == "no"
    assert shown(tmp_path, grey[..., 0])["colour_flow"] == "no"
    assert shown(tmp_path, pixels=False)["colour_flow"] == ""


def test_tints_and_coloured_marks_are_no_flow(tmp_path):
    grey = np.repeat(made.scan()[..., :1], 3, axis=2)
    tinted = (grey * [1.0, 0.85, 0.6]).astype(np.uint8)
    assert shown(tmp_path, tinted)["colour_flow"] == "no"
    grey[10:14, 10:60] = (255, 240, 0)
    grey[20:24, 10:60] = (0, 255, 60)
    assert shown(tmp_path, grey)["colour_flow"] == "no"


def test_an_index_without_the_later_columns_is_read(tmp_path):
    path = tmp_path / "index.csv"
    write_index(path, [IndexRow("a", model="CX50", labels={"A-line": "1_2"})])
    later = {"sex", "age", "transducer", "depth_mm", "heart_rate", "colour_flow"}
    lines = [line.split(",") for line in path.read_text().splitlines()]
    kept = [n for n, name in enumerate(lines[0]) if name not in later]
    lines = [[cells[n] for n in kept] for cells in lines]
    lines[0].append("age")
    lines[1].append("old")
    path.write_text("".join(",".join(cells) + "\n" for cells in lines))
    (row,) = read_index(path)
    assert (row.model, row.sex, row.age, row.depth_mm) == ("CX50", "", "", None)
    assert row.labels["age (of the sheet)"] == "old", "a user's own column stays"
    write_index(path, [row])
    assert read_index(path) == [row]
    assert path.read_text().split("\n")[0].split(",")[: len(OWN_COLUMNS)] == list(
        OWN_COLUMNS
    )
