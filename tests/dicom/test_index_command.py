import csv
import dataclasses
import json
import os
import stat

import numpy as np
import pytest

from tests.datasets.test_pocus import SHARED
from tests.dicom.whole_files import DEFLATED, EXPLICIT, JPEG, RLE, whole_file
from ultrasound_jax.dicom.__main__ import main
from ultrasound_jax.dicom.commands import index as index_command
from ultrasound_jax.dicom.index.table import (
    OWN_COLUMNS,
    read_frame_times,
    read_index,
    read_sources,
)
from ultrasound_jax.runs.limited_worker import Outcome

TOKENS = {
    "PatientName": "Canary^Alpha",
    "PatientID": "canary-beta",
    "PatientComments": "canary gamma",
    "InstitutionName": "Canary Delta",
    "ReferringPhysicianName": "Canary^Epsilon",
    "AccessionNumber": "CANARYZETA",
    "StudyID": "CANARYETA",
    "StudyDescription": "canary theta",
    "Manufacturer": "Canary Iota",
    "ManufacturerModelName": "Canary Kappa",
    "StationName": "CANARYLAMBDA",
    "StudyDate": "19530917",
    "PatientBirthDate": "19210311",
    "StudyInstanceUID": "1.2.826.0.1.3680043.9.7133.66661",
    "SOPInstanceUID": "1.2.826.0.1.3680043.9.7133.66662",
}


def cine(path, syntax=EXPLICIT, **changes):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(whole_file(syntax, **changes))


def study(root):
    """Two patients in the original's layout, and what lies about in such folders."""
    uid = "1.2.826.0.1.3680043.9.7133.5."
    cine(root / "20240105/p1/00001.dcm", JPEG, SOPInstanceUID=uid + "1")
    cine(root / "20240105/p1/00002.dcm", RLE, SOPInstanceUID=uid + "2")
    cine(
        root / "20240301/p2/00001",
        DEFLATED,
        SOPInstanceUID=uid + "3",
        FrameTimeVector=["0", "30", "50"],
        FrameIncrementPointer=0x00181065,
    )
    cine(root / "20240301/p2/copy", RLE, SOPInstanceUID=uid + "2")
    cine(root / "20240301/p2/3.dcm", SOPInstanceUID=uid + "4", NumberOfFrames=0)
    screen = {"SequenceOfUltrasoundRegions": [], "SOPInstanceUID": uid + "5"}
    cine(root / "20240301/p2/00004.dcm", **screen)
    other = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "Modality": "CT"}
    cine(root / "20240301/p2/00005.dcm", SOPInstanceUID=uid + "6", **other)
    (root / "notes.txt").write_text("p1 is Jane Doe")
    (root / "empty.dcm").write_bytes(b"")
    (root / "noise.dcm").write_bytes(bytes(range(256)) * 3)
    (root / "DICOMDIR").write_bytes(bytes(128) + b"DICM" + bytes(50))
    (root / "folder.dcm").mkdir()
    (root / "folder.dcm" / "loop").symlink_to(root)
    os.mkfifo(root / "pipe.dcm")
    (root / "gone.dcm").symlink_to("nowhere")


def index(root, out, *more):
    return main(["index", str(root), "--out", str(out), "--workers", "1", *more])


def at_once(function, items, *, on_done, **_):
    """What `run_safely` does with files that do no harm, without its processes."""
    for place, item in enumerate(items):
        on_done(Outcome(place, json.loads(json.dumps(function(item))), "done", "", 0.0))


@pytest.fixture
def without_processes(monkeypatch):
    monkeypatch.setattr(index_command, "run_safely", at_once)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("index")
    study(folder / "root")
    assert index(folder / "root", folder / "out" / "index.csv") == 0
    return folder


def rows_by_place(folder):
    out = folder / "out" / "index.csv"
    rows = {row.video_id: row for row in read_index(out)}
    root = (folder / "root").resolve()
    sources = read_sources(out).items()
    return {str(path.relative_to(root)): rows[name] for name, path in sources}


