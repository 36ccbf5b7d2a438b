import pytest

from ultrasound_jax.dicom.deid.pseudonyms import Pseudonyms
from ultrasound_jax.dicom.index.table import IndexRow
from ultrasound_jax.labels.indexed_sheet import read_rows
from ultrasound_jax.labels.sheet import (
    PATTERNS,
    format_ranges,
    frame_set,
    parse_ranges,
    ranges_of,
    read_sheet,
)
from ultrasound_jax.types import InputError

HEADING = (
    "video_id,frames,Point Zone,A-line,B-line,Confluent B-line,Consolidation,"
    "Pleural effusion,Lung sliding,Lung Ultrasound Score\n"
)


def sheet(folder, *rows, heading=HEADING, name="sheet.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes((heading + "\n".join(rows) + "\n").encode(encoding))
    return path


@pytest.mark.parametrize(
    ("cell", "ranges"),
    [
        ("", []),
        ("  ", []),
        ("5_30", [(5, 30)]),
        ("5-30", [(5, 30)]),
        ("12", [(12, 12)]),
        ("1_10, 12-20,25", [(1, 10), (12, 20), (25, 25)]),
        ("40_50,1_10", [(40, 50), (1, 10)]),
        ("7_7", [(7, 7)]),
    ],
)
def test_a_cell_holds_ranges_or_single_frames(cell, ranges):
    assert parse_ranges(cell) == ranges


@pytest.mark.parametrize(
    ("cell", "ranges"),
    [
        ("12.0", [(12, 12)]),
        (" 5 _ 30 ,", [(5, 30)]),
        ("5–30", [(5, 30)]),  # an en dash
        ("１＿３０，４０－５０", [(1, 30), (40, 50)]),  # full width
        ("5\u00a0_\u00a030", [(5, 30)]),
        ("5.0_30.0", [(5, 30)]),
    ],
)
def test_what_a_spreadsheet_spoiled_but_left_clear_is_understood(cell, ranges):
    assert parse_ranges(cell) == ranges


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("5-Oct", "date"),
        ("Oct-05", "date"),
        ("2024-05-10", "date"),
        ("5/10/2024", "date"),
        ("10월 05일", "date"),
        ("45787", "date or a lost comma"),
        ("2024-05-10 00:00:00", "date"),
        ("30_5", "ends before it starts"),
        ("0_5", "counted from 1"),
        ("0", "counted from 1"),
        ("-5", "allowed are"),
        ("5-", "allowed are"),
        ("1_5,,7", "allowed are"),
        ("1_30_45", "allowed are"),
        ("10.5", "allowed are"),
        ("yes", "allowed are"),
        ("²", "allowed are"),
        ("1e3", "allowed are"),
    ],
)
def test_any_other_cell_is_refused_with_its_value(cell, said):
    with pytest.raises(InputError, match=said) as caught:
        parse_ranges(cell)
    assert cell in str(caught.value)


def test_ranges_and_frames_lead_to_each_other():
    frames = frame_set([(3, 5), (5, 7), (12, 12)])
    assert frames == {3, 4, 5, 6, 7, 12}
    assert ranges_of(frames) == ((3, 7), (12, 12))
    assert format_ranges(ranges_of(frames)) == "3_7,12_12"
    assert parse_ranges(format_ranges(ranges_of(frames))) == [(3, 7), (12, 12)]


def test_the_total_b_line_is_either_kind_of_b_line(tmp_path):
    (row,) = read_sheet(sheet(tmp_path, "v1,50,,1_5,3_8,7-12,,,,2"))
    assert tuple(row.pattern_frames) == PATTERNS
    assert row.pattern_frames["b_line"] == set(range(3, 13))
    assert row.finding_frames["b_line"] == set(range(3, 9))
    assert row.pattern_frames["consolidation"] == set()
    assert row.present == ("a_line", "b_line", "confluent_b_line")


def test_scores_are_checked_against_the_marks(tmp_path):
    rows = read_sheet(
        sheet(
            tmp_path,
            "v1,50,,1_5,,,,,,0",
            "v2,50,,1_5,2_3,,,,,1.0",
            "v3,50,,,,,2_9,,,3_c",
            "v4,50,,,,,,4_9,,3_e",
            "v5,50,,,,,,,,4",
            "v6,50,,1_5,,7_9,,,,1",
            "v7,50,,1_5,,,,,,",
        )
    )
    assert [row.score for row in rows] == ["0", "1", "3_c", "3_e", "4", "1", ""]
    conflicts = [row.score_conflict for row in rows if row.score_conflict]
    assert conflicts == ["v6: the sheet says 1, its marks give 2"]


def test_only_a_row_without_marks_and_score_is_blank(tmp_path):
    rows = read_sheet(
        sheet(tmp_path, "v1,50,,,,,,,,", "v2,50,,,,,,,,4", "v3,50,,7,,,,,,")
    )
    assert [row.is_blank for row in rows] == [True, False, False]


