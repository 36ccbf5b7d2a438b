"""One's own videos and a spreadsheet: what is built, what is refused, what is told."""

import json
from pathlib import Path

import cv2
import numpy as np
import openpyxl
import pytest
import tensorflow_datasets as tfds

from configs.luvnet import get_config
from tests.datasets import builder_case, made_videos
from tests.datasets.made_videos import write_csv, write_film, write_xlsx
from ultrasound_jax import tasks
from ultrasound_jax.data import source as sources
from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.videos.columns import sort_columns
from ultrasound_jax.datasets.videos.contact_sheet import MOST, chosen
from ultrasound_jax.datasets.videos.options import VideosConfig
from ultrasound_jax.datasets.videos.sheet import Item, read_study
from ultrasound_jax.datasets.videos.videos_dataset_builder import Builder
from ultrasound_jax.dicom.make.ultrasound_file import (
    Calibration,
    Identity,
    write_cine,
)
from ultrasound_jax.runs.table_cells import Table
from ultrasound_jax.types import InputError

TINY = {"size": 16, "frame_rate": 5.0}


class TestVideos(builder_case.BuilderCase):
    """TFDS's own checks, on the dummy data: three phantoms, two containers."""

    DATASET_CLASS = Builder
    BUILDER_CONFIG_NAMES_TO_TEST = [
        Builder.make_config(ids="as_written", mask=False, **TINY)
    ]
    SPLITS = {"clips": 6}


def built(manual, data, **options):
    builder = Builder(config=Builder.make_config(**TINY | options), data_dir=data)
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=manual)
    )
    return builder


def records(builder):
    found = builder.as_data_source("clips")
    return sorted(
        (found[k] for k in range(len(found))), key=lambda r: r["example_id"].decode()
    )


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    (folder / "manual").mkdir()
    rows = made_videos.study(folder / "manual", patients=3)
    black = made_videos.frames(made_videos.Findings(b_line=True), 2, 1)
    black[3:5] = 0
    write_film(folder / "manual/patient_02/video_1.mp4", black)
    write_xlsx(folder / "manual/videos.xlsx", rows)
    (folder / "manual/notes.txt").write_text("mine")
    write_film(folder / "manual/spare.avi", black)
    return folder


@pytest.fixture(scope="module")
def own(places):
    return built(places / "manual", places / "data")


def test_columns_are_classes_and_groups(own):
    spec = own.spec()
    assert spec["labels"].classes == ("b_line", "consolidation")
    assert spec.of_role("group") == ("severity", "zone", "machine")
    first, *_ = records(own)
    assert first["clip"].shape[1:] == (16, 16, 1) and first["clip"].dtype == np.uint8
    assert first["severity"].decode() in "0123"
    labels = {tuple(r["labels"].tolist()) for r in records(own)}
    assert (-1, 1) in labels and any(row[1] == -1 for row in labels)


def test_a_built_set_is_opened_without_its_files(own, places):
    again = Builder(config=own.builder_config, data_dir=places / "data")
    assert again.spec().to_json() == own.spec().to_json()
    assert len(again.as_data_source("clips")) == 12
    anywhere = tfds.builder_from_directory(str(own.data_path))
    assert len(anywhere.as_data_source("clips")) == 12


def test_patients_and_videos_have_names_that_tell_nobody(own, places):
    patients = {r["patient_id"].decode() for r in records(own)}
    assert len(patients) == 3 and all(p[0] == "P" and len(p) == 11 for p in patients)
    for path in Path(own.data_path).iterdir():
        content = path.read_bytes()
        assert b"Doe" not in content and b"video_1" not in content, path
    sources_csv = (places / "manual/videos.sources.csv").read_text()
    assert "patient_00/video_1.mp4,Doe00" in sources_csv
    assert (places / "manual/videos.sources.csv").stat().st_mode & 0o077 == 0