def test_readable_ultrasound_files_have_a_row(made):
    rows = rows_by_place(made)
    usable = {place for place, row in rows.items() if row.ok}
    places = {"20240105/p1/00001.dcm", "20240105/p1/00002.dcm", "20240301/p2/00001"}
    assert usable == places
    row = rows["20240105/p1/00001.dcm"]
    assert (row.frames, row.rows, row.columns) == (3, 24, 32)
    assert (row.transfer_syntax, row.photometric) == (JPEG, "YBR_FULL_422")
    assert (row.mm_x, row.mm_y, row.region_index) == (0.5, 0.5, 0)
    assert row.frame_rate == pytest.approx(1000 / 33.3)
    assert row.frame_rate_source == "FrameTime"
    assert (row.manufacturer, row.model) == ("Philips", "EPIQ 7C")
    assert row.data_type == "video" and not row.labelled
    (region,) = row.regions
    assert (region["left"], region["bottom"]) == (2, 21)


def test_every_other_file_is_listed_with_the_reason(made):
    rows = rows_by_place(made)
    reasons = {place: row.reason for place, row in rows.items() if not row.ok}
    unreadable = "unreadable: "
    assert reasons.pop("20240301/p2/copy").startswith("duplicate: the same bytes as P")
    assert reasons.pop("noise.dcm").startswith(unreadable)
    assert reasons == {
        "20240301/p2/3.dcm": unreadable + "NumberOfFrames is 0, allowed are 1 and more",
        "20240301/p2/00004.dcm": "no ultrasound region",
        "20240301/p2/00005.dcm": "not ultrasound",
        "DICOMDIR": unreadable + "a DICOMDIR, which lists files and has no pixels",
        "empty.dcm": unreadable + "the file is empty",
        "pipe.dcm": unreadable + "a pipe, socket or device",
        "gone.dcm": unreadable + "No such file or directory",
    }
    tree = json.loads((made / "out/index.sources.json").read_text())
    assert tree["not_dicom"] == ["notes.txt"]


def test_times_are_kept_where_they_vary(made):
    row = rows_by_place(made)["20240301/p2/00001"]
    assert row.frame_rate_source == "FrameTimeVector"
    times = read_frame_times(made / "out/index.csv", row)
    np.testing.assert_allclose(times, [0, 0.03, 0.08])


def test_nothing_else_is_written_and_private_files_are_private(made):
    out = made / "out"
    assert sorted(p.name for p in out.iterdir()) == [
        "index.csv",
        "index.sources.json",
        "index_times",
        "pseudonyms.json",
    ]
    for name in ("index.sources.json", "pseudonyms.json"):
        assert stat.S_IMODE((out / name).stat().st_mode) == 0o600


def test_the_summary_counts_what_was_skipped_and_why(
    tmp_path, capsys, without_processes
):
    study(tmp_path / "root")
    index(tmp_path / "root", tmp_path / "index.csv")
    text = capsys.readouterr().out
    for line in (
        "3 in the index: 3 videos and 0 images, 9 frames, of 1 patients",
        "1 skipped: no ultrasound region (--keep regionless uses them)",
        "1 skipped: duplicate (--keep duplicates uses them)",
        "1 skipped: unreadable: the file is empty",
        "1 skipped: not DICOM",
        "warning: all 3 files have one PatientID but lie in 2 folders",
    ):
        assert line in text


def test_two_workers_write_the_same_bytes_as_one(made, tmp_path):
    key = made / "out/pseudonyms.json"
    out, more = tmp_path / "index.csv", ("--key-file", str(key), "--workers", "2")
    assert index(made / "root", out, *more) == 0
    assert out.read_bytes() == (made / "out/index.csv").read_bytes()
    assert not (tmp_path / "pseudonyms.json").exists()


