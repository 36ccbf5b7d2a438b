import csv
import os
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from tests.datasets.made_videos import write_xlsx
from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.pocus.groups import (
    derive_groups,
    patient_groups,
    read_groups,
)
from ultrasound_jax.datasets.pocus.sheet import key, read_recording, read_sheet

SHARED = Path(
    os.environ.get("ULTRASOUND_JAX_DATA")
    or Path(__file__).parents[2].parent / "shared" / "data"
)
HEADER = (
    "Filename,URL (Video Name),Patient ID / Name,License,Lung Severity Score,"
    "Effusion,Consolidations,B-lines,A-lines\n"
)


def row(name, patient="", url="", **cells):
    annotated = {"Effusion": "0", "Consolidations": "0", "B-lines": "0", "A-lines": "0"}
    return {
        "Filename": name,
        "Patient ID / Name": patient,
        "URL (Video Name)": url,
        **annotated,
        **cells,
    }


def recording(*rows, name="convex/Cov_a.mp4"):
    videos = Path("videos")
    return read_recording(videos / name, videos, list(rows))


@pytest.mark.parametrize(
    ("name", "plain"),
    [("Reg_A.MP4", "reg_a"), ("Cov v1.2 ", "cov v1.2"), ("x.mpeg", "x")],
)
def test_names_compare_without_suffix_and_case(name, plain):
    assert key(name) == plain


def test_a_line_that_is_not_utf8_is_read_and_spoils_no_other(tmp_path):
    path = tmp_path / "sheet.csv"
    lines = [
        HEADER.encode(),
        "Cov_ä,,1,CC BY 4.0,2,0,0,1,0\n".encode("cp1252"),
        "Cov_ö,,2,CC BY 4.0,2,0,0,1,0\n".encode(),
    ]
    path.write_bytes(b"".join(lines))
    assert [line["Filename"] for line in read_sheet(path)] == ["Cov_ä", "Cov_ö"]


def test_a_cell_may_hold_line_breaks(tmp_path):
    path = tmp_path / "sheet.csv"
    path.write_text(HEADER + '"Cov_a","x\r\ny",1,CC,2,0,0,1,0\n', encoding="utf-8")
    assert [line["B-lines"] for line in read_sheet(path)] == ["1"]


def test_a_sheet_without_its_columns_is_refused(tmp_path):
    path = tmp_path / "sheet.csv"
    path.write_text("Filename,A-lines\n", encoding="utf-8")
    with pytest.raises(DatasetError, match="lacks the columns B-lines"):
        read_sheet(path)


def test_labels_keep_the_common_order_of_patterns():
    cells = {"A-lines": "1", "B-lines": "0", "Consolidations": "1", "Effusion": "0"}
    assert recording(row("Cov_a", **cells)).labels == (1, 0, 1, 0)


@pytest.mark.parametrize("cell", ["", "https://example.org/a.zip?dl=0", "n/A", "2"])
def test_a_cell_that_is_no_label_is_not_annotated_and_listed(cell):
    seen = recording(row("Cov_a", Effusion=cell))
    assert seen.labels == (0, 0, 0, -1)
    assert len(seen.notes) == 1 and "Effusion" in seen.notes[0]


def test_a_video_without_a_row_is_not_annotated_at_all():
    seen = recording()
    assert seen.labels == (-1, -1, -1, -1) and seen.severity == -1
    assert seen.notes == (
        "convex/Cov_a.mp4: not in the sheet; no pattern is annotated",
    )


def test_rows_that_contradict_each_other_count_as_not_annotated():
    seen = recording(row("Cov_a"), row("Cov_a.mp4", Effusion="1"))
    assert seen.labels == (0, 0, 0, -1)


def test_a_severity_that_nobody_scored_is_unknown_without_a_note():
    seen = recording(row("Cov_a", **{"Lung Severity Score": ""}))
    assert seen.severity == -1 and not seen.notes


def test_diagnosis_and_probe_come_from_name_and_folder():
    seen = recording(row("pneu-x"), name="linear/pneu-x.mp4")
    assert (seen.diagnosis, seen.probe) == ("pneumonia", "linear")


@pytest.mark.parametrize("name", ["convex/notes.txt", "other/Cov_a.mp4", "Cov_a.mp4"])
def test_a_file_that_is_not_of_the_set_is_refused(name):
    with pytest.raises(DatasetError, match=name):
        recording(row("x"), name=name)


def test_video_ids_tell_nothing_of_the_name_and_do_not_change():
    ids = {recording(name=f"convex/Reg_pat{n}.mp4").video_id for n in range(50)}
    assert len(ids) == 50 and all("pat" not in one for one in ids)
    assert recording().video_id == "b6b6be75"


def test_one_licence_has_one_spelling():
    assert recording(row("Cov_a", License="CC BY-NC -SA 4.0")).licence == (
        "CC BY-NC-SA 4.0"
    )


def test_the_same_patient_is_one_group():
    groups = derive_groups(
        ["a", "b", "c"], [row("a", "7"), row("b", "8"), row("c", "7")]
    )
    assert groups == {"a": "D001", "b": "D002", "c": "D001"}