def test_the_page_counts_and_lists(own):
    page = (own.data_path / "build.md").read_text()
    assert "6 videos of 3 patients give 12 clips" in page
    assert "| b_line | unknown | 2 | 1 | 1 |" in page
    assert "2 black frames in 1 videos" in page and "(row 8): 4-5" in page
    assert "1 files in the folder are no recordings" in page
    assert "1 recordings: no row in the sheet" in page
    metadata = json.loads((own.data_path / "metadata.json").read_text())
    assert metadata["groups"]["machine"] == {"Lumify": 2, "Vivid": 4}
    assert metadata["findings"]["b_line"]["present"]["videos"] == 3
    assert sorted(metadata["rows"].values()) == [3, 4, 5, 6, 7, 8]


def test_the_contact_sheet_shows_each_video(own):
    picture = cv2.imread(str(own.data_path / "contact_sheet.png"), 0)
    height, width = picture.shape
    assert width > 3 * 4 * 100 and height > 2 * 112
    assert (picture > 20).mean() > 0.1 and picture.std() > 20


def test_many_videos_are_shown_by_finding():
    items = [
        Item("x", k, "v", "p", (int(k in (7, 400)), int(k % 2)), ()) for k in range(900)
    ]
    shown = [one.row for one in chosen(items) if one.shown]
    assert len(shown) == MOST and {7, 400} <= set(shown)
    assert 0.3 < np.mean([k % 2 for k in shown]) < 0.7


def test_what_is_not_masked_is_asked_for_and_a_video_without_a_fan_is_listed(tmp_path):
    flat = np.full((6, 48, 64), 90, np.uint8)
    write_film(tmp_path / "m/flat.mp4", flat)
    write_film(
        tmp_path / "m/fan.mp4", made_videos.frames(made_videos.Findings(), 1, 1, 6)
    )
    rows = [["file", "patient", "sick"], ["flat", "a", 1], ["fan", "b", 0]]
    write_csv(tmp_path / "m/videos.csv", rows)
    (one,) = built(tmp_path / "m", tmp_path / "d").info.metadata["skipped"]
    assert one["file"] == "row 2" and "mask=False" in one["reason"]
    whole = built(tmp_path / "m", tmp_path / "d", mask=False)
    assert whole.info.metadata["skipped"] == []
    assert whole.info.metadata["totals"]["videos"] == 2


def test_dicom_files_are_videos_too(tmp_path):
    pictures = made_videos.frames(made_videos.Findings(b_line=True), 1, 1)
    (tmp_path / "m/deep").mkdir(parents=True)
    write_cine(
        tmp_path / "m/deep/IM0001",
        pictures,
        identity=Identity(patient_id="Doe^Jane"),
        frame_rate=5.0,
        calibration=Calibration(left=0, top=0, right=95, bottom=95, pixel_mm=0.5),
    )
    write_film(tmp_path / "m/b.avi", pictures[::-1])
    rows = [["file", "patient", "sick"], ["IM0001", "a", 1], ["b", "b", 0]]
    write_csv(tmp_path / "m/videos.csv", rows)
    builder = built(tmp_path / "m", tmp_path / "d")
    metadata = builder.info.metadata
    assert metadata["skipped"] == [] and metadata["totals"]["videos"] == 2
    scales = {r["labels"].tolist()[0]: float(r["pixel_mm"]) for r in records(builder)}
    assert scales[1] == pytest.approx(3.0, rel=0.05) and scales[0] == 0


def test_a_mended_sheet_is_not_passed_over(places, own, tmp_path):
    where = {"options": TINY, "data_dir": str(places / "data")}
    sources.prepare("videos", manual_dir=str(places / "manual"), **where)
    write_csv(tmp_path / "videos.csv", [["file", "patient", "sick"]])
    with pytest.raises(sources.SourceError, match="another sheet; delete .*study="):
        sources.prepare("videos", manual_dir=str(tmp_path), **where)


# The sheet alone, with empty files that are films by their first bytes.

FILM = b"RIFF\x00\x00\x00\x00AVI LIST"