def test_labels_survive_another_run_with_more_files(tmp_path, without_processes):
    root, out = tmp_path / "root", tmp_path / "index.csv"
    cine(root / "a/7.dcm", SOPInstanceUID="1.7")
    index(root, out)
    with open(out, newline="") as file:
        header, row = csv.reader(file)
    row[header.index("A-line")] = "1_2"
    with open(out, "w", newline="") as file:
        csv.writer(file).writerows([[*header, "seen"], [*row, "twice"]])
    cine(root / "a/3.dcm", SOPInstanceUID="1.3")
    index(root, out)
    three, seven = read_index(out)
    assert (three.data_idx, seven.data_idx) == (3, 7)
    assert (seven.labels["A-line"], seven.labels["seen"]) == ("1_2", "twice")
    assert not three.labelled


def test_labels_written_while_it_runs_survive(tmp_path, monkeypatch, without_processes):
    root, out = tmp_path / "root", tmp_path / "index.csv"
    cine(root / "1.dcm")
    index(root, out)

    def label_meanwhile(*words, **more):
        out.write_text(out.read_text().replace(",,,,,,,,\n", ",,1_2,,,,,,\n"))
        return at_once(*words, **more)

    monkeypatch.setattr(index_command, "run_safely", label_meanwhile)
    index(root, out)
    (row,) = read_index(out)
    assert row.labels["A-line"] == "1_2"


def test_patients_can_be_folders_and_regionless_files_used(
    made, tmp_path, without_processes
):
    out = tmp_path / "index.csv"
    keep = ("--keep", "regionless", "--keep", "duplicates", "--dates", "drop")
    assert index(made / "root", out, "--patient-from", "folder", *keep) == 0
    usable = [row for row in read_index(out) if row.ok]
    assert len({row.patient_id for row in usable}) == 2
    assert len(usable) == 5
    assert {row.study_date for row in usable} == {""}


def test_no_token_of_the_source_is_in_what_may_be_given_away(tmp_path, capfd):
    root = tmp_path / "CANARYMU"
    names = [f"Canary-Nu-{n}" for n in range(3)]
    changes = dict(TOKENS) | {"FrameTimeVector": ["0", "30", "50"]}
    cine(root / "Canary Xi" / names[0], **changes)
    cine(root / "Canary Xi" / names[1], **changes)  # a duplicate
    cine(root / "Canary Xi" / names[2], **TOKENS, PhotometricInterpretation="CANARYPI")
    (root / "canary-rho.dcm").write_bytes(b"canary sigma" * 40)
    out = tmp_path / "out" / "index.csv"
    assert main(["index", str(root), "--out", str(out)]) == 0
    text = "".join(capfd.readouterr()).replace(str(out.parent), "")
    for path in out.parent.rglob("*.csv"):
        text += path.name + path.read_text()
    assert len(read_index(out)) == 4 and "FrameTimeVector" in text
    for token in ("canary", "19530917", "1953-09-17", "7133", "19210311", "1921"):
        assert token not in text.lower()


def test_an_interrupted_run_continues_and_its_journal_names_nobody(
    tmp_path, monkeypatch, capsys
):
    root, out = tmp_path / "root", tmp_path / "out" / "index.csv"
    for number in range(6):
        cine(root / f"Jane/{number}.dcm", **TOKENS | {"SOPInstanceUID": f"1.{number}"})
    described = []

    def interrupted(function, items, *, on_done, **more):
        def note(outcome):
            if len(described) == 4:
                raise KeyboardInterrupt
            described.append(outcome.index)
            on_done(outcome)

        return at_once(function, items, on_done=note, **more)

    monkeypatch.setattr(index_command, "run_safely", interrupted)
    assert index(root, out) == 130
    assert "the same command continues" in capsys.readouterr().err
    assert not out.exists()
    journal = out.with_name(".index.csv.journal")
    assert stat.S_IMODE(journal.stat().st_mode) == 0o600
    text = journal.read_text().lower()
    assert text.count('"key"') == 5  # one of them in the settings
    for token in (
        "canary",
        "jane",
        "7133",
        "19530917",
        "1953-09-17",
        str(root).lower(),
    ):
        assert token not in text
    described.clear()
    assert index(root, out) == 0
    assert len(described) == 2
    assert "continues: 4 of 6 files were done before" in capsys.readouterr().out
    assert not journal.exists()
    assert len(read_index(out)) == 6