def test_all_wrong_cells_are_listed_in_one_line(tmp_path):
    path = sheet(
        tmp_path,
        "v1,50,,5-Oct,,,,,,",
        "v2,50,,1_51,,,0_4,,,",
        "v3,50,,,,,,,,5",
        "v2,50,,,,,,,,",
    )
    with pytest.raises(InputError) as caught:
        read_sheet(path)
    said = str(caught.value)
    assert "\n" not in said and said.startswith("sheet.csv: ")
    assert "row 2, column A-line: '5-Oct': this looks like a date" in said
    assert "row 3, column A-line: '1_51': the video has 50 frames" in said
    assert "row 3, column Consolidation: '0_4': frames are counted from 1" in said
    assert "row 4, column Lung Ultrasound Score: '5': allowed are" in said
    assert "row 5: the video of row 3 again" in said


def test_the_index_knows_how_long_a_video_is(tmp_path):
    path = sheet(tmp_path, "v1,,,1_31,,,,,,")
    assert read_sheet(path)[0].frames is None
    assert read_sheet(path, frames={"v1": 31})[0].frames == 31
    with pytest.raises(InputError, match="the video has 30 frames"):
        read_sheet(path, frames={"v1": 30})


ORIGINAL = (
    "PatientID,Data_idx,StudyDate,Data_type,Point Zone,A-line,B-line,Confluent B-line,"
    "Consolidation,Pleural effusion,Lung sliding,Lung Ultrasound Score\n"
)


def test_the_originals_sheets_name_videos_by_patient_and_file(tmp_path):
    path = sheet(tmp_path, "0042,7,20230105,video,R1,1_5,,,,,+,0", heading=ORIGINAL)
    (row,) = read_sheet(path)
    assert row.video_id == "0042_00007"
    assert row.other == {"Point Zone": "R1", "Lung sliding": "+", "data_type": "video"}
    (row,) = read_sheet(path, patient_name=lambda patient: f"P{patient[::-1]}")
    assert row.video_id == "P2400_00007"


def test_a_study_id_of_the_original_is_taken_apart(tmp_path):
    heading = HEADING.replace("video_id", "study_id")
    path = sheet(tmp_path, "A_42_7,50,,1_5,,,,,,0", heading=heading)
    assert read_sheet(path)[0].video_id == "A_42_00007"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp949", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_sheets_of_several_countries_are_read(tmp_path, encoding, separator):
    row = separator.join(["v1", "50", "우상", "1_5", "", "", "", "", "", "0"])
    heading = HEADING.replace(",", separator)
    path = sheet(tmp_path, row, "", heading=heading, encoding=encoding)
    (read,) = read_sheet(path)
    assert (read.video_id, read.other["Point Zone"]) == ("v1", "우상")
    assert read.finding_frames["a_line"] == {1, 2, 3, 4, 5}


def test_excels_own_first_line_names_the_separator(tmp_path):
    row = "v1;50;;1_5,9;;;;;;0"
    heading = "sep=;\r\n" + HEADING.replace(",", ";")
    (read,) = read_sheet(sheet(tmp_path, row, heading=heading))
    assert read.finding_frames["a_line"] == {1, 2, 3, 4, 5, 9}


def test_an_id_that_looks_like_a_pseudonym_is_still_a_patients(tmp_path):
    key = Pseudonyms.open(tmp_path / "key.json")
    path = sheet(tmp_path, "P1234567890,7,,video,R1,1_5,,,,,+,0", heading=ORIGINAL)
    with pytest.raises(InputError, match="P1234567890 .* --index"):
        read_rows(path, key_file=str(tmp_path / "key.json"))
    other = IndexRow("P0123456789_00001", "P0123456789")
    (row,) = read_rows(path, index=[other], key_file=str(tmp_path / "key.json"))
    assert row.video_id == f"{key.patient('P1234567890')}_00007"
    same = IndexRow("P1234567890_00007", "P1234567890")
    (row,) = read_rows(path, index=[same], key_file=str(tmp_path / "key.json"))
    assert row.video_id == "P1234567890_00007"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04 a workbook", "save the sheet as csv"),
        (b"", "empty"),
        (b"video_id,A-line\nv1,1_5\n", "no column B-line, Confluent B-line"),
        (HEADING.replace("video_id", "name").encode(), "video_id .or PatientID"),
        (HEADING.encode() + b"v1,50,,1_5,7_9,,,,,,,0\n", "row 2: more cells"),
        (HEADING.encode() + b",50,,1_5,,,,,,\n", "row 2: names no video"),
        (HEADING.replace("Lung sl", "B line,Lung sl").encode(), "B-line stands twice"),
        (b"\xff\xff\xff\xff", "not text"),
    ],
)
def test_what_is_not_a_sheet_is_said_in_one_line(tmp_path, content, said):
    path = tmp_path / "sheet.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        read_sheet(path)
    assert "\n" not in str(caught.value)


def test_a_missing_sheet_is_named(tmp_path):
    with pytest.raises(InputError, match="no such sheet"):
        read_sheet(tmp_path / "absent.csv")