def folder_of(tmp_path, *names):
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(FILM + b"\0" * 600)
    return tmp_path


def study_of(tmp_path, rows, *names, **options):
    sheet = tmp_path / "videos.csv"
    write_csv(sheet, rows)
    config = Builder.make_config(**{"ids": "as_written"} | options)
    return read_study(folder_of(tmp_path, *names), sheet, config)


def refused(tmp_path, rows, *names, **options):
    with pytest.raises(InputError) as caught:
        study_of(tmp_path, rows, *names, **options)
    said = str(caught.value)
    assert "\n" not in said
    return said


ABC = ("a.avi", "b.avi", "c.avi")


@pytest.mark.parametrize(
    ("cells", "labels"),
    [
        (["1", "0", ""], [1, 0, -1]),
        (["yes", "No", "?"], [1, 0, -1]),
        (["Y", "n", "n/a"], [1, 0, -1]),
        (["TRUE", "false", "unknown"], [1, 0, -1]),
        (["+", "-", ""], [1, 0, -1]),
        (["+", "–", "？"], [1, 0, -1]),
        (["present", "Absent", " "], [1, 0, -1]),
        (["１", "０", "1.0"], [1, 0, 1]),
        (["1,0", "0,0", "1.00"], [1, 0, 1]),
        (["WAHR", "FALSCH", "NaN"], [1, 0, -1]),
        (["VRAI", "faux", ""], [1, 0, -1]),
        (["ja", "nein", "ja"], [1, 0, 1]),
    ],
)
def test_a_finding_may_be_written_in_many_ways(tmp_path, cells, labels):
    rows = [["file", "patient", "B-lines"]]
    rows += [[name, name, cell] for name, cell in zip(ABC, cells, strict=True)]
    study = study_of(tmp_path, rows, *ABC)
    assert [item.labels[0] for item in study.items] == labels
    assert study.findings[0].name == "b_line"


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["1", "0", "-"], "row 4, column sick: '-': allowed are"),
        (["1", "0", "maybe"], "'sick' looks like a finding, but row 4: 'maybe'"),
        (["1", "0", "11"], "'sick' looks like a finding, but row 4: '11'"),
        (["yes", "no", "1 0"], "row 4: '1 0'"),
    ],
)
def test_a_cell_that_may_mean_two_things_is_named(tmp_path, cells, said):
    rows = [["file", "patient", "sick"]]
    rows += [[name, name, cell] for name, cell in zip(ABC, cells, strict=True)]
    assert said in refused(tmp_path, rows, *ABC)


def test_all_that_is_wrong_is_said_at_once(tmp_path):
    rows = [
        ["File", "Patient", "sick", "b"],
        ["a", "1", 1, 1],
        ["gone.mp4", "2", 0, 0],
        ["a.avi", "2", 0, 1],
        ["b", "", 1, 0],
        ["c", "?", 0, 1],
        ["", "4", 0, 0],
        ["walk", "5", 0, "perhaps"],
    ]
    names = (*ABC, "x/walk.avi", "y/walk.avi")
    said = refused(tmp_path, rows, *names)
    for part in (
        "videos.csv: ",
        "row 3: no recording 'gone.mp4' in the folder",
        "row 4: the file of row 2 again",
        "row 5: patient ''",
        "row 6: patient '?'",
        "row 7: names no file",
        "row 8: 'walk' may be 'x/walk.avi', 'y/walk.avi'",
        "column 'b' looks like a finding, but row 8: 'perhaps'",
    ):
        assert part in said


def test_a_file_is_found_by_any_name_that_means_it_alone(tmp_path):
    names = ("one/a.avi", "two/a.avi", "a.avi", "Größe.AVI", "x.y.avi", "deep/er/z.avi")
    cells = ("one\\a.avi", "TWO/a", "./a", "gro\u0308ße", "x.y", "C:\\data\\er\\z.avi")
    rows = [["file", "patient", "sick"], *([c, c, 1] for c in cells)]
    rows[1][2] = 0
    study = study_of(tmp_path, rows, *names)
    found = {item.row: Path(item.path).relative_to(tmp_path) for item in study.items}
    assert [found[k].as_posix() for k in range(2, 8)] == list(names)
    rows = [["file", "patient", "sick"], ["a.avi", 1, 0], ["x.y", 2, 1]]
    assert "row 2: 'a.avi' may be" in refused(tmp_path, rows, *names)