def test_a_file_that_changed_since_the_interrupt_is_read_again(
    tmp_path, monkeypatch, without_processes
):
    root, out = tmp_path / "root", tmp_path / "index.csv"
    cine(root / "1.dcm")

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(index_command, "assemble", stop)
        assert index(root, out) == 130
    cine(root / "1.dcm", RLE)
    assert index(root, out) == 0
    assert [row.transfer_syntax for row in read_index(out)] == [RLE]


def test_limits_are_kept(made, tmp_path, without_processes):
    out = tmp_path / "index.csv"
    assert index(made / "root", out, "--max-frames", "2") == 0
    reasons = [row.reason for row in read_index(out)]
    assert any("allowed are 2 frames" in reason for reason in reasons)


def test_a_lost_key_is_not_replaced_behind_an_index(
    tmp_path, capsys, without_processes
):
    root, out = tmp_path / "root", tmp_path / "index.csv"
    cine(root / "1.dcm")
    assert index(root, out) == 0
    before, key = out.read_bytes(), (tmp_path / "pseudonyms.json").read_bytes()
    (tmp_path / "pseudonyms.json").unlink()
    assert index(root, out) == 2
    assert "is gone" in capsys.readouterr().err
    assert out.read_bytes() == before
    (tmp_path / "elsewhere.json").write_bytes(key)
    assert index(root, out, "--key-file", str(tmp_path / "elsewhere.json")) == 0
    assert out.read_bytes() == before


def test_its_own_files_below_the_root_are_left_out(tmp_path, without_processes):
    cine(tmp_path / "1.dcm", FrameTimeVector=["0", "30", "50"])
    for _ in range(2):
        assert index(tmp_path, tmp_path / "index.csv") == 0
    tree = json.loads((tmp_path / "index.sources.json").read_text())
    assert tree["not_dicom"] == [] and len(tree["files"]) == 1


@pytest.mark.parametrize(
    ("root", "out", "more", "message"),
    [
        ("nowhere", "index.csv", (), "nowhere: no such folder"),
        ("empty", "index.csv", (), "empty: there is no file in it"),
        ("full", "index.txt", (), "index.txt: the index is to be a .csv file"),
        ("full", "other.csv", (), "other.csv: not an index, it lacks video_id"),
        ("full", "index.csv", ("--patient-from", "name"), "patients from 'name'"),
        ("full", "index.csv", ("--key-file", "other.csv"), "neither read nor made"),
    ],
)
def test_errors_of_the_user_are_one_line(
    tmp_path, monkeypatch, capsys, root, out, more, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "1.dcm").write_bytes(b"x")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    assert main(["index", root, "--out", out, *more]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert message in error
    assert (tmp_path / "other.csv").read_text() == "a,b\n1,2\n"


@pytest.mark.shared_data
@pytest.mark.skipif(
    not (SHARED / "dicom_us").is_dir(), reason=f"no recordings in {SHARED}/dicom_us"
)
def test_the_real_recordings_are_indexed(tmp_path):
    out = tmp_path / "index.csv"
    keep = ("--keep", "regionless", "--keep", "duplicates")
    assert index(SHARED / "dicom_us", out, *keep) == 0
    usable = {row.video_id: row for row in read_index(out) if row.ok}
    assert len(usable) == 15
    with open(SHARED / "dicom_us" / "files.csv", newline="") as file:
        listed = {line["file"]: line for line in csv.DictReader(file)}
    root = SHARED / "dicom_us"
    for video_id, path in read_sources(out).items():
        line = listed[str(path.relative_to(root.resolve()))]
        row = usable[video_id]
        assert (row.rows, row.columns) == (int(line["rows"]), int(line["cols"]))
        assert row.frames == int(line["frames"])
        assert len(row.regions) == int(line["n_regions"])
        assert row.photometric == line["photometric"]


def test_a_row_has_a_value_for_each_of_our_columns():
    names = {field.name for field in dataclasses.fields(index_command.IndexRow)}
    assert names - set(OWN_COLUMNS) == {"labels"}
