"""Sheets of any kind: workbooks, encodings, titles, doubts, and `?` all the way."""

import csv
import io
import json
import warnings
import zipfile
from datetime import datetime

import numpy as np
import openpyxl
import pytest

from tests.labels.test_labels import HEADING, sheet
from ultrasound_jax.dicom.__main__ import main
from ultrasound_jax.dicom.index.table import IndexRow
from ultrasound_jax.labels.clip_table import ClipSettings, cut, pattern_frames
from ultrasound_jax.labels.disagreement import as_json, as_markdown, compare
from ultrasound_jax.labels.merge import merge, sheet_text
from ultrasound_jax.labels.sheet import read_sheet
from ultrasound_jax.runs.table_cells import decoded, read_table
from ultrasound_jax.types import InputError

COLUMNS = HEADING.strip().split(",")
WANTED = ("file", "patient")


def workbook(path, *sheets, merged=()):
    """Writes worksheets, each a title and rows, as one file."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets:
        page = book.create_sheet(title)
        for row in rows:
            page.append(list(row))
        for block in merged:
            page.merge_cells(block)
    book.save(path)
    return path


def test_a_workbook_is_a_sheet(tmp_path):
    rows = [
        ["Lung study, second reading"],
        [],
        COLUMNS,
        ["v1", 50, "R1", "1_5", 12, 12.0, "–", None, "yes", 2],
        [None],
        ["v2", 50.0, "", "none", "n/a", "no", "3_4; 8-9", "?", "", "3_c"],
    ]
    path = workbook(tmp_path / "sheet.xlsx", ("Sheet1", rows))
    one, two = read_sheet(path)
    assert (one.line, two.line) == (4, 6) and one.frames == two.frames == 50
    assert one.ranges["b_line"] == one.ranges["confluent_b_line"] == ((12, 12),)
    assert one.present == ("a_line", "b_line", "confluent_b_line")
    assert two.ranges["consolidation"] == ((3, 4), (8, 9))
    assert two.unknown == {"pleural_effusion"} and two.present == ("consolidation",)


def test_a_range_that_excel_made_a_date_is_named(tmp_path):
    rows = [COLUMNS, ["v1", 50, "", datetime(2024, 10, 5)] + [""] * 6]
    path = workbook(tmp_path / "s.xlsx", ("a", rows))
    with pytest.raises(InputError, match="row 2, column A-line: '2024-10-05': .*date"):
        read_sheet(path)


def test_a_formula_without_a_value_and_merged_cells_are_named(tmp_path):
    rows = [COLUMNS, ["v1", 50, "", "=B2&C2"] + [""] * 6, ["v2", 50] + [""] * 8]
    path = workbook(tmp_path / "s.xlsx", ("a", rows), merged=["E2:E3", "A9:C9"])
    with pytest.raises(InputError) as caught:
        read_sheet(path)
    assert "row 2, column A-line: D2 is a formula whose value" in str(caught.value)
    assert "row 3, column B-line: E3 is part of the merged cells E2:E3" in str(
        caught.value
    )
    assert "\n" not in str(caught.value)


def test_two_frames_that_excel_took_for_a_thousand_are_named(tmp_path):
    path = tmp_path / "s.xlsx"
    rows = [COLUMNS, ["v1", 1600, "", 1530, 1530] + [""] * 5]
    book = openpyxl.load_workbook(workbook(path, ("a", rows)))
    for cell in ("B2", "D2"):
        book["a"][cell].number_format = "#,##0"
    book.save(path)
    with pytest.raises(InputError) as caught:
        read_sheet(path)
    assert str(caught.value).startswith("s.xlsx: row 2, column A-line: a number")
    assert "B-line" not in str(caught.value)


def test_the_worksheet_with_the_columns_is_read_and_two_are_refused(tmp_path):
    notes = ("Notes", [["what", "who"], ["labels", "me"]])
    data = ("Data", [COLUMNS, ["v1", 50] + [""] * 8])
    (row,) = read_sheet(workbook(tmp_path / "s.xlsx", notes, data))
    assert row.video_id == "v1"
    twice = workbook(tmp_path / "t.xlsx", data, ("Old", data[1]))
    with pytest.raises(InputError, match="worksheets 'Data', 'Old' have the same"):
        read_sheet(twice)
    hidden = openpyxl.load_workbook(twice)
    hidden["Old"].sheet_state = "hidden"
    hidden.save(tmp_path / "u.xlsx")
    assert len(read_sheet(tmp_path / "u.xlsx")) == 1


def test_what_is_no_workbook_is_one_line(tmp_path):
    archive = tmp_path / "zip.xlsx"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.txt", "x")
    bomb = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("xl/worksheets/sheet1.xml", b"\0" * (70 * 2**20))
    old = tmp_path / "old.xls"
    old.write_bytes(b"\xd0\xcf\x11\xe0" + b"x" * 100)
    empty = workbook(tmp_path / "empty.xlsx", ("a", []))
    far = openpyxl.Workbook()
    far.active.cell(1, 16_000, "x")
    far.save(tmp_path / "far.xlsx")
    for name, said in (
        (archive, "a zip archive that is no Excel workbook"),
        (bomb, "unpacks to more than 64 MiB"),
        (old, "old kind"),
        (empty, "the sheet is empty"),
        (tmp_path / "far.xlsx", "cells beyond"),
    ):
        with pytest.raises(InputError, match=said) as caught:
            read_table(name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("title", ["", "A study, 2024; second reading\n\n"])
def test_a_title_and_any_separator_are_seen_through(tmp_path, separator, title):
    text = io.StringIO()
    lines = [["File", "Patient ID", "note"], ["a.mp4", "1", "x, y; z"]]
    csv.writer(text, delimiter=separator, lineterminator="\n").writerows(lines)
    path = tmp_path / "videos.csv"
    path.write_text(title + text.getvalue(), encoding="utf-8")
    heading, rows = read_table(path, ("file", "patient_id"))
    assert [heading, *rows] == lines
    assert read_table(path, ("file",)).numbers == [4 if title else 2]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("file,patient\nÄrger Größe,Müller\n", "cp1252"),
        ("file,patient\nÅsa,É. Zola – b\n", "cp1252"),
        ("file,patient\nŒuvre,Peña\n", "cp1252"),
        ("file,patient\n폐초음파,김철수\n", "cp949"),
        ("file,patient\na，b,홍길동 뷁\n", "cp949"),
        ("file,patient\n폐,Müller\n", "utf-8"),
        ("file,patient\n폐,Müller\n", "utf-8-sig"),
        ("file,patient\n폐,Müller\n", "utf-16"),
    ],
)
def test_an_encoding_shows_itself(text, encoding):
    assert decoded(text.encode(encoding), "x.csv") == text


def test_nothing_else_is_taken_for_text():
    for content in (b"\xff\xfe\x00", bytes(range(256)), b"\x89PNG\r\n\x1a\n\0\0"):
        with pytest.raises(InputError, match="not text"):
            decoded(content, "x.csv")


def unknown_rows(tmp_path, *cells, name="sheet.csv"):
    return read_sheet(sheet(tmp_path, *cells, name=name))


def test_not_annotated_is_unknown_in_clips_and_frames(tmp_path):
    (row,) = unknown_rows(tmp_path, "v1,40,,?,？,5_8,3_9,,,")
    assert row.unknown == {"a_line", "b_line"} and not row.is_blank
    by_frame = pattern_frames(row, None, 40)
    assert (by_frame[:, 0] == -1).all()
    assert by_frame[3:9, 1].tolist() == [-1, 1, 1, 1, 1, -1]  # confluent is B-line too
    assert (by_frame[:, 3] == 0).all()
    settings = ClipSettings(length=20, overlap=0.0, rate=None)
    first, second = cut(row, np.arange(40), settings, frames=40)
    assert first.labels.tolist() == [-1, 1, 1, 0]
    assert second.labels.tolist() == [-1, -1, 0, 0]
    assert (first.score, second.score) == (3, -1)


def test_a_row_of_nothing_but_not_annotated_is_blank(tmp_path):
    one, two = unknown_rows(tmp_path, "v1,40,,?,?,?,?,?,,", "v2,40,,?,,,,,,")
    assert one.is_blank and not two.is_blank


def test_a_score_may_be_that_of_what_is_not_annotated(tmp_path):
    rows = unknown_rows(
        tmp_path, "v1,40,,1_2,?,,,,,1", "v2,40,,1_2,?,,,,,3_c", "v3,40,,1_2,-,,,,,-"
    )
    assert [bool(row.score_conflict) for row in rows] == [False, True, False]


def test_not_annotated_with_ranges_means_two_things(tmp_path):
    with pytest.raises(InputError, match="row 2, column A-line: '5_8 \\?'"):
        unknown_rows(tmp_path, "v1,40,,5_8 ?,,,,,,")


@pytest.mark.parametrize("logic", ["and", "or"])
def test_what_one_has_not_annotated_nobody_has_in_the_merged_sheet(tmp_path, logic):
    first = unknown_rows(tmp_path, "v1,40,,1_9,?,,,,,1", "v2,40,,1_9,,,,,,0")
    second = unknown_rows(tmp_path, "v1,40,,1_9,3_4,,,,,1", "v2,40,,1_5,,,,,,0")
    merged = merge(first, second, logic=logic)
    assert merged.rows[0].unknown == {"b_line"} and not merged.rows[0].score
    assert merged.ignored[0].ranges["b_line"] == () and not merged.conflicts
    path = tmp_path / "merged.csv"
    path.write_text(sheet_text(merged.rows), encoding="utf-8")
    again = read_sheet(path)
    assert [row.unknown for row in again] == [{"b_line"}, frozenset()]
    report = compare(merged)
    assert report.videos["b_line"].total == report.videos["total_b_line"].total == 1
    assert report.videos["a_line"].total == 2 and not report.one_sided
    told = json.loads(as_json(report))
    assert told["not_annotated"]["B-line"] == ["v1"]
    assert "## Findings that a sheet says are not annotated" in as_markdown(report)


def test_check_names_rows_that_the_index_lacks(tmp_path, monkeypatch, capsys):
    from ultrasound_jax.labels.commands import sheets

    index = [
        IndexRow("P0123456789_00001", frames=40),
        IndexRow("P0123456789_00002", frames=40),
        IndexRow("F1", status="skipped", reason="not ultrasound"),
    ]
    monkeypatch.setattr(sheets, "read_index", lambda path: index)

    def check(*rows):
        path = sheet(tmp_path, *rows)
        code = main(["labels", "check", str(path), "--index", "index.csv"])
        return code, capsys.readouterr().out

    code, said = check("P0123456789_00001,40,,1_2,,,,,,", "P99_00001,40,,,,,,,,4")
    assert code == 1 and "row 3: P99_00001: the index lacks it" in said
    assert "note: 1 videos of the index have no row: P0123456789_00002" in said
    code, said = check("P0123456789_00001,40,,1_2,,,,,,", "F1,,,,,,,,,4")
    assert code == 1 and "row 3: F1: the index skipped it: not ultrasound" in said
    code, said = check("P0123456789_00001,40,,1_2,,,,,,")
    assert code == 0 and "have no row: P0123456789_00002" in said
    code, said = check("17_00001,40,,1_2,,,,,,")
    assert code == 1 and "PatientIDs need --key-file" in said


def test_a_workbook_is_read_without_a_warning(tmp_path):
    path = workbook(tmp_path / "s.xlsx", ("a", [["file", "patient"], ["a", 1]]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_table(path, WANTED).rows == [["a", "1"]]