def test_rows_without_a_file_may_be_skipped_and_are_listed(tmp_path):
    rows = [["file", "patient", "sick"], ["a", 1, 0], ["gone", 2, 1]]
    study = study_of(tmp_path, rows, *ABC, missing="skip")
    assert study.skipped == [
        ("row 3", "there is no such recording"),
        ("2 recordings", "no row in the sheet"),
    ]


def test_patients_may_be_folders_or_files(tmp_path):
    rows = [["file", "sick"], ["p/a", 0], ["p/b", 1], ["q/a", 1]]
    names = ("p/a.avi", "p/b.avi", "q/a.avi")
    study = study_of(tmp_path, rows, *names, patient_from="folder")
    assert [item.patient_id for item in study.items] == ["p", "p", "q"]
    study = study_of(tmp_path, rows, *names, patient_from="file")
    assert len({item.patient_id for item in study.items}) == 3
    twins = [["file", "sick"], ["p/1", 0], ["p/01", 1]]
    study = study_of(tmp_path, twins, "p/1.avi", "p/01.avi", patient_from="file")
    assert len({item.patient_id for item in study.items}) == 2
    assert "every file is taken as a patient" in study.notes[-1]
    said = refused(tmp_path, rows, *names)
    assert "there is no column patient; the headings are 'file', 'sick'" in said
    rows.append(["top", 0])
    said = refused(tmp_path, rows, *names, "top.avi", patient_from="folder")
    assert "row 5: lies in no folder" in said


def test_spellings_of_one_patient_are_joined_and_told(tmp_path):
    rows = [
        ["file", "Patient ID", "sick"],
        ["a", "007", 0],
        ["b", "7", 1],
        ["c", "8", 1],
    ]
    study = study_of(tmp_path, rows, *ABC)
    assert [item.patient_id for item in study.items] == ["007", "007", "8"]
    assert any("spelled in several ways" in note for note in study.notes)


@pytest.mark.parametrize(
    "ids",
    [("7", "7.0", "7,0"), ("P007", "p7", "P 07"), ("12-007", "12-7", "12-07")],
)
def test_a_patient_s_number_is_one_however_a_program_saves_it(tmp_path, ids):
    rows = [["file", "patient", "sick"]]
    rows += [[name, ids[k], k % 2] for k, name in enumerate(ABC)]
    study = study_of(tmp_path, rows, *ABC)
    assert len({item.patient_id for item in study.items}) == 1
    assert any("spelled in several ways" in note for note in study.notes)


def test_numbers_that_differ_are_different_patients(tmp_path):
    rows = [["file", "patient", "sick"], ["a", "1.5", 1], ["b", "1.05", 0]]
    rows.append(["c", "100", 0])
    study = study_of(tmp_path, rows, *ABC)
    assert len({item.patient_id for item in study.items}) == 3


@pytest.mark.parametrize("cell", ["1.23457E+11", "1,2E+05", "1e+20"])
def test_a_number_that_lost_its_digits_names_no_patient(tmp_path, cell):
    rows = [["file", "patient", "sick"], ["a", cell, 1], ["b", "2", 0]]
    said = refused(tmp_path, rows, *ABC)
    assert f"row 2: patient '{cell}': a number that a spreadsheet" in said


def table(heading, *columns):
    rows = [list(cells) for cells in zip(*columns, strict=True)]
    return Table(
        ["file", "patient", *heading], [["f", "p", *r] for r in rows], [2, 3, 4]
    )


