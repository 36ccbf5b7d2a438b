import csv
import dataclasses
import json
import stat

import numpy as np
import openpyxl
import pytest

from ultrasound_jax.dicom.index.table import (
    LABEL_COLUMNS,
    OWN_COLUMNS,
    IndexRow,
    read_frame_times,
    read_index,
    read_sources,
    sources_path,
    write_index,
    write_sources,
)
from ultrasound_jax.types import InputError

REGION = {"left": 0, "top": 32, "mm_x": 0.25476696592378156, "mm_y": None}
FULL = IndexRow(
    video_id="P0123456789_00012",
    patient_id="P0123456789",
    study_id="S0123456789",
    study_date="2019-02-03",
    data_idx=12,
    data_type="video",
    frames=65,
    rows=456,
    columns=576,
    transfer_syntax="1.2.840.10008.1.2.4.50",
    photometric="YBR_FULL_422",
    frame_rate=26.25,
    frame_rate_source="FrameTimeVector",
    frame_times_file="index_times/P0123456789_00012.csv",
    regions=(REGION,),
    region_index=0,
    mm_x=0.254766966,
    manufacturer="Samsung Medison",
    model="HS60",
    sha256="ab" * 32,
    reason="region 0 is clipped, a bit",
    labels={name: "" for name in LABEL_COLUMNS},
)
EMPTY = IndexRow("F0123456789", status="skipped", reason="unreadable: not DICOM")


def test_rows_come_back_as_they_were_written(tmp_path):
    path = tmp_path / "index.csv"
    write_index(path, [FULL, EMPTY])
    full, empty = read_index(path)
    assert full == FULL
    assert empty.video_id == EMPTY.video_id and not empty.ok
    assert empty.frames is None and empty.mm_x is None and empty.regions == ()


def test_the_columns_are_those_of_the_labelling_sheet(tmp_path):
    path = tmp_path / "index.csv"
    write_index(path, [FULL])
    header = path.read_text().splitlines()[0]
    assert header == (
        "video_id,patient_id,study_id,study_date,data_idx,data_type,frames,rows,columns,"
        "transfer_syntax,photometric,frame_rate,frame_rate_source,frame_times_file,"
        "regions,region_index,mm_x,mm_y,manufacturer,model,sex,age,transducer,depth_mm,"
        "heart_rate,colour_flow,sha256,status,reason,"
        "Point Zone,A-line,B-line,Confluent B-line,Consolidation,Pleural effusion,"
        "Lung sliding,Lung Ultrasound Score"
    )
    assert header.split(",")[: len(OWN_COLUMNS)] == list(OWN_COLUMNS)


def test_labels_and_columns_of_the_user_are_kept(tmp_path):
    path = tmp_path / "index.csv"
    labels = dict(FULL.labels) | {"A-line": "1_20, 33-40", "seen by": 'dr. "B"\n,x'}
    write_index(path, [IndexRow("a", labels=labels), IndexRow("b")])
    one, other = read_index(path)
    assert one.labels == labels and one.labelled
    assert not other.labelled and other.labels["seen by"] == ""


def test_a_sheet_that_a_spreadsheet_program_has_saved_is_read(tmp_path):
    path = tmp_path / "index.csv"
    write_index(path, [IndexRow("a", frames=3, frame_rate=29.5), IndexRow("b")])
    lines = path.read_text().replace(",", ";").replace("\n", "\r\n")
    lines = lines.replace(";3;", ";3.0;").replace("29.5", "29,5")
    lines += ";" * 30 + "\r\n\r\n"
    path.write_bytes(b"\xef\xbb\xbf" + lines.encode())
    one, other = read_index(path)
    assert (one.video_id, one.frames, one.frame_rate) == ("a", 3, 29.5)
    assert other.video_id == "b"


def test_an_index_is_read_as_a_workbook_and_in_an_encoding_of_windows(tmp_path):
    path = tmp_path / "index.csv"
    write_index(path, [dataclasses.replace(FULL, labels={"Ärztin": "Größe"})])
    text = path.read_text(encoding="utf-8")
    plain = read_index(path)
    path.write_bytes(text.encode("cp1252"))
    assert read_index(path) == plain
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in csv.reader(text.splitlines()):
        sheet.append(row)
    book.save(tmp_path / "index.xlsx")
    assert read_index(tmp_path / "index.xlsx") == plain


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("video_id,", "id,", "lacks video_id"),
        (",65,", ",many,", r"line 2: frames is 'many'"),
        (",26.25,", ",fast,", r"line 2: frame_rate is 'fast'"),
        ('"[{', '"[', "line 2: regions is"),
        (",ok,", ",fine,", "allowed are an id and one of ok, skipped"),
        ("P0123456789_00012,P", ",P", "video_id ''"),
        ("\nP", "\nP,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,P", "more cells"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, old, new, message):
    path = tmp_path / "index.csv"
    write_index(path, [FULL])
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(InputError, match=message) as caught:
        read_index(path)
    assert str(path) in str(caught.value)


def test_an_id_that_stands_twice_is_refused(tmp_path):
    path = tmp_path / "index.csv"
    write_index(path, [FULL, FULL])
    with pytest.raises(InputError, match="stands there twice"):
        read_index(path)


def test_no_file_and_no_text_are_refused(tmp_path):
    with pytest.raises(InputError, match="no readable index"):
        read_index(tmp_path / "nowhere.csv")
    (tmp_path / "index.csv").write_bytes(b"\xff\xfe\0")
    with pytest.raises(InputError, match="no readable index"):
        read_index(tmp_path / "index.csv")


def test_sources_are_private_and_follow_their_root(tmp_path):
    index = tmp_path / "index.csv"
    write_sources(index, tmp_path / "old", {"a": "x/M\udcfcller.dcm"}, ["notes.txt"])
    path = sources_path(index)
    assert path.name == "index.sources.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_sources(index) == {"a": tmp_path / "old" / "x" / "M\udcfcller.dcm"}
    tree = json.loads(path.read_text())
    assert tree["not_dicom"] == ["notes.txt"]
    path.write_text(json.dumps(tree | {"root": "/new"}))
    assert str(read_sources(index)["a"]).startswith("/new/x/")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "other"}'])
def test_sources_that_are_none_are_refused(tmp_path, text):
    index = tmp_path / "index.csv"
    sources_path(index).write_text(text)
    with pytest.raises(InputError, match="index.sources.json"):
        read_sources(index)


def test_frame_times_are_read_beside_the_index(tmp_path):
    folder = tmp_path / "index_times"
    folder.mkdir()
    (folder / f"{FULL.video_id}.csv").write_text("frame,seconds\n1,0.0\n2,0.05\n")
    times = read_frame_times(tmp_path / "index.csv", FULL)
    np.testing.assert_array_equal(times, [0.0, 0.05])
    assert read_frame_times(tmp_path / "index.csv", EMPTY) is None
    (folder / f"{FULL.video_id}.csv").write_text("frame\n1\n")
    with pytest.raises(InputError, match="no readable frame times"):
        read_frame_times(tmp_path / "index.csv", FULL)