@pytest.mark.parametrize(
    ("one", "other", "joined"),
    [
        ("pneu_northumbria_0409_set2_vid1", "pneu_northumbria_0409_set2_vid4", True),
        ("pneu_northumbria_0409_set2_vid1", "pneu_northumbria_0409_set3_vid1", False),
        ("pneu_northumbria_0409_set3_vid1", "reg_northumbria_0409_set3_vid1", False),
        ("reg_pat1image_1", "reg_pat1image_2", True),
        ("reg_pat1image_1", "reg_pat2image_2", False),
        ("reg_pat1image_1", "reg_pat11image_2", False),
        ("pneu_liftl_pneu_case3_clip3", "reg_litfl_case3_clip2", True),
        ("cov-atlas-day+1", "cov-atlas-day+4", True),
    ],
)
def test_series_of_names_are_groups(one, other, joined):
    groups = derive_groups([one, other], [row(one, "1"), row(other, "2")])
    assert (groups[one] == groups[other]) is joined


def test_a_row_of_an_absent_file_still_joins():
    rows = [row("a", "1"), row("reg_pat3image_1", "1"), row("reg_pat3image_2", "2")]
    groups = derive_groups(["a", "reg_pat3image_2"], rows)
    assert groups["a"] == groups["reg_pat3image_2"]


def test_without_a_patient_id_the_source_joins():
    url = "https://example.org/article"
    rows = [row("a", "nd", url), row("b", "", url), row("c", "3", url)]
    groups = derive_groups(["a", "b", "c"], rows)
    assert groups["a"] == groups["b"] != groups["c"]


def test_groups_do_not_depend_on_the_order_of_files():
    rows = [row("a", "1"), row("b", "2"), row("c", "1"), row("d", "3")]
    assert derive_groups(["d", "c", "b", "a"], rows[::-1]) == derive_groups(
        "abcd", rows
    )


def test_a_file_that_groups_csv_forgot_joins_its_patient(tmp_path):
    path = tmp_path / "groups.csv"
    path.write_text("path,group\nx/a.mp4,G009\n", encoding="utf-8")
    rows = [row("a", "1"), row("b", "1"), row("c", "2")]
    groups, notes = patient_groups(["a", "b", "c"], rows, path)
    assert groups == {"a": "G009", "b": "G009", "c": "D002"}
    assert len(notes) == 2


def test_groups_may_stand_in_a_workbook(tmp_path):
    rows = [["path", "group"], ["convex/Cov_a.mp4", 7], ["convex/Reg-b.mp4", "G002"]]
    write_xlsx(tmp_path / "groups.xlsx", rows)
    chosen, notes = patient_groups(["cov_a", "reg-b"], [], tmp_path / "groups.csv")
    assert chosen == {"cov_a": "7", "reg-b": "G002"} and not notes


@pytest.mark.parametrize("text", ["", "path\nx\n", "path,group\nx/a.mp4,\n"])
def test_a_groups_csv_that_says_nothing_is_refused(tmp_path, text):
    (tmp_path / "groups.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError, match=r"groups\.csv"):
        read_groups(tmp_path / "groups.csv")


@pytest.mark.shared_data
def test_derived_groups_of_the_real_set_separate_and_join_as_its_groups_csv():
    root = SHARED / "pocus"
    if not root.is_dir():
        pytest.skip("set ULTRASOUND_JAX_DATA to the folder with pocus/data")
    videos = root / "data" / "pocus_videos"
    names = [key(path.name) for path in videos.rglob("*") if path.is_file()]
    derived = derive_groups(names, read_sheet(root / "data" / "dataset_metadata.csv"))
    listed = read_groups(root / "groups.csv")
    assert len(names) == 131
    for one, other in combinations(names, 2):
        assert (derived[one] == derived[other]) == (listed[one] == listed[other])


@pytest.mark.shared_data
def test_labels_of_the_real_set_are_those_of_its_groups_csv():
    root = SHARED / "pocus"
    if not root.is_dir():
        pytest.skip("set ULTRASOUND_JAX_DATA to the folder with pocus/data")
    sheet = read_sheet(root / "data" / "dataset_metadata.csv")
    with (root / "groups.csv").open(encoding="utf-8", newline="") as file:
        listed = [line for line in csv.DictReader(file) if line["kind"] == "video"]
    videos, labels = root / "data" / "pocus_videos", []
    for line in listed:
        path = root / line["path"]
        rows = [r for r in sheet if key(r["Filename"]) == key(path.name)]
        seen = read_recording(path, videos, rows)
        columns = ("a_lines", "b_lines", "consolidations", "effusion")
        assert seen.labels == tuple(int(line[c] or -1) for c in columns)
        assert seen.severity == int(line["severity"] or -1)
        assert seen.diagnosis == line["label_filename"]
        assert seen.probe == line["probe"]
        labels.append(seen.labels)
    positives = (np.array(labels) == 1).sum(axis=0)
    assert positives.tolist() == [12, 24, 39, 15]