def sorted_columns(heading, *columns, **options):
    found = sort_columns(table(heading, *columns), VideosConfig(name="x", **options))
    names = [c.name for c in found.findings], [c.name for c in found.groups]
    return *names, found


def test_severities_zones_and_remarks(tmp_path):
    findings, groups, found = sorted_columns(
        ["A-lines", "Severity", "Zone", "Patient name", "Comments", "Date", "Empty"],
        ["1", "0", ""],
        ["0", "2", "3"],
        ["R1", "L2", ""],
        ["Doe", "Roe", "Poe"],
        ["fine", "see letter", ""],
        ["2024-05-01", "", ""],
        ["", "", ""],
    )
    assert (findings, groups) == (["a_line"], ["severity", "zone"])
    assert not found.problems
    for name in ("Patient name", "Comments", "Date", "Empty"):
        assert any(repr(name) in note for note in found.notes)


@pytest.mark.parametrize(
    "day",
    [
        "1 March 2024",
        "02-Mar-24",
        "20240301",
        "2024-3-1",
        "03-01-2024",
        "3. Mai 2024",
        "2024년 3월 1일",
        "März 2024",
    ],
)
def test_dates_are_left_out_however_they_are_written(day):
    _, groups, found = sorted_columns(
        ["sick", "exam"], ["1", "0", "1"], ["", day, "soon"]
    )
    assert groups == []
    assert "column 'exam' was left out, as it holds dates" in found.notes[0]


@pytest.mark.parametrize(
    "values",
    [("12 cm", "Mar", "8"), ("20240399", "5-30", "May"), ("R1", "3.5", "v1.2")],
)
def test_what_only_looks_like_a_date_is_a_group(values):
    _, groups, _ = sorted_columns(["sick", "what"], ["1", "0", "1"], list(values))
    assert groups == ["what"]


@pytest.mark.parametrize("name", ["Dr. A", "Prof Roe", "Frau Doe", "Dr.Doe"])
def test_a_column_of_titles_and_names_is_left_out(name):
    _, groups, found = sorted_columns(
        ["sick", "seen by"], ["1", "0", "1"], [name, "", "x"]
    )
    assert groups == []
    assert "column 'seen by' was left out, as it names persons" in found.notes[0]


@pytest.mark.parametrize("cells", [["x", "", "x"], ["oh", "ah", ""]])
def test_a_column_of_one_or_two_words_is_told_to_be_a_group(cells):
    findings, groups, found = sorted_columns(["sick", "b"], ["1", "0", "1"], cells)
    assert (findings, groups) == (["sick"], ["b"])
    assert "column 'b' holds nothing but" in found.notes[0]
    assert "is taken as a group" in found.notes[0]
    assert sorted_columns(["sick", "zone"], ["1", "0", "1"], cells)[2].notes == []
    _, _, named = sorted_columns(["sick", "b"], ["1", "0", "1"], cells, groups="b")
    assert named.notes == []


def test_a_column_of_formulas_without_values_is_not_taken_for_empty(tmp_path):
    for name in ABC:
        write_film(tmp_path / name, np.zeros((2, 32, 32), np.uint8))
    rows = [["file", "patient", "sick", "zone", "remarks"]]
    rows += [[name, name, k % 2, "=A1", "=B1"] for k, name in enumerate(ABC)]
    write_xlsx(tmp_path / "videos.xlsx", rows)
    config = VideosConfig(name="x", ids="as_written")
    with pytest.raises(DatasetError, match="row 3: D3 is a formula") as error:
        read_study(tmp_path, tmp_path / "videos.xlsx", config)
    assert "E3" not in str(error.value)


def test_hidden_rows_and_columns_are_read_and_told(tmp_path):
    for name in ABC:
        write_film(tmp_path / name, np.zeros((2, 32, 32), np.uint8))
    rows = [["file", "patient", "sick", "b"]]
    rows += [[name, name, k % 2, (k + 1) % 2] for k, name in enumerate(ABC)]
    path = tmp_path / "videos.xlsx"
    write_xlsx(path, rows)
    book = openpyxl.load_workbook(path)
    book.active.row_dimensions[4].hidden = True
    book.active.column_dimensions["D"].hidden = True
    book.save(path)
    config = VideosConfig(name="x", ids="as_written")
    study = read_study(tmp_path, path, config)
    assert len(study.items) == 3
    assert any(
        "row 4 and column D are hidden in the spreadsheet program, and were read"
        in note
        for note in study.notes
    )


def test_a_severity_of_0_and_1_is_told_and_can_be_a_group():
    given = (["sick", "Severity"], ["1", "0", ""], ["0", "1", "0"])
    findings, groups, found = sorted_columns(*given)
    assert findings == ["sick", "severity"] and not groups
    assert "groups='Severity' makes it a group" in found.notes[0]
    findings, groups, _ = sorted_columns(*given, groups="severity")
    assert (findings, groups) == (["sick"], ["severity"])
    findings, groups, _ = sorted_columns(*given, findings="sick")
    assert (findings, groups) == (["sick"], ["severity"])


def test_columns_are_renamed_left_out_and_never_called_alike():
    given = (["Effusion", "effusion?", "label_x"], *(["1", "0", ""],) * 2, "abc")
    _, _, found = sorted_columns(*given)
    assert "would both be called effusion" in "; ".join(found.problems)
    assert "a record has a field label_x of its own" in "; ".join(found.problems)
    findings, groups, found = sorted_columns(
        *given, leave_out="label_x, effusion?", rename="Effusion = pleural_effusion"
    )
    assert findings == ["pleural_effusion"] and not groups and not found.problems
    _, _, found = sorted_columns(*given, findings="no such", rename="nor=this")
    assert "findings: the sheet has no column 'no such'" in found.problems
    assert "rename: the sheet has no column 'nor'" in found.problems


def test_a_sheet_is_found_or_asked_for(tmp_path):
    (tmp_path / "x").mkdir()
    with pytest.raises(DatasetError, match="no videos.csv or videos.xlsx in"):
        built(folder_of(tmp_path / "x", "a.avi"), tmp_path / "d")
    rows = [["file", "patient", "sick"], ["a", 1, 0]]
    write_csv(tmp_path / "x/mine.csv", rows)
    with pytest.raises(DatasetError, match=r"it has mine.csv: say sheet="):
        built(tmp_path / "x", tmp_path / "d")
    with pytest.raises(DatasetError, match="sheet='other.csv'.*is no file"):
        built(tmp_path / "x", tmp_path / "d", sheet="other.csv")
    write_csv(tmp_path / "x/videos.csv", rows)
    write_xlsx(tmp_path / "x/videos.xlsx", rows)
    with pytest.raises(DatasetError, match="has videos.csv and videos.xlsx"):
        built(tmp_path / "x", tmp_path / "d")


def test_a_sheet_of_another_country_is_read(tmp_path):
    folder_of(tmp_path, "Übersicht.avi", "b.avi")
    rows = [["Datei: Übersicht", "", ""], ["Datei", "Patient", "Erguß"]]
    rows += [["Übersicht", "Ärger, K.", "1"], ["b", "Müller", "0"]]
    write_csv(tmp_path / "videos.csv", rows, encoding="cp1252", delimiter=";")
    config = Builder.make_config(ids="as_written", rename="Datei = file")
    study = read_study(tmp_path, tmp_path / "videos.csv", config)
    assert [item.patient_id for item in study.items] == ["Müller", "Ärger, K."]
    assert study.findings[0].name == "erguß"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"study": "a b"}, "letters, digits and _"),
        ({"study": "x" * 41}, "40 at most"),
        ({"findings": 3}, "headings of the sheet"),
        ({"findings": "a\nb"}, "headings of the sheet"),
        ({"rename": "a"}, "rename='a', allowed"),
        ({"findings": "a", "groups": "a, b"}, "a stands in findings and in groups"),
        ({"frame_rate": 0}, "say clip_frames"),
        ({"patient_from": "name"}, "sheet, folder, file"),
    ],
)
def test_options_are_checked(options, said):
    with pytest.raises(DatasetError, match=said):
        Builder.make_config(**options)


def test_builds_that_differ_differ_in_name():
    changed = [
        {},
        {"study": "b"},
        {"sheet": "x.csv"},
        {"findings": "a,b"},
        {"groups": "a,b"},
        {"leave_out": "a,b"},
        {"rename": "a=b"},
        {"patient_from": "file"},
        {"ids": "as_written"},
        {"missing": "skip"},
        {"mask": False},
        {"clip_frames": 7},
        {"frame_rate": 0.0, "clip_frames": 7},
    ]
    names = {Builder.make_config(**options).name for options in changed}
    assert len(names) == len(changed)
    assert all(name.replace("_", "").isalnum() for name in names)


def test_no_option_means_something_else_in_another_dataset():
    """A run's options are those of the dataset that it is judged on, by name."""
    own = VideosConfig.options()
    for name in ("pocus", "lus_clips", "lus_phantom"):
        for option, value in sources.builder_options(name, {}).items():
            if option in own and option != "clip_frames":
                assert VideosConfig.refusal(option, value) == "", (name, option)


@pytest.mark.parametrize("variant", ["videos", "videos_frame_vote"])
def test_the_shipped_configuration_builds_what_the_page_says(variant):
    chosen = get_config(variant).data.options.to_dict()
    defaults = VideosConfig(name="x").options()
    assert {k: v for k, v in chosen.items() if v != defaults[k]} == {}


def test_grades_are_numbers_with_levels(places, tmp_path):
    with_grades = built(places / "manual", tmp_path, grades="Severity")
    spec = with_grades.spec()
    assert spec.of_role("number") == ("severity",)
    assert spec["severity"].classes == ("0", "1", "2", "3")
    assert "severity" not in spec.of_role("group")
    by_video = {r["video_id"]: int(r["severity"]) for r in records(with_grades)}
    assert sorted(by_video.values()) == [0, 0, 1, 2, 2, 3]
    page = (with_grades.data_path / "build.md").read_text()
    assert "| severity | 3 | 2 | 1 | 1 |" in page
    assert "| severity | unknown | 0 | 0 | 0 |" in page
    again = tfds.builder_from_directory(str(with_grades.data_path))
    assert again.info.metadata["levels"] == {"severity": 3}


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["0", "2.5", "mild"], "row 3, column Score: '2.5': allowed are whole numbers"),
        (["0", "0", "?"], "'Score' of grades has no level above 0"),
        (["0", "21", "1"], "row 3, column Score: '21'"),
    ],
)
def test_a_cell_that_is_no_level_is_refused_with_its_row(tmp_path, cells, said):
    rows = [["file", "patient", "B-lines", "Score"]]
    for k, cell in enumerate(cells):
        write_film(tmp_path / f"{k}.mp4", np.zeros((3, 32, 32), np.uint8))
        rows.append([f"{k}.mp4", str(k), "1", cell])
    write_csv(tmp_path / "videos.csv", rows)
    with pytest.raises(DatasetError, match=said):
        read_study(
            tmp_path, tmp_path / "videos.csv", VideosConfig(name="x", grades="Score")
        )


def test_a_sheet_of_levels_alone_can_be_learnt_from(tmp_path):
    rows = [["file", "patient", "LUS score"]]
    for k in range(3):
        write_film(
            tmp_path / f"{k}.mp4", made_videos.frames(made_videos.Findings(), k, 0)
        )
        rows.append([f"{k}.mp4", f"p{k}", str(k)])
    write_csv(tmp_path / "videos.csv", rows)
    found = built(tmp_path, tmp_path / "data", grades="LUS score", ids="as_written")
    task = tasks.build("ordinal", found.spec(), options={})
    assert task.classes == ("0", "1", "2") and not found.info.metadata["classes"]
    assert {len(r["labels"]) for r in records(found)} == {0}
